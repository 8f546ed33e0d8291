//! Whole responses, as callers read them.

use super::{
    encode_request_contents::{FunctionCallOutWire, GeminiPartOutWire, TextPartWire},
    encode_response_notes::{GroundingOutWire, LogprobsResultWire},
    finish_reason,
    usage::UsageMetadataOutWire,
};
use crate::{ResponseContext, tool_arguments};
use gateway_core::{ChatResponse, Choice, Content, Dialect, Reasoning, Seal, SealKind};
use serde::Serialize;

/// A whole response, or one step of a streamed one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeminiResponseOutWire<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) candidates: Vec<CandidateOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_metadata: Option<UsageMetadataOutWire>,
    pub(super) model_version: &'a str,
    pub(super) response_id: &'a str,
}

/// A choice of the response, as far as the step goes.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CandidateOutWire<'a> {
    pub(super) content: ContentOutWire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'a str>,
    pub(super) index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grounding_metadata: Option<GroundingOutWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs_result: Option<LogprobsResultWire>,
}

/// The content of a candidate.
#[derive(Debug, Serialize)]
pub(super) struct ContentOutWire<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<GeminiPartOutWire<'a>>,
}

impl Default for ContentOutWire<'_> {
    fn default() -> Self {
        Self { role: "model", parts: Vec::new() }
    }
}

/// Writes a whole response.
pub(super) fn encode(answer: &ChatResponse, mut reply: ResponseContext) -> Vec<u8> {
    let id = match &*answer.id {
        "" => reply.ids.next(""),
        id => id.to_owned(),
    };
    let model = if answer.model.is_empty() { &reply.model } else { &answer.model };
    let choices = (0..).zip(&answer.choices);
    let wire = GeminiResponseOutWire {
        candidates: choices.map(|(index, choice)| candidate(index, choice)).collect(),
        usage_metadata: Some(UsageMetadataOutWire::of(&answer.usage.unwrap_or_default())),
        model_version: model,
        response_id: &id,
    };
    serde_json::to_vec(&wire).unwrap_or_default()
}

fn candidate(index: u32, choice: &Choice) -> CandidateOutWire<'_> {
    let mut content = ContentOutWire::default();
    let (mut refused, mut calls, mut text) = (false, false, String::new());
    for part in &choice.message.parts {
        refused |= matches!(part.content, Content::Refusal(_));
        calls |= matches!(part.content, Content::ToolCall(_));
        if let Content::Text(more) = &part.content {
            text.push_str(more);
        }
        write_part(&part.content, &mut content.parts);
    }
    let finish = choice.finish.as_ref();
    CandidateOutWire {
        content,
        finish_reason: Some(finish.map_or("STOP", |it| finish_reason::encode(it, refused, calls))),
        index,
        grounding_metadata: GroundingOutWire::of(&choice.annotations, &text),
        logprobs_result: LogprobsResultWire::of(&choice.logprobs),
    }
}

/// Writes what the model said, if this dialect has a place for it.
pub(super) fn write_part<'a>(content: &'a Content, out: &mut Vec<GeminiPartOutWire<'a>>) {
    match content {
        Content::Text(text) | Content::Refusal(text) if !text.is_empty() => {
            out.push(GeminiPartOutWire::Text(TextPartWire { text }));
        }
        Content::Reasoning(Reasoning { text, seal }) => {
            let signature = seal.as_ref().and_then(ours);
            if !text.is_empty() || signature.is_some() {
                out.push(GeminiPartOutWire::Thought { text, thought: !text.is_empty(), signature });
            }
        }
        Content::ToolCall(call) => out.push(GeminiPartOutWire::Call {
            call: FunctionCallOutWire {
                id: Some(&*call.id).filter(|id| !id.is_empty()),
                name: &call.name,
                args: tool_arguments::arguments(&call.arguments, call.custom),
            },
            signature: call.seal.as_ref().and_then(ours),
        }),
        Content::Opaque(it) if it.dialect == Dialect::Gemini => {
            out.push(GeminiPartOutWire::Raw(&it.json));
        }
        // Empty text, what other dialects alone know, and what no model responds with.
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Opaque(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::File(_)
        | Content::ToolResult(_) => {}
    }
}

/// The signature of `seal`, if it is of this dialect: another would be taken for a forged one.
fn ours(seal: &Seal) -> Option<&str> {
    let is_ours = seal.dialect == Dialect::Gemini && seal.kind == SealKind::Signature;
    is_ours.then_some(&*seal.data)
}
