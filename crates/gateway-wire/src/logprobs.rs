//! Log probabilities of tokens, as OpenAI Chat writes them.

use gateway_core::Json;
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
struct LogprobsWire<'a> {
    content: Vec<LogprobWire<'a>>,
    refusal: Option<()>,
}

/// A token, and those that could have stood in its place.
#[derive(Serialize)]
pub(crate) struct LogprobWire<'a> {
    #[serde(rename = "token")]
    pub(crate) text: &'a str,
    pub(crate) logprob: Option<&'a RawValue>,
    pub(crate) bytes: &'a [u8],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top_logprobs: Option<Vec<Self>>,
}

/// The log probabilities of `tokens`.
pub(crate) fn chat_logprobs(content: Vec<LogprobWire<'_>>) -> Json {
    Json::of(&LogprobsWire { content, refusal: None })
}
