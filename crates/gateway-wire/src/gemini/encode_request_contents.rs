//! Encodes the conversation as Gemini's `contents`: alternating user and model turns, none of them
//! empty.

use super::media::{FileDataWire, InlineDataWire, MediaTypeGuess, part as media_part};
use crate::tool_arguments;
use gateway_core::{
    Content, Dialect, DroppedParams, GatewayError, Json, Message, Part, Reasoning, Result, Role,
    Seal, SealKind, ToolCall, ToolResult, plain_text,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

/// Stands in for a signature that the caller did not keep; Gemini documents it for that purpose.
/// In base64, as every signature.
pub(super) const PLACEHOLDER: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// The instructions and the turns of a conversation.
#[derive(Debug, Default)]
pub(super) struct GeminiContents<'a> {
    /// The system instructions, in order.
    pub(super) system: Vec<TextPartWire<'a>>,
    /// The turns of the conversation, in order.
    pub(super) turns: Vec<GeminiTurn<'a>>,
}

/// A text, and nothing else.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct TextPartWire<'a> {
    pub(super) text: &'a str,
}

/// Consecutive parts of one role.
#[derive(Debug, Serialize)]
pub(super) struct GeminiTurn<'a> {
    pub(super) role: GeminiRole,
    pub(super) parts: Vec<GeminiPartOutWire<'a>>,
    /// Responses to calls; they go before the other parts.
    #[serde(skip)]
    results: Vec<CallResult<'a>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum GeminiRole {
    User,
    Model,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum GeminiPartOutWire<'a> {
    Text(TextPartWire<'a>),
    Thought {
        text: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        thought: bool,
        #[serde(rename = "thoughtSignature", skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
    Call {
        #[serde(rename = "functionCall")]
        call: FunctionCallOutWire<'a>,
        #[serde(rename = "thoughtSignature", skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
    },
    Result {
        #[serde(rename = "functionResponse")]
        result: FunctionResponseWire<'a>,
    },
    Inline {
        #[serde(rename = "inlineData")]
        data: InlineDataWire<'a>,
    },
    File {
        #[serde(rename = "fileData")]
        file: FileDataWire<'a>,
    },
    Raw(&'a Json),
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionCallOutWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) args: Cow<'a, RawValue>,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionResponseWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: &'a str,
    response: Cow<'a, RawValue>,
}

/// A response to a call.
#[derive(Debug)]
struct CallResult<'a> {
    /// The position of the call among all calls.
    place: usize,
    name: &'a str,
    part: GeminiPartOutWire<'a>,
}

/// A call that was made earlier in the conversation.
#[derive(Clone, Copy, Debug)]
struct PriorCall<'a> {
    place: usize,
    id: Option<&'a str>,
    name: &'a str,
}

/// Encodes `messages` as system instructions and turns.
///
/// # Errors
///
/// If a message holds content that this dialect cannot express.
pub(super) fn contents<'a>(
    messages: &'a [Message],
    needs_signatures: bool,
    dropped: &mut DroppedParams,
) -> Result<GeminiContents<'a>> {
    let mut writer =
        ContentsEncoder { contents: GeminiContents::default(), calls: HashMap::new(), dropped };
    for message in messages {
        writer.message(message)?;
    }
    let mut contents = writer.contents;
    for turn in &mut contents.turns {
        turn.settle(needs_signatures);
    }
    Ok(contents)
}

struct ContentsEncoder<'a, 'l> {
    contents: GeminiContents<'a>,
    calls: HashMap<&'a str, PriorCall<'a>>,
    dropped: &'l mut DroppedParams,
}

