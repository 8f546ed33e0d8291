//! Messages as items of the input.

use crate::responses::encode_request_items::{
    InputContentWire, InputItemWire, SummaryTextWire, ToolOutputWire,
};
use crate::responses::media::{encode_file, encode_image};
use gateway_core::{
    Content as Piece, Dialect, DroppedParams, GatewayError, Message, Opaque, Part, Reasoning,
    Result, Role, Seal, ToolCall, ToolResult, plain_text,
};
use std::{borrow::Cow, collections::HashSet};

/// The items that say what `messages` say.
///
/// # Errors
///
/// If there is sound among them, which this dialect cannot carry.
pub(super) fn items<'a>(
    messages: &'a [Message],
    dropped: &mut DroppedParams,
) -> Result<Vec<InputItemWire<'a>>> {
    let calls = messages.iter().flat_map(Message::tool_calls);
    let custom = calls.filter(|call| call.custom).map(|call| call.id.as_str()).collect();
    let mut writer = InputEncoder { items: Vec::new(), pending: Vec::new(), custom, dropped };
    for message in messages {
        writer.message(message)?;
    }
    Ok(writer.items)
}

struct InputEncoder<'a, 'l> {
    items: Vec<InputItemWire<'a>>,
    /// Pieces of the message that is being written.
    pending: Vec<InputContentWire<'a>>,
    /// The ids of calls to tools that take free text.
    custom: HashSet<&'a str>,
    dropped: &'l mut DroppedParams,
}

impl<'a> InputEncoder<'a, '_> {
    fn message(&mut self, message: &'a Message) -> Result<()> {
        self.dropped.insert_if(message.name.is_some(), "name");
        for (at, part) in message.parts.iter().enumerate() {
            let is_last = at + 1 == message.parts.len();
            match &part.content {
                // Thinking must be followed by what it led to: alone it is refused.
                Piece::Reasoning(_) if is_last => {}
                Piece::Reasoning(reasoning) => self.reasoning(reasoning, message.role),
                Piece::ToolCall(call) => self.call(call, message.role),
                Piece::ToolResult(result) => self.result(result, message.role)?,
                Piece::Opaque(opaque) => self.opaque(opaque, message.role),
                Piece::Text(_)
                | Piece::Refusal(_)
                | Piece::Image(_)
                | Piece::Audio(_)
                | Piece::File(_) => {
                    let content = content(part, message.role == Role::Assistant, self.dropped)?;
                    self.pending.extend(content);
                }
            }
        }
        self.flush(message.role);
        Ok(())
    }

    fn push(&mut self, item: InputItemWire<'a>, role: Role) {
        self.flush(role);
        self.items.push(item);
    }

    fn flush(&mut self, role: Role) {
        if !self.pending.is_empty() {
            let content = std::mem::take(&mut self.pending);
            self.items.push(InputItemWire::Message { role: word(role), content });
        }
    }

    /// Thinking goes back only with the seal that this dialect gave for it.
    fn reasoning(&mut self, reasoning: &'a Reasoning, role: Role) {
        let Some(seal) = own_seal(reasoning.seal.as_ref()) else { return };
        let text = Some(reasoning.text.as_str()).filter(|text| !text.is_empty());
        let item = InputItemWire::Reasoning {
            id: seal.id.as_deref(),
            summary: text.map(|text| SummaryTextWire { text }).into_iter().collect(),
            encrypted_content: &seal.data,
        };
        self.push(item, role);
    }

    fn call(&mut self, call: &'a ToolCall, role: Role) {
        let ToolCall { id: call_id, name, arguments, custom, seal: _ } = call;
        let item = if *custom {
            InputItemWire::CustomToolCall { call_id, name, input: arguments }
        } else {
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            InputItemWire::FunctionCall { call_id, name, arguments }
        };
        self.push(item, role);
    }

    fn result(&mut self, result: &'a ToolResult, role: Role) -> Result<()> {
        let call_id = &result.call_id;
        let output = output(result, self.dropped)?;
        let item = if self.custom.contains(call_id.as_str()) {
            InputItemWire::CustomToolCallOutput { call_id, output }
        } else {
            InputItemWire::FunctionCallOutput { call_id, output }
        };
        self.push(item, role);
        Ok(())
    }

    fn opaque(&mut self, opaque: &'a Opaque, role: Role) {
        if opaque.dialect != Dialect::Responses {
            self.dropped.insert(opaque.kind.clone());
        } else if is_content(&opaque.kind) {
            self.pending.push(InputContentWire::Raw(&opaque.json));
        } else {
            self.push(InputItemWire::Raw(&opaque.json), role);
        }
    }
}

/// Returns whether an unknown piece of this kind stands within a message rather than beside one.
pub(super) fn is_content(kind: &str) -> bool {
    kind.starts_with("input_") || kind.starts_with("output_")
}

fn own_seal(seal: Option<&Seal>) -> Option<&Seal> {
    seal.filter(|seal| {
        seal.dialect == Dialect::Responses && (seal.id.is_some() || !seal.data.is_empty())
    })
}

const fn word(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

fn output<'a>(result: &'a ToolResult, dropped: &mut DroppedParams) -> Result<ToolOutputWire<'a>> {
    let text = || plain_text(&result.parts);
    // What says so itself stays what it is: JSON.
    let is_marked = result.is_error && !text().starts_with("{\"error\"");
    let mark = if is_marked { "Error: " } else { "" };
    if let [Part { content: Piece::Text(text), .. }] = result.parts.as_slice()
        && !is_marked
    {
        return Ok(ToolOutputWire::Text(Cow::Borrowed(text)));
    }
    if result.parts.iter().all(|part| matches!(part.content, Piece::Text(_))) {
        return Ok(ToolOutputWire::Text(Cow::Owned(format!("{mark}{}", text()))));
    }
    let mut parts = Vec::new();
    if is_marked {
        parts.push(InputContentWire::InputText { text: mark });
    }
    for part in &result.parts {
        parts.extend(content(part, false, dropped)?);
    }
    Ok(ToolOutputWire::Parts(parts))
}

/// Encodes one content part of a message; `None` if it is dropped.
fn content<'a>(
    part: &'a Part,
    said: bool,
    dropped: &mut DroppedParams,
) -> Result<Option<InputContentWire<'a>>> {
    Ok(match &part.content {
        Piece::Text(text) if said && text.is_empty() => None,
        Piece::Text(text) if said => Some(InputContentWire::OutputText { text, annotations: [] }),
        Piece::Text(text) => Some(InputContentWire::InputText { text }),
        Piece::Refusal(refusal) => Some(InputContentWire::Refusal { refusal }),
        Piece::Image(_) | Piece::File(_) if said => {
            dropped.insert("image");
            None
        }
        Piece::Image(picture) => Some(encode_image(picture)),
        Piece::File(document) => Some(encode_file(document)),
        Piece::Audio(_) => {
            return Err(GatewayError::invalid(
                "messages",
                "the model's provider accepts no audio in its Responses API",
            )
            .with_code("unsupported_parameter"));
        }
        Piece::Opaque(opaque) if opaque.dialect == Dialect::Responses => {
            Some(InputContentWire::Raw(&opaque.json))
        }
        Piece::Opaque(opaque) => {
            dropped.insert(opaque.kind.clone());
            None
        }
        // These are items of their own.
        Piece::Reasoning(_) | Piece::ToolCall(_) | Piece::ToolResult(_) => None,
    })
}
