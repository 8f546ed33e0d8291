//! Items of the input as messages.
//!
//! Adjacent items of the model become one message: what it said, thought and called belongs
//! together for every upstream that knows messages only.

use crate::json::{
    lazy_object::first_byte,
    path::{items, read_param},
};
use crate::responses::{
    decode_request_content::content, decode_response_items::GAP, reasoning_seals,
};
use gateway_core::{
    Content, Dialect, GatewayError, Message, Opaque, Part, Reasoning, Result, Role, Seal, SealKind,
    ToolCall, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The messages that `input` holds: text, or items.
pub(super) fn messages(input: &RawValue) -> Result<Vec<Message>> {
    match first_byte(input) {
        b'"' => {
            Ok(vec![Message::text(Role::User, read_param::<String>(input, || "input".into())?)])
        }
        b'[' => {
            let mut reader = InputDecoder::default();
            for (at, item) in items(input, "input")?.into_iter().enumerate() {
                reader.item(item, &format!("input[{at}]"))?;
            }
            Ok(reader.finish())
        }
        _ => Err(GatewayError::invalid("input", "input is a string or a list of items")),
    }
}

#[derive(Default)]
struct InputDecoder {
    messages: Vec<Message>,
    /// Proofs of calls, which stand apart from them.
    seals: Vec<(String, Seal)>,
}

#[derive(Deserialize)]
struct ItemTypeWire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    namespace: Option<String>,
}

impl InputDecoder {
    fn item(&mut self, item: &RawValue, param: &str) -> Result<()> {
        if first_byte(item) == b'"' {
            let text: String = read_param(item, || param.to_owned())?;
            self.messages.push(Message::text(Role::User, text));
            return Ok(());
        }
        let ItemTypeWire { kind, namespace } = read_param(item, || param.to_owned())?;
        match kind.as_deref() {
            None | Some("message") => self.message(item, param),
            Some("reasoning") => self.reasoning(item, param),
            Some(kind @ ("function_call" | "custom_tool_call")) if namespace.is_none() => {
                self.call(item, kind == "custom_tool_call", param)
            }
            Some("function_call_output" | "custom_tool_call_output") => self.result(item, param),
            Some(kind) => {
                self.opaque(kind, item);
                Ok(())
            }
        }
    }

