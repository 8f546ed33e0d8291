//! The outbound side of OpenAI's embeddings.

use super::{EmbeddingDialect, decode_response, encode_request};
use crate::EncodedRequest;
use gateway_core::{DroppedParams, EmbeddingRequest, EmbeddingResponse, Result};

/// OpenAI's `/embeddings`, as an upstream.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiEmbeddings;

impl EmbeddingDialect for OpenAiEmbeddings {
    fn embed_request(&self, request: &EmbeddingRequest, model: &str) -> Result<EncodedRequest> {
        let body = encode_request::encode(request, model);
        Ok(EncodedRequest::whole(body, DroppedParams::default()))
    }

    fn read_embeddings(
        &self,
        request: &EmbeddingRequest,
        body: &[u8],
    ) -> Result<EmbeddingResponse> {
        decode_response::decode(request, body)
    }
}
