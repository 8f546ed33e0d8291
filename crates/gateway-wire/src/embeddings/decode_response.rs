//! Decodes responses of OpenAI's `/embeddings`.

use super::{as_requested, errors::EmbeddingErrorWire, usage::UpstreamEmbeddingUsageWire};
use crate::unreadable;
use gateway_core::{EmbeddingRequest, EmbeddingResponse, Result, Vector};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct UpstreamEmbeddingsWire<'a> {
    #[serde(borrow)]
    data: Option<Vec<UpstreamEmbeddingWire<'a>>>,
    model: Option<String>,
    usage: Option<UpstreamEmbeddingUsageWire>,
    error: Option<EmbeddingErrorWire>,
}

#[derive(Deserialize)]
struct UpstreamEmbeddingWire<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
    index: Option<usize>,
}

/// Decodes the response to `request`, whose vectors `vector` reads.
///
/// # Errors
///
/// If `body` is not a response, is an error, or has not one vector for each input.
pub(super) fn decode(
    request: &EmbeddingRequest,
    body: &[u8],
    vector: fn(&RawValue) -> Result<Vector>,
) -> Result<EmbeddingResponse> {
    let answer: UpstreamEmbeddingsWire<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    if let Some(error) = answer.error {
        return Err(error.into_error());
    }
    let mut items = answer.data.ok_or_else(|| unreadable("there is no data"))?;
    // Items without an index keep their order.
    items.sort_by_key(|item| item.index.unwrap_or(0));
    let vectors = items.iter().map(|item| vector(item.embedding)).collect::<Result<_>>()?;
    Ok(EmbeddingResponse {
        model: answer.model.unwrap_or_default(),
        vectors: as_requested(request, vectors)?,
        usage: answer.usage.map(UpstreamEmbeddingUsageWire::into_usage),
    })
}