    fn message(&mut self, item: &RawValue, param: &str) -> Result<()> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            role: Option<Cow<'a, str>>,
            #[serde(borrow)]
            content: Option<&'a RawValue>,
        }
        let Wire { role, content: raw } = read_param(item, || param.to_owned())?;
        let role = match role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            Some(_) | None => {
                let message = "the role is 'user', 'assistant', 'system' or 'developer'";
                return Err(GatewayError::invalid(format!("{param}.role"), message));
            }
        };
        let param = format!("{param}.content");
        let raw = raw.ok_or_else(|| GatewayError::invalid(param.clone(), "content is required"))?;
        let parts = content(raw, &param)?;
        if role == Role::Assistant && self.continues() {
            self.turn(role).extend(parts);
        } else {
            self.messages.push(Message { role, parts, name: None });
        }
        Ok(())
    }

    /// Returns whether the model's last message has not said anything since it thought or called.
    fn continues(&self) -> bool {
        let last = self.messages.last().filter(|last| last.role == Role::Assistant);
        let last = last.and_then(|last| last.parts.last());
        last.is_some_and(|part| !matches!(part.content, Content::Text(_) | Content::Refusal(_)))
    }

    /// The parts of the last message, if `role` said it; else of a new one.
    fn turn(&mut self, role: Role) -> &mut Vec<Part> {
        if self.messages.last().is_none_or(|last| last.role != role) {
            self.messages.push(Message { role, parts: Vec::new(), name: None });
        }
        let at = self.messages.len() - 1;
        // The last one, which there is.
        #[expect(clippy::indexing_slicing, reason = "just pushed, or there before")]
        &mut self.messages[at].parts
    }

    fn push(&mut self, role: Role, content: Content) {
        self.turn(role).push(content.into());
    }

    fn reasoning(&mut self, item: &RawValue, param: &str) -> Result<()> {
        #[derive(Deserialize)]
        struct Wire {
            id: Option<String>,
            summary: Option<Vec<Text>>,
            content: Option<Vec<Text>>,
            encrypted_content: Option<String>,
        }
        #[derive(Deserialize)]
        struct Text {
            #[serde(default)]
            text: String,
        }
        let Wire { id, summary, content, encrypted_content } =
            read_param(item, || param.to_owned())?;
        let texts = summary.into_iter().chain(content).flatten().map(|part| part.text);
        let text = texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(GAP);
        let seal = match encrypted_content.filter(|data| !data.is_empty()) {
            Some(data) => {
                let (seal, call) = reasoning_seals::unwrap(data, id);
                if let Some(call) = call {
                    self.seals.push((call, seal));
                    return Ok(());
                }
                Some(seal)
            }
            // An item that is kept upstream is known there by its name.
            None => id.map(|id| Seal {
                dialect: Dialect::Responses,
                kind: SealKind::Encrypted,
                id: Some(id),
                data: String::new(),
            }),
        };
        self.push(Role::Assistant, Content::Reasoning(Reasoning { text, seal }));
        Ok(())
    }

    fn call(&mut self, item: &RawValue, custom: bool, param: &str) -> Result<()> {
        #[derive(Deserialize)]
        struct Wire {
            call_id: Option<String>,
            name: Option<String>,
            arguments: Option<String>,
            input: Option<String>,
        }
        let Wire { call_id, name, arguments, input } = read_param(item, || param.to_owned())?;
        let id = required(call_id, param, "call_id")?;
        let name = required(name, param, "name")?;
        let arguments = if custom { input } else { arguments }.unwrap_or_default();
        let call = ToolCall { id, name, arguments, custom, seal: None };
        self.push(Role::Assistant, Content::ToolCall(call));
        Ok(())
    }

    fn result(&mut self, item: &RawValue, param: &str) -> Result<()> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            call_id: Option<String>,
            #[serde(borrow)]
            output: Option<&'a RawValue>,
        }
        let Wire { call_id, output } = read_param(item, || param.to_owned())?;
        let call_id = required(call_id, param, "call_id")?;
        let parts = match output {
            // Some clients send the result itself instead of its text.
            Some(raw) if matches!(first_byte(raw), b'"' | b'[') => {
                content(raw, &format!("{param}.output"))?
            }
            Some(raw) => vec![Content::Text(raw.get().to_owned()).into()],
            None => {
                return Err(GatewayError::invalid(format!("{param}.output"), "output is required"));
            }
        };
        let name = self.name_of(&call_id);
        let result = ToolResult { call_id, name, parts, is_error: false };
        self.push(Role::Tool, Content::ToolResult(result));
        Ok(())
    }

    /// The tool that was called by this name of a call.
    fn name_of(&self, call_id: &str) -> Option<String> {
        let calls = self.messages.iter().rev().flat_map(Message::tool_calls);
        calls.into_iter().find(|call| call.id == call_id).map(|call| call.name.clone())
    }

    fn opaque(&mut self, kind: &str, item: &RawValue) {
        let is_the_callers = kind.ends_with("_output") || kind.ends_with("_response");
        let role = if is_the_callers { Role::Tool } else { Role::Assistant };
        let (dialect, kind) = (Dialect::Responses, kind.to_owned());
        self.push(role, Content::Opaque(Opaque { dialect, kind, json: item.into() }));
    }

    /// The messages, with each seal at the call that it proves.
    fn finish(mut self) -> Vec<Message> {
        for (id, seal) in self.seals {
            let parts = self.messages.iter_mut().flat_map(|message| &mut message.parts);
            let mut calls = parts.filter_map(|part| {
                if let Content::ToolCall(call) = &mut part.content { Some(call) } else { None }
            });
            if let Some(call) = calls.find(|call| call.id == id) {
                call.seal = Some(seal);
            }
        }
        self.messages
    }
}

fn required(value: Option<String>, param: &str, name: &str) -> Result<String> {
    value.ok_or_else(|| {
        GatewayError::invalid(format!("{param}.{name}"), format!("{name} is required"))
    })
}
