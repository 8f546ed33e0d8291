//! The side that faces a caller: OpenAI's `/v1/embeddings`.

use super::vector::{Written, written};
use gateway_core::{
    EmbeddingFormat, EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Extra, GatewayError,
    Json, Result,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// `input` in its four spellings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u64>),
    TokenLists(Vec<Vec<u64>>),
}

/// Reads a request: one valid JSON object.
///
/// # Errors
///
/// Says what is wrong with it, and names the parameter.
pub fn read_request(body: &[u8]) -> Result<EmbeddingRequest> {
    let mut extra: Extra = serde_json::from_slice(body).map_err(|error| {
        GatewayError::invalid("body", "the body must be a JSON object").with_source(error)
    })?;
    let format: Option<String> = take(&mut extra, "encoding_format", "a string")?;
    let request = EmbeddingRequest {
        model: take(&mut extra, "model", "a string")?.unwrap_or_default(),
        inputs: take(&mut extra, "input", "text, tokens, or a list of either")?
            .map(inputs)
            .unwrap_or_default(),
        dimensions: take(&mut extra, "dimensions", "a whole number")?,
        format: format.as_deref().map(parse_format).transpose()?,
        user: take(&mut extra, "user", "a string")?,
        extra,
    };
    if request.model.is_empty() {
        return Err(GatewayError::invalid("model", "model is required"));
    }
    if request.inputs.is_empty() {
        return Err(GatewayError::invalid("input", "input is required and must not be empty"));
    }
    Ok(request)
}

fn take<T: DeserializeOwned>(
    extra: &mut Extra,
    name: &'static str,
    kind: &str,
) -> Result<Option<T>> {
    let Some(value) = extra.remove(name) else { return Ok(None) };
    value.read().map_err(|error| {
        GatewayError::invalid(name, format!("{name} must be {kind}")).with_source(error)
    })
}

fn inputs(input: Input) -> Vec<EmbeddingInput> {
    match input {
        Input::Text(text) => vec![EmbeddingInput::Text(text)],
        Input::Texts(texts) => texts.into_iter().map(EmbeddingInput::Text).collect(),
        Input::Tokens(tokens) => vec![EmbeddingInput::Tokens(tokens)],
        Input::TokenLists(lists) => lists.into_iter().map(EmbeddingInput::Tokens).collect(),
    }
}

fn parse_format(word: &str) -> Result<EmbeddingFormat> {
    match word {
        "float" => Ok(EmbeddingFormat::Float),
        "base64" => Ok(EmbeddingFormat::Base64),
        _ => {
            Err(GatewayError::invalid("encoding_format", "encoding_format must be float or base64"))
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Vec<Item<'a>>,
    model: &'a str,
    usage: Counts,
}

#[derive(Serialize)]
struct Item<'a> {
    object: &'static str,
    index: usize,
    embedding: Written<'a>,
}

#[derive(Serialize)]
struct Counts {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Writes the answer to `request`.
pub fn write_answer(answer: &EmbeddingResponse, request: &EmbeddingRequest) -> Vec<u8> {
    let format = request.format.unwrap_or(EmbeddingFormat::Float);
    let item =
        |(index, vector)| Item { object: "embedding", index, embedding: written(vector, format) };
    let usage = answer.usage.unwrap_or_default();
    let named = Some(answer.model.as_str()).filter(|model| !model.is_empty());
    let answer = Answer {
        object: "list",
        data: answer.vectors.iter().enumerate().map(item).collect(),
        model: named.unwrap_or(&request.model),
        usage: Counts { prompt_tokens: usage.prompt(), total_tokens: usage.total() },
    };
    Json::of(&answer).get().as_bytes().to_vec()
}
