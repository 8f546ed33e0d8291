//! Frames: those of clients, and those other than the events of responses.

use gateway_core::{Json, JsonObject, MemoryLease};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// A frame of a client.
#[derive(Debug)]
pub(super) enum ClientFrame {
    /// A response is to be made.
    Create(CreateFrame),
    /// The response in progress is to be ended.
    Cancel {
        /// The lane of the response.
        stream_id: Option<String>,
    },
    /// The response in progress is to take more input, which no upstream over HTTP can.
    Steer {
        /// The lane of the response.
        stream_id: Option<String>,
    },
}

/// A request for a response.
#[derive(Debug)]
pub(super) struct CreateFrame {
    /// The lane of the response.
    pub(super) stream_id: Option<String>,
    /// Whether the model is called. If not, the input is only recorded.
    pub(super) generate: bool,
    /// The body of the request.
    pub(super) body: JsonObject,
    /// The memory that the frame takes.
    pub(super) lease: Option<MemoryLease>,
}

/// An error that is sent as a frame.
#[derive(Debug)]
pub(super) struct FrameError {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
    pub(super) stream_id: Option<String>,
}

/// Reads a frame.
///
/// # Errors
///
/// If it is not an object of a known type.
pub(super) fn read(text: &str) -> Result<ClientFrame, FrameError> {
    let wrong = |code, message, stream_id| FrameError { status: 400, code, message, stream_id };
    let mut members: JsonObject = serde_json::from_str(text)
        .map_err(|_| wrong("invalid_json", "a frame is a JSON object", None))?;
    let mut text = |name: &str| members.remove(name).and_then(|it| it.read::<String>().ok());
    let (kind, stream_id) = (text("type"), text("stream_id"));
    match kind.as_deref() {
        Some("response.create") => {
            let generate = members.remove("generate").and_then(|it| it.read::<bool>().ok());
            // What HTTP needs besides, and what has no meaning here.
            members.remove("background");
            members.insert("stream".to_owned(), Json::of(&true));
            let generate = generate.unwrap_or(true);
            Ok(ClientFrame::Create(CreateFrame { stream_id, generate, body: members, lease: None }))
        }
        Some("response.cancel") => Ok(ClientFrame::Cancel { stream_id }),
        Some("response.steer") => Ok(ClientFrame::Steer { stream_id }),
        Some(_) | None => Err(wrong(
            "unknown_event_type",
            "the type of a frame is response.create, response.cancel or response.steer",
            stream_id,
        )),
    }
}

impl FrameError {
    /// Renders the error as a frame.
    pub(super) fn frame(&self) -> String {
        let kind = if self.status < 500 { "invalid_request_error" } else { "server_error" };
        let error =
            json!({ "type": kind, "code": self.code, "message": self.message, "param": null });
        let frame = json!({ "type": "error", "status": self.status, "error": error });
        with_stream_id(&frame.to_string(), self.stream_id.as_deref())
    }
}

/// The error frame for a reply of `status` with the body `body` and some of its headers.
pub(super) fn of_reply(status: u16, body: &[u8], headers: &BTreeMap<String, String>) -> String {
    #[derive(Deserialize)]
    struct ErrorFrame {
        error: JsonObject,
    }
    let error = serde_json::from_slice::<ErrorFrame>(body).map(|reply| reply.error);
    let mut error = error.unwrap_or_default();
    error.insert("headers".to_owned(), Json::of(headers));
    json!({ "type": "error", "status": status, "error": error }).to_string()
}

/// The refusal of more input for a response in progress.
pub(super) fn steering_unsupported(stream_id: Option<&str>) -> String {
    let error = json!({
        "type": "invalid_request_error", "code": "steering_not_supported",
        "message": "responses in progress take no more input",
    });
    let frame = json!({ "type": "response.steer.failed", "error": error });
    with_stream_id(&frame.to_string(), stream_id)
}

/// The last event of a response that was cancelled.
pub(super) fn cancelled(stream_id: Option<&str>) -> String {
    let frame = json!({ "type": "response.cancelled", "response": { "status": "cancelled" } });
    with_stream_id(&frame.to_string(), stream_id)
}

/// `frame`, an object with members, with the name of its lane.
pub(super) fn with_stream_id(frame: &str, stream_id: Option<&str>) -> String {
    match (stream_id, frame.strip_prefix('{')) {
        (Some(id), Some(rest)) => format!("{{\"stream_id\":{},{rest}", Json::of(&id).get()),
        (_, _) => frame.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_frame_becomes_a_streamed_request() {
        let text = r#"{"type":"response.create","stream_id":"a","model":"m","input":[ 1.0],"background":true,"generate":false}"#;
        let Ok(ClientFrame::Create(frame)) = read(text) else { panic!("{text}") };
        assert_eq!((frame.stream_id.as_deref(), frame.generate), (Some("a"), false));
        let body = Json::of(&frame.body);
        assert_eq!(body.get(), r#"{"input":[ 1.0],"model":"m","stream":true}"#);
    }

    #[test]
    fn unknown_frames_are_refused() {
        for text in ["", "[]", "{}", r#"{"type":"session.update"}"#, r#"{"type":5}"#] {
            assert!(read(text).is_err_and(|error| error.status == 400), "{text}");
        }
    }

    #[test]
    fn frames_name_their_lane() {
        assert_eq!(with_stream_id(r#"{"a":1}"#, Some("l\"")), r#"{"stream_id":"l\"","a":1}"#);
        assert_eq!(with_stream_id(r#"{"a":1}"#, None), r#"{"a":1}"#);
        let cancelled = cancelled(Some("l"));
        assert!(serde_json::from_str::<serde_json::Value>(&cancelled).is_ok());
    }
}
