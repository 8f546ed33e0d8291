//! Log probabilities of tokens: chats write an object for each token, completions a list for each
//! property.

use gateway_core::Json;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChatLogprobsWire {
    content: Option<Vec<ChatTokenLogprobWire>>,
    refusal: Option<Vec<ChatTokenLogprobWire>>,
}

#[derive(Deserialize)]
struct ChatTokenLogprobWire {
    #[serde(rename = "token")]
    text: String,
    #[serde(default)]
    logprob: Option<f64>,
    #[serde(default)]
    top_logprobs: Option<Vec<Self>>,
}

/// The log probabilities of a continuation, or of a piece of it.
#[derive(Default, Serialize)]
pub(super) struct CompletionLogprobsWire {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f64>>,
    top_logprobs: Vec<BTreeMap<String, Option<f64>>>,
    text_offset: Vec<usize>,
}

impl CompletionLogprobsWire {
    /// Appends the log probabilities of a chat choice. `offset` is the position of the next token,
    /// in characters, and is advanced.
    pub(super) fn add(&mut self, told: &Json, offset: &mut usize) {
        let Ok(told) = told.read::<ChatLogprobsWire>() else { return };
        for token in told.content.into_iter().chain(told.refusal).flatten() {
            let others = token.top_logprobs.unwrap_or_default();
            self.text_offset.push(*offset);
            *offset += token.text.chars().count();
            self.top_logprobs.push(others.into_iter().map(|it| (it.text, it.logprob)).collect());
            self.tokens.push(token.text);
            self.token_logprobs.push(token.logprob);
        }
    }

    /// Returns the lists, or `None` if they are empty.
    pub(super) fn non_empty(self) -> Option<Self> {
        Some(self).filter(|it| !it.tokens.is_empty())
    }
}