impl<'a> ContentsEncoder<'a, '_> {
    fn message(&mut self, message: &'a Message) -> Result<()> {
        self.dropped.insert_if(message.name.is_some(), "name");
        let is_late = !self.contents.turns.is_empty() && !message.parts.is_empty();
        let is_instruction = matches!(message.role, Role::System | Role::Developer);
        // There is one place for instructions, before everything else.
        self.dropped.insert_if(is_late && is_instruction, "system_turns");
        let signed = message.tool_calls().any(|call| signature(call.seal.as_ref()).is_some());
        for part in &message.parts {
            match message.role {
                Role::System | Role::Developer => self.instruction(part)?,
                Role::User | Role::Tool => self.part(GeminiRole::User, part, signed)?,
                Role::Assistant => self.part(GeminiRole::Model, part, signed)?,
            }
        }
        Ok(())
    }

    fn instruction(&mut self, part: &'a Part) -> Result<()> {
        let Content::Text(text) = &part.content else {
            return Err(GatewayError::invalid(
                "messages",
                "the model's provider accepts only text as instructions",
            ));
        };
        if !text.is_empty() {
            self.contents.system.push(TextPartWire { text });
        }
        Ok(())
    }

    fn part(&mut self, speaker: GeminiRole, part: &'a Part, signed: bool) -> Result<()> {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => self.text(speaker, text),
            Content::Reasoning(reasoning) => self.reasoning(speaker, reasoning),
            Content::ToolCall(call) => self.call(call, signed),
            Content::ToolResult(result) => self.result(result)?,
            Content::Image(image) => {
                let detail = image.detail.as_deref().is_some_and(|detail| detail != "auto");
                self.dropped.insert_if(detail, "detail");
                self.push(speaker, media_part(&image.source, MediaTypeGuess::Image, None));
            }
            Content::Audio(source) => {
                self.push(speaker, media_part(source, MediaTypeGuess::Audio, None));
            }
            Content::File(file) => {
                self.push(
                    speaker,
                    media_part(&file.source, MediaTypeGuess::Document, file.name.as_deref()),
                );
            }
            Content::Opaque(opaque) if opaque.dialect == Dialect::Gemini => {
                self.push(speaker, GeminiPartOutWire::Raw(&opaque.json));
            }
            Content::Opaque(opaque) if speaker == GeminiRole::User => {
                return Err(GatewayError::invalid(
                    "messages",
                    format!("the model's provider does not support parts of type {}", opaque.kind),
                ));
            }
            Content::Opaque(opaque) => self.dropped.insert(opaque.kind.clone()),
        }
        Ok(())
    }

    fn text(&mut self, speaker: GeminiRole, text: &'a str) {
        if !text.is_empty() {
            self.push(speaker, GeminiPartOutWire::Text(TextPartWire { text }));
        }
    }

    /// Thinking that Gemini did not sign is of no use to it.
    fn reasoning(&mut self, speaker: GeminiRole, reasoning: &'a Reasoning) {
        if let Some(signature) = signature(reasoning.seal.as_ref()) {
            let text = reasoning.text.as_str();
            let (thought, signature) = (!text.is_empty(), Some(signature));
            self.push(speaker, GeminiPartOutWire::Thought { text, thought, signature });
        }
    }

    fn call(&mut self, call: &'a ToolCall, signed: bool) {
        let id = Some(call.id.as_str()).filter(|id| signed && !is_ours(id));
        let made = PriorCall { place: self.calls.len(), id, name: &call.name };
        self.calls.insert(&call.id, made);
        let args = tool_arguments::arguments(&call.arguments, call.custom);
        let call_part = GeminiPartOutWire::Call {
            call: FunctionCallOutWire { id, name: &call.name, args },
            signature: signature(call.seal.as_ref()),
        };
        self.push(GeminiRole::Model, call_part);
    }

    fn result(&mut self, result: &'a ToolResult) -> Result<()> {
        let made = self.calls.get(result.call_id.as_str()).copied();
        let named = result.name.as_deref();
        let place = made.map_or(usize::MAX, |made| made.place);
        let Some(name) = made.map(|made| made.name).or(named) else {
            return Err(GatewayError::invalid(
                "messages",
                "a tool result answers no tool call of the conversation",
            ));
        };
        let response = response(&plain_text(&result.parts), result.is_error);
        let id = made.and_then(|made| made.id);
        let told =
            GeminiPartOutWire::Result { result: FunctionResponseWire { id, name, response } };
        self.turn(GeminiRole::User).results.push(CallResult { place, name, part: told });
        for part in &result.parts {
            if !matches!(part.content, Content::Text(_)) {
                self.part(GeminiRole::User, part, false)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, speaker: GeminiRole, part: GeminiPartOutWire<'a>) {
        self.turn(speaker).parts.push(part);
    }

    /// The turn of `speaker`: the last one, if it is the speaker's, else a new one.
    fn turn(&mut self, speaker: GeminiRole) -> &mut GeminiTurn<'a> {
        let turns = &mut self.contents.turns;
        if turns.last().is_none_or(|last| last.role != speaker) {
            turns.push(GeminiTurn { role: speaker, parts: Vec::new(), results: Vec::new() });
        }
        let last = turns.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "there is one: pushed just above if need be")]
        &mut turns[last]
    }
}

