//! Messages as items of the input.

use crate::responses::encode_request_items::{Content, Item, Output, Summary};
use gateway_core::{
    Content as Piece, Dialect, DroppedParams, File, GatewayError, Image, Message, Opaque, Part,
    Reasoning, Result, Role, Seal, Source, ToolCall, ToolResult, plain_text,
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
) -> Result<Vec<Item<'a>>> {
    let calls = messages.iter().flat_map(Message::tool_calls);
    let custom = calls.filter(|call| call.custom).map(|call| call.id.as_str()).collect();
    let mut writer = Writer { items: Vec::new(), pending: Vec::new(), custom, dropped };
    for message in messages {
        writer.message(message)?;
    }
    Ok(writer.items)
}

struct Writer<'a, 'l> {
    items: Vec<Item<'a>>,
    /// Pieces of the message that is being written.
    pending: Vec<Content<'a>>,
    /// The ids of calls to tools that take free text.
    custom: HashSet<&'a str>,
    dropped: &'l mut DroppedParams,
}

impl<'a> Writer<'a, '_> {
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

    fn push(&mut self, item: Item<'a>, role: Role) {
        self.flush(role);
        self.items.push(item);
    }

    fn flush(&mut self, role: Role) {
        if !self.pending.is_empty() {
            let content = std::mem::take(&mut self.pending);
            self.items.push(Item::Message { role: word(role), content });
        }
    }

    /// Thinking goes back only with the proof that this dialect gave for it.
    fn reasoning(&mut self, reasoning: &'a Reasoning, role: Role) {
        let Some(seal) = own(reasoning.seal.as_ref()) else { return };
        let text = Some(reasoning.text.as_str()).filter(|text| !text.is_empty());
        let item = Item::Reasoning {
            id: seal.id.as_deref(),
            summary: text.map(|text| Summary { text }).into_iter().collect(),
            encrypted_content: &seal.data,
        };
        self.push(item, role);
    }

    fn call(&mut self, call: &'a ToolCall, role: Role) {
        let ToolCall { id: call_id, name, arguments, custom, seal: _ } = call;
        let item = if *custom {
            Item::CustomToolCall { call_id, name, input: arguments }
        } else {
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            Item::FunctionCall { call_id, name, arguments }
        };
        self.push(item, role);
    }

    fn result(&mut self, result: &'a ToolResult, role: Role) -> Result<()> {
        let call_id = &result.call_id;
        let output = output(result, self.dropped)?;
        let item = if self.custom.contains(call_id.as_str()) {
            Item::CustomToolCallOutput { call_id, output }
        } else {
            Item::FunctionCallOutput { call_id, output }
        };
        self.push(item, role);
        Ok(())
    }

    fn opaque(&mut self, opaque: &'a Opaque, role: Role) {
        if opaque.dialect != Dialect::Responses {
            self.dropped.insert(opaque.kind.clone());
        } else if is_content(&opaque.kind) {
            self.pending.push(Content::Raw(&opaque.json));
        } else {
            self.push(Item::Raw(&opaque.json), role);
        }
    }
}

/// Whether an unknown piece of this kind stands within a message rather than beside one.
pub(super) fn is_content(kind: &str) -> bool {
    kind.starts_with("input_") || kind.starts_with("output_")
}

fn own(seal: Option<&Seal>) -> Option<&Seal> {
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

fn output<'a>(result: &'a ToolResult, dropped: &mut DroppedParams) -> Result<Output<'a>> {
    if let [Part { content: Piece::Text(text), .. }] = result.parts.as_slice() {
        return Ok(Output::Text(Cow::Borrowed(text)));
    }
    if result.parts.iter().all(|part| matches!(part.content, Piece::Text(_))) {
        return Ok(Output::Text(Cow::Owned(plain_text(&result.parts))));
    }
    let mut parts = Vec::new();
    for part in &result.parts {
        parts.extend(content(part, false, dropped)?);
    }
    Ok(Output::Parts(parts))
}

/// One piece of a message; nothing if it cannot be carried.
fn content<'a>(
    part: &'a Part,
    said: bool,
    dropped: &mut DroppedParams,
) -> Result<Option<Content<'a>>> {
    Ok(match &part.content {
        Piece::Text(text) if said && text.is_empty() => None,
        Piece::Text(text) if said => Some(Content::OutputText { text, annotations: [] }),
        Piece::Text(text) => Some(Content::InputText { text }),
        Piece::Refusal(refusal) => Some(Content::Refusal { refusal }),
        Piece::Image(_) | Piece::File(_) if said => {
            dropped.insert("image");
            None
        }
        Piece::Image(picture) => Some(image(picture)),
        Piece::File(document) => Some(file(document)),
        Piece::Audio(_) => {
            return Err(GatewayError::invalid(
                "messages",
                "the model's provider takes no sound in its Responses API",
            )
            .with_code("unsupported_parameter"));
        }
        Piece::Opaque(opaque) if opaque.dialect == Dialect::Responses => {
            Some(Content::Raw(&opaque.json))
        }
        Piece::Opaque(opaque) => {
            dropped.insert(opaque.kind.clone());
            None
        }
        // These are items of their own.
        Piece::Reasoning(_) | Piece::ToolCall(_) | Piece::ToolResult(_) => None,
    })
}

fn image(image: &Image) -> Content<'_> {
    let detail = image.detail.as_deref().unwrap_or("auto");
    let (image_url, file_id) = match &image.source {
        Source::Inline { media_type, base64 } => {
            (Some(Cow::Owned(data_url(media_type, base64))), None)
        }
        Source::Url(url) => (Some(Cow::Borrowed(url.as_str())), None),
        Source::FileId(id) => (None, Some(id.as_str())),
    };
    Content::InputImage { image_url, file_id, detail }
}

fn file(file: &File) -> Content<'_> {
    let name = file.name.as_deref();
    let (filename, file_data, file_id, file_url) = match &file.source {
        // Inline documents need a name here.
        Source::Inline { media_type, base64 } => {
            let data = Cow::Owned(data_url(media_type, base64));
            (Some(name.unwrap_or("file")), Some(data), None, None)
        }
        // These have a name where they are kept, and may not get another.
        Source::Url(url) => (None, None, None, Some(url.as_str())),
        Source::FileId(id) => (None, None, Some(id.as_str()), None),
    };
    Content::InputFile { filename, file_data, file_id, file_url }
}

fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}
