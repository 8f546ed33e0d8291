//! Finish reasons: the `status` and `incomplete_details` of a response object.

use crate::responses::{decode_response_wire::ResponsesObjectWire, encode_response::ResponseFacts};
use gateway_core::{Finish, FinishReason};

impl ResponsesObjectWire<'_> {
    /// The finish reason. An incomplete response does not finish with tool calls.
    pub(super) fn finish(&self, has_calls: bool) -> Finish {
        let status = self.status.as_deref().unwrap_or("completed");
        let why = self.incomplete_details.as_ref().and_then(|why| why.reason.clone());
        let calmly = if has_calls { FinishReason::ToolCalls } else { FinishReason::Stop };
        let (reason, native) = match (status, why) {
            ("completed", _) => (calmly, None),
            ("incomplete", Some(why)) if why == "content_filter" => {
                (FinishReason::ContentFilter, Some(why))
            }
            ("incomplete", why) => (FinishReason::Length, why),
            (other, _) => (calmly, Some(other.to_owned())),
        };
        Finish { reason, native, stop_sequence: None }
    }
}

impl ResponseFacts {
    /// Returns the reason for an incomplete response, or `None` for a complete one.
    pub(super) fn cut(&self) -> Option<&'static str> {
        match self.finish.as_ref()?.reason {
            FinishReason::Length => Some("max_output_tokens"),
            FinishReason::ContentFilter => Some("content_filter"),
            FinishReason::Stop | FinishReason::ToolCalls => None,
        }
    }
}
