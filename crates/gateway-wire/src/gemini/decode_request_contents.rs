//! Decodes `contents`: turns of the user and the model, and the results of calls among them.

use super::decode_request_wire::{
    ContentInWire, FileDataInWire, FunctionCallInWire, FunctionResponseInWire, InlineDataInWire,
    PartInWire,
};
use crate::{
    json::{
        lazy_object::first_byte,
        path::{JsonPath, read},
    },
    tool_arguments,
};
use gateway_core::{
    Content, Dialect, Extra, File, Image, Json, Message, Opaque, Part, Reasoning, Result, Role,
    Seal, SealKind, Source, ToolCall, ToolResult,
};
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};

/// Reads the instructions: one content, or a text alone.
pub(super) fn system(raw: Option<&RawValue>) -> Result<Option<Message>> {
    let Some(raw) = raw else { return Ok(None) };
    let root = JsonPath::Root;
    let at = root.member("systemInstruction");
    if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
        return Ok(Some(Message::text(Role::System, text)));
    }
    let content: ContentInWire<'_> = read(raw, &at)?;
    let list = at.member("parts");
    let mut texts = Vec::new();
    for (index, part) in content.parts.into_iter().enumerate() {
        let at = list.item(index);
        let part: PartInWire<'_> = read(part, &at)?;
        texts.push(Content::Text(part.text.ok_or_else(|| at.invalid("only text is accepted"))?));
    }
    Ok((!texts.is_empty()).then(|| Message::new(Role::System, texts)))
}

/// Reads the conversation.
pub(super) fn messages(raw: &RawValue) -> Result<Vec<Message>> {
    let root = JsonPath::Root;
    let at = root.member("contents");
    let mut decoder = ContentsDecoder::default();
    if first_byte(raw) == b'{' {
        // Clients may shorten a list of one.
        decoder.content(read(raw, &at)?, &at)?;
    } else {
        let list: Vec<&RawValue> = read(raw, &at)?;
        for (index, raw) in list.into_iter().enumerate() {
            let at = at.item(index);
            decoder.content(read(raw, &at)?, &at)?;
        }
    }
    if decoder.messages.is_empty() {
        return Err(at.invalid("there is no content"));
    }
    Ok(decoder.messages)
}

#[derive(Default)]
struct ContentsDecoder {
    messages: Vec<Message>,
    /// The number of calls so far, which names those without an id.
    calls: usize,
    /// The calls without a result yet, by the name of the function: clients may leave out ids.
    waiting: HashMap<String, VecDeque<String>>,
}

impl ContentsDecoder {
    fn content(&mut self, content: ContentInWire<'_>, at: &JsonPath<'_>) -> Result<()> {
        let role = match content.role.as_deref() {
            Some("model") => Role::Assistant,
            Some("user" | "function" | "tool" | "") | None => Role::User,
            Some("system") => Role::System,
            Some(other) => return Err(at.member("role").invalid(format!("unknown role {other}"))),
        };
        let list = at.member("parts");
        for (index, raw) in content.parts.into_iter().enumerate() {
            let at = list.item(index);
            self.part(role, raw, &at)?;
        }
        Ok(())
    }

    /// Adds a part to the turn of its role.
    fn push(&mut self, role: Role, content: Content) {
        let part: Part = content.into();
        match self.messages.last_mut() {
            Some(last) if last.role == role && role != Role::Tool => last.parts.push(part),
            _ => self.messages.push(Message { role, parts: vec![part], name: None }),
        }
    }

    fn part(&mut self, role: Role, raw: &RawValue, at: &JsonPath<'_>) -> Result<()> {
        let part: PartInWire<'_> = read(raw, at)?;
        let seal = part.thought_signature.filter(|data| !data.is_empty()).map(|data| Seal {
            dialect: Dialect::Gemini,
            kind: SealKind::Signature,
            id: None,
            data,
        });
        if let Some(call) = part.function_call {
            let call = self.call(call, seal);
            self.push(role, call);
        } else if let Some(response) = part.function_response {
            let result = self.result(response);
            self.push(Role::Tool, result);
        } else if let Some(InlineDataInWire { mime_type, data, display_name }) = part.inline_data {
            let source = Source::Inline { media_type: mime_type.clone(), base64: data };
            self.push(role, media(source, &mime_type, display_name));
        } else if let Some(file) = part.file_data {
            self.push(role, file_data(file));
        } else if let Some(text) = part.text {
            self.text(role, (text, part.thought == Some(true)), seal);
        } else if let Some(opaque) = opaque(raw, at)? {
            self.push(role, opaque);
            self.seal(role, seal);
        } else {
            self.seal(role, seal);
        }
        Ok(())
    }

