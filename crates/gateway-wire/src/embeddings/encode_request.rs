//! Encodes requests to OpenAI's `/embeddings`.

use gateway_core::{EmbeddingInput, EmbeddingRequest, Extra, Json};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct EmbeddingRequestWire<'a> {
    model: &'a str,
    input: Vec<EmbeddingInputOutWire<'a>>,
    /// The length of vectors, by the upstream's name for it.
    #[serde(flatten)]
    dimensions: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a Extra,
}

#[derive(Serialize)]
#[serde(untagged)]
enum EmbeddingInputOutWire<'a> {
    Text(&'a str),
    Tokens(&'a [u64]),
}

/// Encodes `request` for the model that the provider calls `model`, with vectors wanted in `format`
/// and of the length in the parameter `dimensions`.
pub(super) fn encode(
    request: &EmbeddingRequest,
    model: &str,
    format: Option<&'static str>,
    dimensions: &'static str,
) -> String {
    let input = request.inputs.iter().map(|input| match input {
        EmbeddingInput::Text(text) => EmbeddingInputOutWire::Text(text),
        EmbeddingInput::Tokens(tokens) => EmbeddingInputOutWire::Tokens(tokens),
    });
    let body = EmbeddingRequestWire {
        model,
        input: input.collect(),
        dimensions: request.dimensions.map(|length| (dimensions, length)).into_iter().collect(),
        encoding_format: format,
        user: request.user.as_deref(),
        extra: &request.extra,
    };
    Json::of(&body).get().to_owned()
}
