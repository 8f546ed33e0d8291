//! Texts as vectors.

use crate::{Context, ErrorKind, Extra, GatewayError, Json, ResponseMeta, Target, Usage};
use std::sync::Arc;

/// A request for vectors on its way to a provider. Cheap to clone, so that it can be sent again.
#[derive(Clone, Debug)]
pub struct EmbeddingCall {
    /// Whom to ask.
    pub target: Target,
    /// What to ask.
    pub request: Arc<EmbeddingRequest>,
    /// Refuse what cannot be carried, instead of leaving it behind.
    pub strict: bool,
    /// What travels beside the request.
    pub context: Context,
}

impl EmbeddingCall {
    /// The error of a provider that makes no vectors.
    pub fn unsupported() -> GatewayError {
        let message = "the model's provider makes no embeddings";
        GatewayError::new(ErrorKind::InvalidRequest, message)
            .with_code("unsupported_model")
            .with_param("model")
    }
}

/// Vectors, and who made them.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Who answered.
    pub meta: ResponseMeta,
    /// The vectors.
    pub response: EmbeddingResponse,
}

/// A request for the vectors of some texts, in no vendor's dialect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingRequest {
    /// The model, as the caller named it.
    pub model: String,
    /// What to turn into vectors, one each.
    pub inputs: Vec<EmbeddingInput>,
    /// How many numbers a vector is to have; the model's default when absent.
    pub dimensions: Option<u64>,
    /// How the caller wants vectors written.
    pub format: Option<EmbeddingFormat>,
    /// The end user, as an opaque name.
    pub user: Option<String>,
    /// Parameters we do not model, kept for upstreams that speak the caller's dialect.
    pub extra: Extra,
}

/// Something to turn into a vector.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// Text.
    Text(String),
    /// Tokens of the model's own vocabulary; only providers that speak OpenAI's dialect take them.
    Tokens(Vec<u64>),
}

/// How a vector is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EmbeddingFormat {
    /// As a list of numbers.
    Float,
    /// As little-endian 32-bit floats, in base64.
    Base64,
}

/// Vectors, in the order of the inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingResponse {
    /// The model that answered, as the provider names it; empty if it did not say.
    pub model: String,
    /// The vectors.
    pub vectors: Vec<Vector>,
    /// What it took; absent if the provider did not say.
    pub usage: Option<Usage>,
}

/// A vector, as the provider wrote it.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// A list of numbers.
    Numbers(Json),
    /// Little-endian 32-bit floats, in base64.
    Base64(String),
}
