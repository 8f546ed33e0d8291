//! Encodes whole responses of the Completions API.

use super::{echo, finish_reason, logprobs::CompletionLogprobsWire};
use crate::{ResponseContext, chat::usage::ChatUsageOutWire};
use gateway_core::{ChatResponse, Choice, Content, Json, Part, Usage};
use serde::Serialize;

/// A whole response, or a chunk of a streamed one.
#[derive(Serialize)]
pub(super) struct CompletionWire<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    pub(super) choices: &'a [CompletionChoiceWire<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system_fingerprint: Option<&'a Json>,
}

/// A choice of a [`CompletionWire`].
#[derive(Serialize)]
pub(super) struct CompletionChoiceWire<'a> {
    pub(super) text: &'a str,
    pub(super) index: usize,
    pub(super) logprobs: Option<CompletionLogprobsWire>,
    pub(super) finish_reason: Option<&'static str>,
}

/// Encodes a whole response.
pub(super) fn encode(answer: &ChatResponse, mut reply: ResponseContext) -> Vec<u8> {
    let texts: Vec<String> = answer
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let mut text = echo(&reply.payload, index);
            choice.message.parts.iter().for_each(|part| text.push_str(text_of(part)));
            text
        })
        .collect();
    let choices: Vec<CompletionChoiceWire<'_>> = answer
        .choices
        .iter()
        .zip(&texts)
        .enumerate()
        .map(|(index, (choice, text))| {
            let logprobs = likelihoods(choice, echo(&reply.payload, index).chars().count());
            let finish = choice.finish.as_ref().map(|finish| finish_reason::encode(finish.reason));
            CompletionChoiceWire { text, index, logprobs, finish_reason: finish }
        })
        .collect();
    let own_id = reply.ids.next("cmpl-");
    let known = |text: &'_ str| !text.is_empty();
    let answer = CompletionWire {
        id: Some(answer.id.as_str()).filter(|id| known(id)).unwrap_or(&own_id),
        object: OBJECT,
        created: answer.created.unwrap_or(reply.created),
        model: Some(answer.model.as_str()).filter(|it| known(it)).unwrap_or(&reply.model),
        choices: &choices,
        usage: answer.usage.as_ref().map(written),
        system_fingerprint: answer.extra.get("system_fingerprint"),
    };
    serde_json::to_vec(&answer).unwrap_or_default()
}

pub(super) const OBJECT: &str = "text_completion";

pub(super) fn written(usage: &Usage) -> Json {
    Json::of(&ChatUsageOutWire::from(usage))
}

/// The text of `part` that continues the prompt; empty for other parts.
fn text_of(part: &Part) -> &str {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => text,
        Content::Image(_)
        | Content::Audio(_)
        | Content::File(_)
        | Content::Reasoning(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_)
        | Content::Opaque(_) => "",
    }
}

fn likelihoods(choice: &Choice, mut offset: usize) -> Option<CompletionLogprobsWire> {
    let mut all = CompletionLogprobsWire::default();
    choice.logprobs.iter().for_each(|told| all.add(told, &mut offset));
    all.non_empty()
}
