//! Decodes requests to OpenAI's `/v1/embeddings`.

use gateway_core::{
    EmbeddingFormat, EmbeddingInput, EmbeddingRequest, Extra, GatewayError, Result,
};
use serde::{Deserialize, de::DeserializeOwned};

/// `input` in its four spellings.
#[derive(Deserialize)]
#[serde(untagged)]
enum EmbeddingInputWire {
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

fn inputs(input: EmbeddingInputWire) -> Vec<EmbeddingInput> {
    match input {
        EmbeddingInputWire::Text(text) => vec![EmbeddingInput::Text(text)],
        EmbeddingInputWire::Texts(texts) => texts.into_iter().map(EmbeddingInput::Text).collect(),
        EmbeddingInputWire::Tokens(tokens) => vec![EmbeddingInput::Tokens(tokens)],
        EmbeddingInputWire::TokenLists(lists) => {
            lists.into_iter().map(EmbeddingInput::Tokens).collect()
        }
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
