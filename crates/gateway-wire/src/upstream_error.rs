//! The common form of upstream errors, and their mapping to gateway errors.

use gateway_core::{ErrorKind, GatewayError};
use std::{borrow::Cow, time::Duration};

/// The content of an upstream's error response, whatever its dialect.
#[derive(Clone, Debug, Default)]
pub struct UpstreamErrorBody {
    /// The status of the response; of a failure inside a response the status it would have had, if
    /// the upstream names one.
    pub status: Option<u16>,
    /// The human-readable message.
    pub message: Option<String>,
    /// The upstream's word for the kind of failure: `type` or `status`.
    pub kind: Option<String>,
    /// The upstream's word for the failure: `code`.
    pub code: Option<String>,
    /// The parameter at fault.
    pub param: Option<String>,
    /// The delay after which to retry.
    pub retry_after: Option<Duration>,
    /// The upstream's advice on whether to retry.
    pub should_retry: Option<bool>,
}

/// A response that cannot be read.
pub fn unreadable(because: impl Into<gateway_core::BoxError>) -> GatewayError {
    GatewayError::new(ErrorKind::UpstreamInvalid, "the provider sent an unreadable response")
        .with_source(because)
}

impl UpstreamErrorBody {
    /// The error that the caller sees.
    ///
    /// The upstream's own sentence is passed on where the caller is at fault and can act on it,
    /// shortened and without anything that looks like a key; otherwise it goes to the log.
    pub fn into_error(self) -> GatewayError {
        let kind = self.error_kind();
        let told = self.message.as_deref().map(presentable).filter(|text| !text.is_empty());
        let told = told.filter(|_| is_the_callers(kind));
        let message = told.map_or_else(|| Cow::Borrowed(sentence(kind)), Cow::Owned);
        let mut error = GatewayError::new(kind, message).with_retry_after(self.retry_after);
        if let Some(status) = self.status {
            error = error.with_upstream_status(status);
        }
        if is_the_callers(kind) {
            if let Some(code) = self.code.filter(|code| is_word(code)) {
                error = error.with_code(code);
            }
            if let Some(param) = self.param.filter(|param| param.len() <= 128) {
                error = error.with_param(param);
            }
        }
        let logged = self.message.as_deref().map(presentable).unwrap_or_default();
        if kind == ErrorKind::UpstreamInvalid {
            let of = if self.status == Some(403) {
                ErrorKind::UpstreamAuth
            } else {
                ErrorKind::Upstream
            };
            error = error.with_code(of.as_str());
        }
        error.with_source(format!("status {:?}, {:?}: {logged}", self.status, self.kind))
    }

