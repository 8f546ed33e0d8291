//! Encodes the conversation as Ollama's messages.

use super::media::{inline_image, unsupported_kind};
use crate::tool_arguments;
use gateway_core::{
    Content, DroppedParams, GatewayError, Message, Part, Result, Role, ToolCall, ToolResult,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::HashMap};

#[derive(Debug, Default, Serialize)]
pub(super) struct OllamaMessageWire<'a> {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<OllamaCallWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct OllamaCallWire<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    function: OllamaCallFunctionWire<'a>,
}

#[derive(Debug, Serialize)]
struct OllamaCallFunctionWire<'a> {
    name: &'a str,
    arguments: Cow<'a, RawValue>,
}

/// Encodes `messages`.
///
/// # Errors
///
/// If a message holds content that this dialect cannot express.
pub(super) fn messages<'a>(
    messages: &'a [Message],
    dropped: &mut DroppedParams,
) -> Result<Vec<OllamaMessageWire<'a>>> {
    let mut writer = OllamaMessageEncoder { told: Vec::new(), names: HashMap::new(), dropped };
    for message in messages {
        writer.message(message)?;
    }
    Ok(writer.told)
}

struct OllamaMessageEncoder<'a, 'l> {
    told: Vec<OllamaMessageWire<'a>>,
    /// The tools that were called, by the ids of the calls.
    names: HashMap<&'a str, &'a str>,
    dropped: &'l mut DroppedParams,
}

impl<'a> OllamaMessageEncoder<'a, '_> {
    /// Results become messages of their own, before what else is said with them.
    fn message(&mut self, message: &'a Message) -> Result<()> {
        self.dropped.insert_if(message.name.is_some(), "name");
        let mut told =
            OllamaMessageWire { role: message.role.classic_name(), ..OllamaMessageWire::default() };
        let mut unread = None;
        for part in &message.parts {
            if let Some(kind) = unsupported_kind(part) {
                unread = Some(kind);
                continue;
            }
            if let Content::ToolResult(result) = &part.content {
                self.result(result)?;
            } else {
                self.part(message.role, part, &mut told)?;
            }
        }
        let only_results = matches!(message.role, Role::User | Role::Tool)
            && message.parts.iter().any(|part| matches!(part.content, Content::ToolResult(_)));
        if let Some(kind) = unread {
            // What is said beside it still means something; by itself, nothing is left.
            if told.is_empty() {
                return Err(cannot_read(kind));
            }
            self.dropped.insert(format!("messages.{kind}"));
        }
        if !told.is_empty() || (message.role == Role::User && !only_results) {
            self.told.push(told);
        }
        Ok(())
    }

    fn part(&mut self, role: Role, part: &'a Part, told: &mut OllamaMessageWire<'a>) -> Result<()> {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => {
                // The pieces of what a model said belong together, those of a prompt do not.
                if role != Role::Assistant && !told.content.is_empty() {
                    told.content.push('\n');
                }
                told.content.push_str(text);
            }
            Content::Reasoning(reasoning) => told.thinking.push_str(&reasoning.text),
            Content::ToolCall(call) => told.tool_calls.push(self.call(call)),
            Content::Image(image) => told.images.push(inline_image(image, self.dropped)?),
            Content::Audio(_) => return Err(cannot_read("audio")),
            Content::File(_) => return Err(cannot_read("file")),
            Content::Opaque(opaque) if role == Role::Assistant => {
                self.dropped.insert(opaque.kind.clone());
            }
            Content::Opaque(opaque) => return Err(cannot_read(&opaque.kind)),
            // Taken out before.
            Content::ToolResult(_) => {}
        }
        Ok(())
    }

    fn call(&mut self, call: &'a ToolCall) -> OllamaCallWire<'a> {
        self.names.insert(&call.id, &call.name);
        let arguments = tool_arguments::arguments(&call.arguments, call.custom);
        OllamaCallWire {
            id: &call.id,
            function: OllamaCallFunctionWire { name: &call.name, arguments },
        }
    }

    fn result(&mut self, result: &'a ToolResult) -> Result<()> {
        let called = self.names.get(result.call_id.as_str()).copied();
        let mut told = OllamaMessageWire {
            role: "tool",
            tool_name: called.or(result.name.as_deref()),
            tool_call_id: Some(result.call_id.as_str()).filter(|id| !id.is_empty()),
            ..OllamaMessageWire::default()
        };
        for part in &result.parts {
            self.part(Role::Tool, part, &mut told)?;
        }
        // What says so itself stays what it is: JSON.
        if result.is_error && !told.content.starts_with("{\"error\"") {
            told.content.insert_str(0, "Error: ");
        }
        self.told.push(told);
        Ok(())
    }
}

impl OllamaMessageWire<'_> {
    fn is_empty(&self) -> bool {
        self.content.is_empty()
            && self.images.is_empty()
            && self.thinking.is_empty()
            && self.tool_calls.is_empty()
    }
}

fn cannot_read(kind: &str) -> GatewayError {
    GatewayError::invalid(
        "messages",
        format!("the model's provider does not support parts of type {kind}"),
    )
}
