//! Decodes Ollama's error responses.

use crate::{ErrorReply, UpstreamErrorBody, tool_arguments};
use gateway_core::GatewayError;
use serde::Deserialize;

/// The body of an error response.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OllamaErrorReply {
    /// The plain string that Ollama itself writes.
    Sentence(String),
    /// The way of what stands before it.
    Object {
        /// The message of the error.
        message: Option<String>,
    },
    /// Any other shape.
    Other(serde::de::IgnoredAny),
}

impl OllamaErrorReply {
    /// An empty sentence says that nothing went wrong.
    pub(super) fn is_one(&self) -> bool {
        !matches!(self, Self::Sentence(sentence) if sentence.is_empty())
    }

    /// Puts the failure in the terms of all dialects.
    pub(super) fn into_fault(self) -> UpstreamErrorBody {
        let message = match self {
            Self::Sentence(message) => Some(message),
            Self::Object { message } => message,
            Self::Other(_) => None,
        };
        UpstreamErrorBody { message, ..UpstreamErrorBody::default() }
    }
}

/// The error that `reply` means.
pub(super) fn read(reply: &ErrorReply<'_>) -> GatewayError {
    #[derive(Deserialize)]
    struct Body {
        error: OllamaErrorReply,
    }
    let fault = match serde_json::from_slice(reply.body) {
        Ok(Body { error }) => error.into_fault(),
        Err(_) => UpstreamErrorBody {
            message: tool_arguments::sentence(reply.body),
            ..UpstreamErrorBody::default()
        },
    };
    UpstreamErrorBody {
        status: Some(reply.status),
        retry_after: reply.retry_after,
        should_retry: reply.should_retry,
        ..fault
    }
    .into_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let error = read(&ErrorReply { status, body: body.as_bytes(), ..ErrorReply::default() });
        assert_eq!(format!("{:?}: {}", error.kind(), error.message()), expected);
    }

    #[test]
    fn error_string_is_the_message() {
        check(404, r#"{"error":"model 'x' not found"}"#, "ModelNotFound: model 'x' not found");
        check(400, r#"{"error":"no tools here"}"#, "InvalidRequest: no tools here");
        check(503, r#"{"error":"busy"}"#, "UpstreamOverloaded: the provider is overloaded");
        check(500, r#"{"error":"stack"}"#, "Upstream: the provider failed");
    }

    #[test]
    fn other_error_shapes_are_decoded() {
        check(400, r#"{"error":{"message":"bad"}}"#, "InvalidRequest: bad");
        check(400, r#"{"error":5}"#, "InvalidRequest: the provider rejected the request");
        check(404, "404 page not found", "NotFound: 404 page not found");
    }
}