    fn error_kind(&self) -> ErrorKind {
        let says = |words: &[&str]| {
            [&self.kind, &self.code].into_iter().flatten().any(|word| words.contains(&&**word))
        };
        let mentions = |words: &[&str]| {
            let message = self.message.as_deref().unwrap_or_default().to_lowercase();
            words.iter().any(|word| message.contains(word))
        };
        if says(&["context_length_exceeded", "exceed_context_size_error"]) {
            return ErrorKind::ContextLength;
        }
        if says(&["content_filter", "content_policy_violation"]) {
            return ErrorKind::ContentFilter;
        }
        if says(&["insufficient_quota", "billing_error", "enforced_spend_limit_reached"]) {
            return ErrorKind::QuotaExceeded;
        }
        if says(&["API_KEY_INVALID", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"])
        {
            return ErrorKind::UpstreamAuth;
        }
        if says(&["overloaded_error", "UNAVAILABLE"]) {
            return ErrorKind::UpstreamOverloaded;
        }
        let retryable = self.should_retry != Some(false);
        let limits = ["rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"];
        if retryable && says(&limits) {
            return ErrorKind::RateLimited;
        }
        match self.status.unwrap_or(500) {
            403 if mentions(&WITHHELD) => ErrorKind::ContentFilter,
            // Who may not see a thing is told that it is not there.
            403 if mentions(&["not found"]) && !mentions(&["model"]) => ErrorKind::NotFound,
            // Nobody says why: it may be something in between that dislikes what this request says,
            // and no reason to set the credential aside for everybody.
            403 if !self.says_something() => ErrorKind::UpstreamInvalid,
            401 => ErrorKind::UpstreamAuth,
            403 if says(&["model_not_found"]) || mentions(&OURS) => ErrorKind::UpstreamAuth,
            403 => ErrorKind::Forbidden,
            404 if says(&["model_not_found"]) || mentions(&["model"]) => ErrorKind::ModelNotFound,
            404 => ErrorKind::NotFound,
            408 | 504 => ErrorKind::UpstreamTimeout,
            // Some use it for what passes by itself, and say so.
            409 if self.should_retry == Some(true) => ErrorKind::Upstream,
            409 => ErrorKind::Conflict,
            413 => ErrorKind::TooLarge,
            422 => ErrorKind::Unprocessable,
            429 if retryable => ErrorKind::RateLimited,
            402 | 429 => ErrorKind::QuotaExceeded,
            400 if mentions(&["context length", "context window", "prompt is too long"]) => {
                ErrorKind::ContextLength
            }
            400..=499 => ErrorKind::InvalidRequest,
            501 => ErrorKind::UpstreamUnsupported,
            // Whoever failed knows that it would fail again.
            500.. if !retryable => ErrorKind::UpstreamInvalid,
            503 | 529 => ErrorKind::UpstreamOverloaded,
            _ => ErrorKind::Upstream,
        }
    }

    fn says_something(&self) -> bool {
        let words = [&self.message, &self.kind, &self.code];
        words.into_iter().flatten().any(|word| !word.trim().is_empty())
    }
}

/// Phrases of 403 responses that reject the gateway's credential.
const OURS: [&str; 9] = [
    "api key",
    "api-key",
    "bad key",
    "credential",
    "revoked",
    "deactivated",
    "suspended",
    "caller does not have permission",
    "region",
];

/// Phrases of 403 responses that reject the content of the request.
const WITHHELD: [&str; 6] = [
    "moderation",
    "flagged",
    "content policy",
    "content management policy",
    "usage policies",
    "guardrail",
];

/// Returns whether the caller can do something about it, and so may read what the upstream says.
const fn is_the_callers(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidRequest
            | ErrorKind::Unprocessable
            | ErrorKind::ContextLength
            | ErrorKind::ContentFilter
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::ModelNotFound
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::UpstreamUnsupported
            | ErrorKind::RateLimited
    )
}

const SENTENCES: [(ErrorKind, &str); 5] = [
    (ErrorKind::UpstreamAuth, "the provider rejects the gateway's credential"),
    (ErrorKind::QuotaExceeded, "the gateway's account with the provider is exhausted"),
    (ErrorKind::UpstreamTimeout, "the provider timed out"),
    (ErrorKind::UpstreamOverloaded, "the provider is overloaded"),
    (ErrorKind::RateLimited, "the provider's rate limit is reached"),
];

fn sentence(kind: ErrorKind) -> &'static str {
    let general = if is_the_callers(kind) {
        "the provider rejected the request"
    } else {
        "the provider failed"
    };
    SENTENCES.iter().find(|(known, _)| *known == kind).map_or(general, |(_, sentence)| sentence)
}

/// At most so much of an upstream's sentence is passed on.
const MAX_MESSAGE: usize = 1024;

