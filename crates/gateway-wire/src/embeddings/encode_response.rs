//! Encodes responses of OpenAI's `/v1/embeddings`.

use super::vector::{VectorWire, written};
use gateway_core::{EmbeddingFormat, EmbeddingRequest, EmbeddingResponse, Json};
use serde::Serialize;

#[derive(Serialize)]
struct EmbeddingListWire<'a> {
    object: &'static str,
    data: Vec<EmbeddingItemWire<'a>>,
    model: &'a str,
    usage: EmbeddingUsageWire,
}

#[derive(Serialize)]
struct EmbeddingItemWire<'a> {
    object: &'static str,
    index: usize,
    embedding: VectorWire<'a>,
}

#[derive(Serialize)]
struct EmbeddingUsageWire {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Writes the response to `request`.
pub fn write_answer(answer: &EmbeddingResponse, request: &EmbeddingRequest) -> Vec<u8> {
    let format = request.format.unwrap_or(EmbeddingFormat::Float);
    let item = |(index, vector)| EmbeddingItemWire {
        object: "embedding",
        index,
        embedding: written(vector, format),
    };
    let usage = answer.usage.unwrap_or_default();
    let named = Some(answer.model.as_str()).filter(|model| !model.is_empty());
    let answer = EmbeddingListWire {
        object: "list",
        data: answer.vectors.iter().enumerate().map(item).collect(),
        model: named.unwrap_or(&request.model),
        usage: EmbeddingUsageWire { prompt_tokens: usage.prompt(), total_tokens: usage.total() },
    };
    Json::of(&answer).get().as_bytes().to_vec()
}
