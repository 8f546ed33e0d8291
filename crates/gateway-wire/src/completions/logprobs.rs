//! Likelihoods of tokens: chats write an object for each token, completions a list for each
//! property.

use gateway_core::Json;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chat {
    content: Option<Vec<Token>>,
    refusal: Option<Vec<Token>>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(rename = "token")]
    text: String,
    #[serde(default)]
    logprob: Option<f64>,
    #[serde(default)]
    top_logprobs: Option<Vec<Self>>,
}

/// The likelihoods of a continuation, or of a piece of it.
#[derive(Default, Serialize)]
pub(super) struct Likelihoods {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f64>>,
    top_logprobs: Vec<BTreeMap<String, Option<f64>>>,
    text_offset: Vec<usize>,
}

impl Likelihoods {
    /// Adds what a chat tells. The next token begins at `offset`, in characters, which is moved on.
    pub(super) fn add(&mut self, told: &Json, offset: &mut usize) {
        let Ok(told) = told.read::<Chat>() else { return };
        for token in told.content.into_iter().chain(told.refusal).flatten() {
            let others = token.top_logprobs.unwrap_or_default();
            self.text_offset.push(*offset);
            *offset += token.text.chars().count();
            self.top_logprobs.push(others.into_iter().map(|it| (it.text, it.logprob)).collect());
            self.tokens.push(token.text);
            self.token_logprobs.push(token.logprob);
        }
    }

    /// Nothing is better told as nothing.
    pub(super) fn told(self) -> Option<Self> {
        Some(self).filter(|it| !it.tokens.is_empty())
    }
}
