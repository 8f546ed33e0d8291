//! The outbound side of OpenAI's embeddings.

use super::{EmbeddingDialect, decode_response, encode_request, vector};
use crate::{
    EncodedRequest,
    chat::{Quirks, VectorEncoding},
};
use gateway_core::{DroppedParams, EmbeddingFormat, EmbeddingRequest, EmbeddingResponse, Result};

/// OpenAI's `/embeddings`, as an upstream with deviations.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiEmbeddings {
    /// The deviations of the upstream from `OpenAI`.
    pub quirks: Quirks,
}

impl EmbeddingDialect for OpenAiEmbeddings {
    fn embed_request(&self, request: &EmbeddingRequest, model: &str) -> Result<EncodedRequest> {
        let format = match (self.quirks.vectors, request.format) {
            (VectorEncoding::SignedBytes, _) => Some("base64_int8"),
            (VectorEncoding::Floats, Some(EmbeddingFormat::Float)) => Some("float"),
            (VectorEncoding::Floats, Some(EmbeddingFormat::Base64)) => Some("base64"),
            (VectorEncoding::Floats, None) => None,
        };
        let body = encode_request::encode(request, model, format, self.quirks.dimensions);
        Ok(EncodedRequest::whole(body, DroppedParams::default()))
    }

    fn read_embeddings(
        &self,
        request: &EmbeddingRequest,
        body: &[u8],
    ) -> Result<EmbeddingResponse> {
        let read = match self.quirks.vectors {
            VectorEncoding::Floats => vector::either,
            VectorEncoding::SignedBytes => vector::signed_bytes,
        };
        let response = decode_response::decode(request, body, read)?;
        if self.quirks.vectors == VectorEncoding::SignedBytes {
            // Another length means another encoding: decoded, it is a different vector.
            vector::check_lengths(request, &response.vectors)?;
        }
        Ok(response)
    }
}