    fn text(&mut self, role: Role, (text, is_thought): (String, bool), seal: Option<Seal>) {
        if is_thought {
            self.push(role, Content::Reasoning(Reasoning { text, seal }));
        } else {
            if !text.is_empty() || seal.is_none() {
                self.push(role, Content::Text(text));
            }
            self.seal(role, seal);
        }
    }

    /// Adds a signature: to the thoughts before it if they have none, or else on its own.
    fn seal(&mut self, role: Role, seal: Option<Seal>) {
        let Some(seal) = seal else { return };
        let last = self.messages.last_mut().filter(|last| last.role == role);
        if let Some(Content::Reasoning(Reasoning { seal: open @ None, .. })) =
            last.and_then(|last| last.parts.last_mut()).map(|part| &mut part.content)
        {
            *open = Some(seal);
        } else {
            let reasoning = Reasoning { text: String::new(), seal: Some(seal) };
            self.push(role, Content::Reasoning(reasoning));
        }
    }

    fn call(&mut self, call: FunctionCallInWire<'_>, seal: Option<Seal>) -> Content {
        self.calls += 1;
        let id = call.id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("call_{}", self.calls));
        self.waiting.entry(call.name.clone()).or_default().push_back(id.clone());
        let args = call.args.map_or("{}", RawValue::get);
        Content::ToolCall(ToolCall {
            id,
            name: call.name,
            arguments: tool_arguments::original_arguments(args).into_owned(),
            custom: false,
            seal,
        })
    }

    /// A result, of the oldest call of the function that has none if it does not name its call.
    fn result(&mut self, response: FunctionResponseInWire<'_>) -> Content {
        let waiting = self.waiting.entry(response.name.clone()).or_default();
        let call_id = match response.id.filter(|id| !id.is_empty()) {
            Some(id) => {
                waiting.retain(|it| *it != id);
                id
            }
            None => waiting.pop_front().unwrap_or_default(),
        };
        let (text, is_error) = result_text(response.response);
        let mut parts: Vec<Part> = vec![Content::Text(text).into()];
        for part in response.parts {
            if let Some(InlineDataInWire { mime_type, data, display_name }) = part.inline_data {
                let source = Source::Inline { media_type: mime_type.clone(), base64: data };
                parts.push(media(source, &mime_type, display_name).into());
            }
            parts.extend(part.file_data.map(|file| file_data(file).into()));
        }
        Content::ToolResult(ToolResult { call_id, name: Some(response.name), parts, is_error })
    }
}

/// The text of a result, and whether it is an error. An object whose only member is `output`,
/// `result` or `error` is what that member says.
fn result_text(response: Option<&RawValue>) -> (String, bool) {
    let Some(raw) = response else { return ("{}".to_owned(), false) };
    let Ok(members) = serde_json::from_str::<Extra>(raw.get()) else {
        return (raw.get().to_owned(), false);
    };
    let mut members = members.iter();
    match (members.next(), members.next()) {
        (Some((name @ ("output" | "result" | "error"), value)), None) => {
            let text = value.read::<String>().unwrap_or_else(|_| value.get().to_owned());
            (text, name == "error")
        }
        _ => (raw.get().to_owned(), false),
    }
}

fn file_data(FileDataInWire { mime_type, file_uri, display_name }: FileDataInWire) -> Content {
    // What is not on the web is in a provider's store.
    let is_url = file_uri.starts_with("http://") || file_uri.starts_with("https://");
    let source = if is_url { Source::Url(file_uri) } else { Source::FileId(file_uri) };
    media(source, &mime_type, display_name)
}

/// Media by their type.
fn media(source: Source, media_type: &str, name: Option<String>) -> Content {
    match media_type.split('/').next().unwrap_or_default() {
        "image" => Content::Image(Image { source, detail: None }),
        "audio" => Content::Audio(source),
        _ => Content::File(File { source, name }),
    }
}

/// A part that only Gemini knows; nothing if it says nothing at all.
fn opaque(raw: &RawValue, at: &JsonPath<'_>) -> Result<Option<Content>> {
    let members: Extra = read(raw, at)?;
    let mut names = members.iter().map(|(name, _)| name);
    let says_more = |name: &&str| !matches!(*name, "thought" | "thoughtSignature");
    let kind = names.find(says_more).map(str::to_owned);
    let json: Json = raw.into();
    Ok(kind.map(|kind| Content::Opaque(Opaque { dialect: Dialect::Gemini, kind, json })))
}
