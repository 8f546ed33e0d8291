//! Likelihoods of tokens, as OpenAI Chat writes them.

use gateway_core::Json;
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Logprobs<'a> {
    content: Vec<Token<'a>>,
    refusal: Option<()>,
}

/// A token, and those that could have stood in its place.
#[derive(Serialize)]
pub(crate) struct Token<'a> {
    #[serde(rename = "token")]
    pub(crate) text: &'a str,
    pub(crate) logprob: Option<&'a RawValue>,
    pub(crate) bytes: &'a [u8],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_logprobs: Option<Vec<Self>>,
}

/// The likelihoods of `tokens`.
pub(crate) fn told(content: Vec<Token<'_>>) -> Json {
    Json::of(&Logprobs { content, refusal: None })
}
