//! The side that faces an upstream with OpenAI's `/embeddings`.

use super::{Embedder, same_number, vector::either};
use crate::{Encoded, Fault, unreadable};
use gateway_core::{
    DroppedParams, EmbeddingFormat, EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Extra,
    GatewayError, Json, Result, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Speaks OpenAI's dialect to an upstream.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiEmbeddings;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<Input<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a Extra,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Text(&'a str),
    Tokens(&'a [u64]),
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<Vec<Item<'a>>>,
    model: Option<String>,
    usage: Option<Counts>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
    index: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Failure {
    Sentence(String),
    Object {
        message: Option<String>,
        #[serde(rename = "type")]
        kind: Option<String>,
    },
}

impl Embedder for OpenAiEmbeddings {
    fn embed_request(&self, request: &EmbeddingRequest, model: &str) -> Result<Encoded> {
        let input = request.inputs.iter().map(|input| match input {
            EmbeddingInput::Text(text) => Input::Text(text),
            EmbeddingInput::Tokens(tokens) => Input::Tokens(tokens),
        });
        let body = Body {
            model,
            input: input.collect(),
            dimensions: request.dimensions,
            encoding_format: request.format.map(|format| match format {
                EmbeddingFormat::Float => "float",
                EmbeddingFormat::Base64 => "base64",
            }),
            user: request.user.as_deref(),
            extra: &request.extra,
        };
        Ok(Encoded::whole(Json::of(&body).get().to_owned(), DroppedParams::default()))
    }

    fn read_embeddings(
        &self,
        request: &EmbeddingRequest,
        body: &[u8],
    ) -> Result<EmbeddingResponse> {
        let answer: Answer<'_> = serde_json::from_slice(body).map_err(unreadable)?;
        if let Some(error) = answer.error {
            return Err(error.into_error());
        }
        let mut items = answer.data.ok_or_else(|| unreadable("there is no data"))?;
        // Who names no index keeps the order.
        items.sort_by_key(|item| item.index.unwrap_or(0));
        let vectors = items.iter().map(|item| either(item.embedding)).collect::<Result<_>>()?;
        Ok(EmbeddingResponse {
            model: answer.model.unwrap_or_default(),
            vectors: same_number(request, vectors)?,
            usage: answer.usage.map(Counts::into_usage),
        })
    }
}

impl Counts {
    fn into_usage(self) -> Usage {
        let input = self.prompt_tokens.or(self.total_tokens).unwrap_or(0);
        let stated_total = self.total_tokens.filter(|total| *total != input);
        Usage { input, stated_total, ..Usage::default() }
    }
}

impl Failure {
    fn into_error(self) -> GatewayError {
        let (message, kind) = match self {
            Self::Sentence(message) => (Some(message), None),
            Self::Object { message, kind } => (message, kind),
        };
        Fault { message, kind, ..Fault::default() }.into_error()
    }
}