/// `text` in one line, shortened, with anything that looks like a key masked.
fn presentable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_MESSAGE));
    for word in text.split_inclusive(char::is_whitespace) {
        if out.len() + word.len() > MAX_MESSAGE {
            out.push_str("...");
            break;
        }
        if is_secret(word) {
            out.push_str("[redacted] ");
        } else {
            out.extend(word.chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
    }
    out.trim().to_owned()
}

/// Returns whether `word` looks like a credential: the providers' prefixes, or a bearer token's
/// shape.
fn is_secret(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    ["sk-", "sk_", "AIza", "gsk_", "xai-", "Bearer", "eyJ"]
        .iter()
        .any(|prefix| word.starts_with(prefix) && word.len() > prefix.len() + 4)
}

fn is_word(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, word: &str, message: &str, expected: &str) {
        let fault = UpstreamErrorBody {
            status: Some(status),
            kind: Some(word.to_owned()),
            message: Some(message.to_owned()),
            ..UpstreamErrorBody::default()
        };
        let error = fault.into_error();
        assert_eq!(format!("{:?}: {}", error.kind(), error.message()), expected);
    }

    #[test]
    fn actionable_message_is_passed_to_caller() {
        check(400, "invalid_request_error", "n is too large", "InvalidRequest: n is too large");
        check(404, "not_found_error", "model: x", "ModelNotFound: model: x");
        check(422, "", "bad\r\nvalue", "Unprocessable: bad  value");
        check(400, "", "", "InvalidRequest: the provider rejected the request");
    }

    #[test]
    fn gateway_credential_failure_is_hidden() {
        let auth = "UpstreamAuth: the provider rejects the gateway's credential";
        check(401, "", "Incorrect API key sk-12345678", auth);
        check(400, "API_KEY_INVALID", "API key not valid", auth);
        check(500, "", "stack trace", "Upstream: the provider failed");
        check(529, "overloaded_error", "x", "UpstreamOverloaded: the provider is overloaded");
    }

    #[test]
    fn content_filter_is_recognized() {
        check(
            400,
            "content_filter",
            "the prompt was filtered",
            "ContentFilter: the prompt was filtered",
        );
    }

    #[test]
    fn auth_failure_blames_the_gateway_credential() {
        let auth = "UpstreamAuth: the provider rejects the gateway's credential";
        check(403, "permission_error", "Your API key may not use this resource", auth);
        check(403, "PERMISSION_DENIED", "The caller does not have permission", auth);
        check(403, "model_not_found", "Project proj_x does not have access to model m", auth);
        check(403, "", "Country, region, or territory not supported", auth);
        check(403, "", "This API key was revoked", auth);
    }

    /// Whoever asks may be able to ask for something else.
    #[test]
    fn forbidden_request_is_passed_to_caller() {
        check(403, "permission_error", "not for you", "Forbidden: not for you");
        check(403, "forbidden", "", "Forbidden: the provider rejected the request");
    }

    #[test]
    fn moderation_refusal_is_a_content_filter() {
        let flagged = "your input was flagged";
        check(403, "", flagged, "ContentFilter: your input was flagged");
        check(403, "", "Blocked by Guardrail x", "ContentFilter: Blocked by Guardrail x");
        let missing = "CachedContent not found (or permission denied)";
        check(403, "PERMISSION_DENIED", missing, &format!("NotFound: {missing}"));
    }

    /// One request that something in between dislikes does not set the credential aside.
    #[test]
    fn bare_403_does_not_disable_the_credential() {
        let error =
            UpstreamErrorBody { status: Some(403), ..UpstreamErrorBody::default() }.into_error();
        assert_eq!((error.kind(), error.code()), (ErrorKind::UpstreamInvalid, "upstream_auth"));
        let error = UpstreamErrorBody {
            status: Some(500),
            should_retry: Some(false),
            ..UpstreamErrorBody::default()
        };
        assert_eq!(error.into_error().code(), "upstream_error");
    }

    #[test]
    fn keys_are_masked() {
        check(403, "", "key sk-abcdefgh is bad", "Forbidden: key [redacted] is bad");
    }

    /// What a status without any words means, and whether another attempt may help.
    #[track_caller]
    fn check_status(status: u16, should_retry: Option<bool>, expected: (ErrorKind, bool)) {
        let error = UpstreamErrorBody {
            status: Some(status),
            should_retry,
            ..UpstreamErrorBody::default()
        }
        .into_error();
        assert_eq!((error.kind(), error.kind().is_retryable()), expected, "{status}");
    }

    #[test]
    fn every_status_maps_to_retryability() {
        for (status, kind) in [
            (400, ErrorKind::InvalidRequest),
            (401, ErrorKind::UpstreamAuth),
            (402, ErrorKind::QuotaExceeded),
            (403, ErrorKind::UpstreamInvalid),
            (404, ErrorKind::NotFound),
            (409, ErrorKind::Conflict),
            (413, ErrorKind::TooLarge),
            (422, ErrorKind::Unprocessable),
            (501, ErrorKind::UpstreamUnsupported),
        ] {
            check_status(status, None, (kind, false));
            check_status(status, Some(false), (kind, false));
        }
        for (status, kind) in [
            (408, ErrorKind::UpstreamTimeout),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Upstream),
            (502, ErrorKind::Upstream),
            (503, ErrorKind::UpstreamOverloaded),
            (504, ErrorKind::UpstreamTimeout),
            (520, ErrorKind::Upstream),
            (529, ErrorKind::UpstreamOverloaded),
        ] {
            check_status(status, None, (kind, true));
            check_status(status, Some(true), (kind, true));
        }
    }

    #[test]
    fn should_retry_header_overrides_status() {
        check_status(409, Some(true), (ErrorKind::Upstream, true));
        check_status(429, Some(false), (ErrorKind::QuotaExceeded, false));
        check_status(500, Some(false), (ErrorKind::UpstreamInvalid, false));
        check_status(502, Some(false), (ErrorKind::UpstreamInvalid, false));
    }

    #[test]
    fn exhausted_quota_is_not_a_rate_limit() {
        check(
            429,
            "insufficient_quota",
            "x",
            "QuotaExceeded: the gateway's account with the provider is exhausted",
        );
        let fault = UpstreamErrorBody {
            status: Some(429),
            should_retry: Some(false),
            ..UpstreamErrorBody::default()
        };
        assert_eq!(fault.into_error().kind(), ErrorKind::QuotaExceeded);
    }
}
