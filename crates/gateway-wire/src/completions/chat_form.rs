//! Responses of the Completions API in the form of chats, which one decoder reads.
//!
//! ```text
//! {"choices":[{"index":0,"text":"a","logprobs":{..},"finish_reason":null}], ..}
//! {"choices":[{"index":0,"message":{"content":"a"},"logprobs":{..},"finish_reason":null}], ..}
//! ```

use crate::unreadable;
use bytes::Bytes;
use gateway_core::{Extra, Json, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct CompletionChoiceInWire<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
    #[serde(default)]
    logprobs: Option<CompletionLogprobsInWire>,
}

/// The likeliest tokens at one place, with their log probabilities.
type TokenAlternatives = BTreeMap<String, Option<f64>>;

#[derive(Default, Deserialize)]
#[serde(default)]
struct CompletionLogprobsInWire {
    tokens: Option<Vec<String>>,
    token_logprobs: Option<Vec<Option<f64>>>,
    top_logprobs: Option<Vec<Option<TokenAlternatives>>>,
}

#[derive(Serialize)]
struct ChatChoiceFormWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<TextFormWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<TextFormWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<LogprobsFormWire>,
    finish_reason: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct TextFormWire<'a> {
    content: &'a str,
}

#[derive(Serialize)]
struct LogprobsFormWire {
    content: Vec<TokenFormWire>,
}

#[derive(Serialize)]
struct TokenFormWire {
    token: String,
    logprob: Option<f64>,
    top_logprobs: Vec<AlternativeFormWire>,
}

#[derive(Serialize)]
struct AlternativeFormWire {
    token: String,
    logprob: Option<f64>,
}

/// Returns a whole response in the form of a chat's.
///
/// # Errors
///
/// If it is no response.
pub(super) fn whole(body: &[u8]) -> Result<Bytes> {
    converted(body, true)
}

/// Returns a block of whole events in the form of a chat's.
///
/// # Errors
///
/// If the data of an event is no chunk of a response.
pub(super) fn events(block: &[u8]) -> Result<Bytes> {
    let mut out = Vec::with_capacity(block.len());
    for line in block.split_inclusive(|byte| *byte == b'\n') {
        let data = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii);
        match data.filter(|data| data.starts_with(b"{")) {
            Some(data) => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(&converted(data, false)?);
                out.push(b'\n');
            }
            None => out.extend_from_slice(line),
        }
    }
    Ok(out.into())
}

fn converted(json: &[u8], is_whole: bool) -> Result<Bytes> {
    let mut response: Extra = serde_json::from_slice(json).map_err(unreadable)?;
    if let Some(choices) = response.remove("choices") {
        let choices: Vec<CompletionChoiceInWire<'_>> = choices.read().map_err(unreadable)?;
        let choices: Vec<_> = choices.iter().map(|choice| choice_form(choice, is_whole)).collect();
        response.push("choices", Json::of(&choices));
    }
    Ok(Json::of(&response).get().as_bytes().to_vec().into())
}

fn choice_form<'a>(
    choice: &'a CompletionChoiceInWire<'_>,
    is_whole: bool,
) -> ChatChoiceFormWire<'a> {
    let text = || Some(TextFormWire { content: choice.text.as_deref().unwrap_or_default() });
    ChatChoiceFormWire {
        index: choice.index,
        message: if is_whole { text() } else { None },
        delta: if is_whole { None } else { text() },
        logprobs: choice.logprobs.as_ref().and_then(logprobs_form),
        finish_reason: choice.finish_reason,
    }
}

/// Returns an object for each token, instead of a list for each property.
fn logprobs_form(logprobs: &CompletionLogprobsInWire) -> Option<LogprobsFormWire> {
    let tokens = logprobs.tokens.as_ref()?;
    let own = logprobs.token_logprobs.as_deref().unwrap_or_default();
    let top = logprobs.top_logprobs.as_deref().unwrap_or_default();
    let content = tokens.iter().enumerate().map(|(at, token)| {
        let alternatives = top.get(at).and_then(Option::as_ref).into_iter().flatten();
        TokenFormWire {
            token: token.clone(),
            logprob: own.get(at).copied().flatten(),
            top_logprobs: alternatives
                .map(|(token, logprob)| AlternativeFormWire {
                    token: token.clone(),
                    logprob: *logprob,
                })
                .collect(),
        }
    });
    Some(LogprobsFormWire { content: content.collect() })
}
