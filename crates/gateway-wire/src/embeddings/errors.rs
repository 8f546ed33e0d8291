//! Errors inside a successful embedding response.

use crate::UpstreamErrorBody;
use gateway_core::GatewayError;
use serde::Deserialize;

/// The `error` member of a response.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum EmbeddingErrorWire {
    Sentence(String),
    Object {
        message: Option<String>,
        #[serde(rename = "type")]
        kind: Option<String>,
    },
}

impl EmbeddingErrorWire {
    /// Converts to the error that the caller sees.
    pub(super) fn into_error(self) -> GatewayError {
        let (message, kind) = match self {
            Self::Sentence(message) => (Some(message), None),
            Self::Object { message, kind } => (message, kind),
        };
        UpstreamErrorBody { message, kind, ..UpstreamErrorBody::default() }.into_error()
    }
}
