//! The outbound side of OpenAI's embeddings.

use super::{EmbeddingDialect, decode_response, encode_request, vector};
use crate::EncodedRequest;
use gateway_core::{DroppedParams, EmbeddingFormat, EmbeddingRequest, EmbeddingResponse, Result};

/// OpenAI's `/embeddings`, as an upstream.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiEmbeddings;

impl EmbeddingDialect for OpenAiEmbeddings {
    fn embed_request(&self, request: &EmbeddingRequest, model: &str) -> Result<EncodedRequest> {
        let format = request.format.map(|format| match format {
            EmbeddingFormat::Float => "float",
            EmbeddingFormat::Base64 => "base64",
        });
        let body = encode_request::encode(request, model, format);
        Ok(EncodedRequest::whole(body, DroppedParams::default()))
    }

    fn read_embeddings(
        &self,
        request: &EmbeddingRequest,
        body: &[u8],
    ) -> Result<EmbeddingResponse> {
        decode_response::decode(request, body, vector::either)
    }
}

/// The same for upstreams whose vectors are signed bytes in base64, which callers get as numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignedByteEmbeddings;

impl EmbeddingDialect for SignedByteEmbeddings {
    fn embed_request(&self, request: &EmbeddingRequest, model: &str) -> Result<EncodedRequest> {
        let body = encode_request::encode(request, model, Some("base64_int8"));
        Ok(EncodedRequest::whole(body, DroppedParams::default()))
    }

    fn read_embeddings(
        &self,
        request: &EmbeddingRequest,
        body: &[u8],
    ) -> Result<EmbeddingResponse> {
        let response = decode_response::decode(request, body, vector::signed_bytes)?;
        vector::check_lengths(request, &response.vectors)?;
        Ok(response)
    }
}
