//! Embedding requests and responses.

use crate::{Context, ErrorKind, Extra, GatewayError, Json, ResponseMeta, Target, Usage};
use std::sync::Arc;

/// A request for vectors on its way to a provider. Cheap to clone, so that it can be sent again.
#[derive(Clone, Debug)]
pub struct EmbeddingCall {
    /// The model to call, and its provider.
    pub target: Target,
    /// The texts to embed, and the options.
    pub request: Arc<EmbeddingRequest>,
    /// Refuse what cannot be carried, instead of leaving it behind.
    pub strict: bool,
    /// Request context: identity, tracing, limits.
    pub context: Context,
}

impl EmbeddingCall {
    /// The error of a provider that makes no vectors.
    pub fn unsupported() -> GatewayError {
        let message = "the model's provider has no embeddings API";
        GatewayError::new(ErrorKind::InvalidRequest, message)
            .with_code("unsupported_model")
            .with_param("model")
    }
}

/// Vectors, and who made them.
#[derive(Clone, Debug)]
pub struct EmbeddingResult {
    /// Metadata of the provider's response.
    pub meta: ResponseMeta,
    /// The embeddings, with the usage.
    pub response: EmbeddingResponse,
}

/// A request for the vectors of some texts, in no vendor's dialect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingRequest {
    /// The model, as the caller named it.
    pub model: String,
    /// Inputs; each gets one vector.
    pub inputs: Vec<EmbeddingInput>,
    /// Vector length; default: the model's own.
    pub dimensions: Option<u64>,
    /// Encoding of vectors that the caller asked for.
    pub format: Option<EmbeddingFormat>,
    /// The end user, as an opaque name.
    pub user: Option<String>,
    /// Parameters we do not model, kept for upstreams that speak the caller's dialect.
    pub extra: Extra,
}

/// Something to turn into a vector.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// A text to embed.
    Text(String),
    /// Tokens of the model's own vocabulary; only providers that speak OpenAI's dialect take them.
    Tokens(Vec<u64>),
}

/// The encoding of a vector.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EmbeddingFormat {
    /// A JSON list of numbers.
    Float,
    /// Little-endian 32-bit floats in base64.
    Base64,
}

/// Vectors, in the order of the inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddingResponse {
    /// The model that answered, as the provider names it; empty if it did not say.
    pub model: String,
    /// Vectors in the order of the inputs.
    pub vectors: Vec<Vector>,
    /// Token usage; absent if the provider did not report it.
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
