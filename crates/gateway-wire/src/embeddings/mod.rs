//! Embeddings: the trait of outbound dialects, and OpenAI's dialect on both sides.
//!
//! A vector passes through as its provider wrote it, a list of numbers or base64, and is converted
//! only if the caller asks for the other encoding.

mod decode_request;
mod decode_response;
mod encode_request;
mod encode_response;
mod errors;
mod outbound;
mod usage;
mod vector;

#[cfg(test)]
mod tests;

pub(crate) use self::vector::{as_requested, numbers};
pub use self::{
    decode_request::read_request, encode_response::write_answer, outbound::OpenAiEmbeddings,
    vector::check_lengths,
};

use crate::EncodedRequest;
use gateway_core::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse, GatewayError, Result};

/// The encoder of embedding requests to an upstream, and decoder of its responses.
pub trait EmbeddingDialect: Send + Sync {
    /// Writes the body of a request for the model that the provider calls `model`.
    ///
    /// # Errors
    ///
    /// If the request holds something without which it would mean something else and which this
    /// dialect cannot say; the error names it.
    fn embed_request(&self, request: &EmbeddingRequest, model: &str) -> Result<EncodedRequest>;

    /// Reads the response to `request`, the body of a response with a status of success.
    ///
    /// # Errors
    ///
    /// If the body is no response, an error in disguise, or has not one vector for each input.
    fn read_embeddings(&self, request: &EmbeddingRequest, body: &[u8])
    -> Result<EmbeddingResponse>;
}

/// Returns the inputs of a request to an upstream that takes only text.
pub(crate) fn texts(request: &EmbeddingRequest) -> Result<Vec<&str>> {
    let texts = request.inputs.iter().map(|input| match input {
        EmbeddingInput::Text(text) => Ok(text.as_str()),
        EmbeddingInput::Tokens(_) => Err(GatewayError::invalid(
            "input",
            "the model's provider accepts text only, not tokens",
        )),
    });
    texts.collect()
}
