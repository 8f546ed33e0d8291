//! Writes the messages of a request.

use super::{
    encode_request_parts::{self, ChatPartsWire, EncodedPart},
    encode_response_parts::{self, ToolCallOutWire},
    quirks::{ChatFeature, Quirks, ReasoningHistory, ResponseHandling},
};
use gateway_core::{
    Content, DroppedParams, Message, Part, Reasoning, Role, ToolCall, ToolResult, plain_text,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Default, Serialize)]
pub(super) struct ChatMessageOutWire<'a> {
    role: &'static str,
    /// `null` beside what is not text.
    content: Option<ChatPartsWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "encode_response_parts::is_empty")]
    reasoning_details: Vec<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "encode_response_parts::is_empty")]
    tool_calls: Vec<ToolCallOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

/// Encodes the conversation as a list of messages.
pub(super) fn messages<'a>(
    quirks: &Quirks,
    messages: &'a [Message],
    dropped: &mut DroppedParams,
) -> Vec<ChatMessageOutWire<'a>> {
    let mut writer = ChatMessageEncoder {
        quirks,
        dropped,
        out: Vec::with_capacity(messages.len()),
        shown: Vec::new(),
    };
    for message in messages {
        writer.message(message);
    }
    writer.show();
    writer.out
}

struct ChatMessageEncoder<'a, 'l> {
    quirks: &'l Quirks,
    dropped: &'l mut DroppedParams,
    out: Vec<ChatMessageOutWire<'a>>,
    /// Images and files of tool results. `tool` messages hold text only, so a user message after
    /// them carries these parts.
    shown: Vec<EncodedPart<'a>>,
}

impl<'a> ChatMessageEncoder<'a, '_> {
    fn message(&mut self, message: &'a Message) {
        let mut results = 0;
        for part in &message.parts {
            if let Content::ToolResult(result) = &part.content {
                results += 1;
                self.result(result);
            }
        }
        if results > 0 && results == message.parts.len() {
            return;
        }
        self.show();
        let name = message.name.as_deref();
        self.dropped.insert_if(name.is_some() && !self.quirks.knows(ChatFeature::Names), "name");
        let name = name.filter(|_| self.quirks.knows(ChatFeature::Names));
        let wire = match message.role {
            Role::Assistant => self.assistant(&message.parts),
            Role::Developer if self.quirks.knows(ChatFeature::Developer) => {
                self.plain("developer", &message.parts)
            }
            Role::System | Role::Developer => self.plain("system", &message.parts),
            Role::User | Role::Tool => self.plain("user", &message.parts),
        };
        self.out.push(ChatMessageOutWire { name, ..wire });
    }

    /// Appends the pending media of tool results as a user message.
    fn show(&mut self) {
        if !self.shown.is_empty() {
            let content = Some(ChatPartsWire(std::mem::take(&mut self.shown)));
            self.out.push(ChatMessageOutWire {
                role: "user",
                content,
                ..ChatMessageOutWire::default()
            });
        }
    }

    fn parts(&mut self, parts: &'a [Part]) -> Vec<EncodedPart<'a>> {
        parts
            .iter()
            .filter_map(|part| encode_request_parts::part(self.quirks, part, self.dropped))
            .collect()
    }

    fn plain(&mut self, role: &'static str, parts: &'a [Part]) -> ChatMessageOutWire<'a> {
        ChatMessageOutWire {
            role,
            content: Some(ChatPartsWire(self.parts(parts))),
            ..ChatMessageOutWire::default()
        }
    }

    fn result(&mut self, result: &'a ToolResult) {
        let (texts, others): (Vec<_>, Vec<_>) =
            result.parts.iter().partition(|part| matches!(part.content, Content::Text(_)));
        for part in others {
            self.shown.extend(encode_request_parts::part(self.quirks, part, self.dropped));
        }
        let mut parts: Vec<EncodedPart<'a>> = Vec::with_capacity(texts.len() + 1);
        // What says so itself stays what it is: JSON.
        if result.is_error && !plain_text(&result.parts).starts_with("{\"error\"") {
            parts.push(EncodedPart::text("Error: "));
        }
        for part in texts {
            parts.extend(encode_request_parts::part(self.quirks, part, self.dropped));
        }
        self.out.push(ChatMessageOutWire {
            role: "tool",
            content: Some(ChatPartsWire(parts)),
            tool_call_id: Some(&result.call_id),
            ..ChatMessageOutWire::default()
        });
    }

    fn assistant(&mut self, parts: &'a [Part]) -> ChatMessageOutWire<'a> {
        let mut wire = ChatMessageOutWire { role: "assistant", ..ChatMessageOutWire::default() };
        // Others do not know refusals, and read what was said.
        let refusals = self.quirks.answers == ResponseHandling::Verbatim;
        let mut said: Vec<EncodedPart<'a>> = Vec::new();
        for part in parts {
            match &part.content {
                Content::ToolCall(call) => wire.tool_calls.push(self.call(call)),
                Content::Refusal(text) if refusals => append(&mut wire.refusal, text),
                Content::Text(_)
                | Content::Refusal(_)
                | Content::Image(_)
                | Content::Audio(_)
                | Content::File(_)
                | Content::Opaque(_) => {
                    said.extend(encode_request_parts::part(self.quirks, part, self.dropped));
                }
                Content::Reasoning(it) => self.write_reasoning(it, &mut wire),
                Content::ToolResult(_) => {}
            }
        }
        if self.quirks.history == ReasoningHistory::Required && !wire.tool_calls.is_empty() {
            wire.reasoning_content.get_or_insert_default();
        }
        let silent = wire.tool_calls.is_empty() && wire.refusal.is_none();
        wire.content = (silent || !said.is_empty()).then_some(ChatPartsWire(said));
        wire
    }

    fn write_reasoning(&self, it: &'a Reasoning, wire: &mut ChatMessageOutWire<'a>) {
        let place = match self.quirks.history {
            ReasoningHistory::Nothing => return,
            ReasoningHistory::Text | ReasoningHistory::Required => &mut wire.reasoning_content,
            ReasoningHistory::Details => {
                wire.reasoning_details
                    .extend(it.seal.iter().flat_map(encode_response_parts::details));
                &mut wire.reasoning
            }
        };
        if !it.text.is_empty() {
            append(place, &it.text);
        }
    }

    fn call(&mut self, call: &'a ToolCall) -> ToolCallOutWire<'a> {
        let custom = call.custom && self.quirks.knows(ChatFeature::CustomTools);
        self.dropped.insert_if(call.custom && !custom, "tools.custom");
        ToolCallOutWire::new(&call.name, &call.arguments, custom).begin(&call.id)
    }
}

fn append<'a>(place: &mut Option<Cow<'a, str>>, text: &'a str) {
    match place {
        Some(before) => before.to_mut().push_str(text),
        None => *place = Some(Cow::Borrowed(text)),
    }
}