impl<'a> GeminiTurn<'a> {
    /// A turn of the user.
    pub(super) fn user(texts: &[TextPartWire<'a>]) -> Self {
        let parts = texts.iter().copied().map(GeminiPartOutWire::Text).collect();
        Self { role: GeminiRole::User, parts, results: Vec::new() }
    }

    /// Returns whether the user speaks.
    pub(super) fn is_users(&self) -> bool {
        self.role == GeminiRole::User
    }

    /// Puts `texts` before everything else.
    pub(super) fn say_first(&mut self, texts: &[TextPartWire<'a>]) {
        self.parts.splice(0..0, texts.iter().copied().map(GeminiPartOutWire::Text));
    }

    /// Puts the results in front, and a signature where one must be.
    fn settle(&mut self, needs_signatures: bool) {
        let results = in_order(std::mem::take(&mut self.results));
        self.parts.splice(0..0, results);
        let first_call = self.parts.iter_mut().find_map(|part| {
            if let GeminiPartOutWire::Call { signature, .. } = part {
                Some(signature)
            } else {
                None
            }
        });
        if let Some(signature) = first_call.filter(|_| needs_signatures) {
            signature.get_or_insert(PLACEHOLDER);
        }
    }
}

/// Orders results of the same function name by their calls, since Gemini matches them by position.
fn in_order(mut results: Vec<CallResult<'_>>) -> Vec<GeminiPartOutWire<'_>> {
    let names: Vec<_> = results.iter().map(|result| result.name).collect();
    results.sort_by_key(|result| result.place);
    let mut waiting: HashMap<_, VecDeque<_>> = HashMap::new();
    for result in results {
        waiting.entry(result.name).or_default().push_back(result.part);
    }
    names.into_iter().filter_map(|name| waiting.get_mut(name)?.pop_front()).collect()
}

fn signature(seal: Option<&Seal>) -> Option<&str> {
    let seal = seal?;
    let is_ours = seal.dialect == Dialect::Gemini && seal.kind == SealKind::Signature;
    is_ours.then_some(seal.data.as_str())
}

/// Returns whether [`IdGenerator`](crate::Ids) made this id: Gemini knows nothing of it.
fn is_ours(id: &str) -> bool {
    id.strip_prefix("call_").is_some_and(|digits| {
        digits.len() == 32
            && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// A tool's response as an object, which it must be.
fn response(text: &str, is_error: bool) -> Cow<'static, RawValue> {
    let object = tool_arguments::as_object(text);
    Cow::Owned(match (object, is_error) {
        (Some(object), false) => object.to_owned(),
        (Some(object), true) => tool_arguments::wrapped("error", &object),
        (None, true) => tool_arguments::wrapped("error", &text),
        (None, false) => match tool_arguments::as_array(text) {
            Some(array) => tool_arguments::wrapped("result", &array),
            None => tool_arguments::wrapped("result", &text),
        },
    })
}
