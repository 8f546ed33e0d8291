//! The reply to a request whose head cannot be parsed. hyper rejects it before there is a request,
//! with a reply without a body, which is replaced here.

use uuid::Uuid;

/// The beginning of hyper's own rejections; what they are about follows.
const STATUS_LINES: [(&[u8], HeadRejection); 3] = [
    (b"HTTP/1.1 400 ", HeadRejection::Malformed),
    (b"HTTP/1.1 414 ", HeadRejection::UriTooLong),
    (b"HTTP/1.1 431 ", HeadRejection::TooLarge),
];

/// The reason why a head is rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HeadRejection {
    Malformed,
    UriTooLong,
    TooLarge,
}

impl HeadRejection {
    /// Recognizes a rejection of hyper's among what it writes while no request is served. The
    /// service's replies have a content type.
    pub(super) fn recognize(written: &[u8]) -> Option<Self> {
        // Most of what is written is a reply with status 200.
        if written.get(9) != Some(&b'4') {
            return None;
        }
        let has = |text: &[u8]| written.windows(text.len()).any(|it| it.eq_ignore_ascii_case(text));
        let (_, rejection) = STATUS_LINES.iter().find(|(line, _)| written.starts_with(line))?;
        let is_bare = has(b"\r\ncontent-length: 0\r\n") && !has(b"\r\ncontent-type:");
        is_bare.then_some(*rejection)
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_request",
            Self::UriTooLong => "uri_too_long",
            Self::TooLarge => "headers_too_large",
        }
    }

    const fn status(self) -> (u16, &'static str) {
        match self {
            Self::Malformed => (400, "Bad Request"),
            Self::UriTooLong => (414, "URI Too Long"),
            Self::TooLarge => (431, "Request Header Fields Too Large"),
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Malformed => "the request cannot be parsed",
            Self::UriTooLong => "request URI too long",
            Self::TooLarge => "too many request headers, or too large",
        }
    }

    /// Counts and logs the rejection, and returns the reply.
    pub(super) fn reply(self) -> Vec<u8> {
        let request_id = Uuid::new_v4().simple().to_string();
        let (status, reason) = self.status();
        let (code, message) = (self.code(), self.message());
        metrics::counter!("llm_gateway_rejected_heads_total", "reason" => code).increment(1);
        tracing::info!(target: "gateway::refused", request_id, path = "unmatched", status, code);
        let body = format!(
            r#"{{"error":{{"message":"{message}","type":"invalid_request_error","param":null,"code":"{code}","request_id":"{request_id}"}},"detail":"{message}"}}"#
        );
        format!(
            "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: Option<HeadRejection>) {
        assert_eq!(HeadRejection::recognize(written.as_bytes()), expected, "{written}");
    }

    #[test]
    fn bare_rejections_are_recognized() {
        let bare = "content-length: 0\r\nconnection: close\r\n\r\n";
        check(&format!("HTTP/1.1 400 Bad Request\r\n{bare}"), Some(HeadRejection::Malformed));
        check(
            &format!("HTTP/1.1 431 Request Header Fields Too Large\r\n{bare}"),
            Some(HeadRejection::TooLarge),
        );
        check(&format!("HTTP/1.1 414 URI Too Long\r\n{bare}"), Some(HeadRejection::UriTooLong));
        check(&format!("HTTP/1.1 200 OK\r\n{bare}"), None);
        check(&format!("HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n{bare}"), None);
    }

    #[test]
    fn reply_has_a_json_body_of_its_length() {
        let reply = String::from_utf8(HeadRejection::TooLarge.reply()).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(length, Some(body.len().to_string().as_str()));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["code"], "headers_too_large");
    }
}
