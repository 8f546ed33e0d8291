//! Blocks of an answer, as they are read: whole, or piece by piece.

use crate::{Ids, unreadable};
use gateway_core::{
    Dialect, Extra, Json, Opaque, Result, Seal, SealKind, StreamEvent, ToolCallDelta,
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::borrow::Cow;

/// Reads blocks into steps. A whole block is one that starts with all it holds.
#[derive(Debug)]
pub(super) struct Steps {
    ids: Ids,
    /// Calls that have begun: the blocks of tools are counted apart from all others.
    calls: u32,
    /// Characters of text so far.
    chars: usize,
    open: Open,
}

/// The block that is being read.
#[derive(Debug)]
enum Open {
    Nothing,
    Text { from: usize, citations: Vec<Citation> },
    Call { index: u32, input: Option<Json>, has_arguments: bool },
    Opaque { kind: String, json: Json, input: String, content: Option<Json> },
}

#[derive(Debug, Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    citations: Option<Vec<Citation>>,
}

#[derive(Debug, Deserialize)]
struct Thinking {
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Redacted {
    data: String,
}

#[derive(Debug, Deserialize)]
struct ToolUse {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    input: Option<Json>,
}

/// Where a text has its knowledge from.
#[derive(Debug, Default, Deserialize)]
struct Citation {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    title: Option<String>,
}

/// An addition to a block, or to the message.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default)]
    citation: Option<Json>,
    #[serde(default)]
    content: Option<Json>,
    #[serde(default)]
    pub(super) stop_reason: Option<String>,
    #[serde(default)]
    pub(super) stop_sequence: Option<String>,
}

impl Steps {
    pub(super) const fn new(ids: Ids) -> Self {
        Self { ids, calls: 0, chars: 0, open: Open::Nothing }
    }

    /// Whether the model called tools that somebody else is to run.
    pub(super) const fn has_calls(&self) -> bool {
        self.calls > 0
    }

    /// Begins a block.
    ///
    /// # Errors
    ///
    /// If it is of a known kind and cannot be read.
    pub(super) fn start(&mut self, block: &RawValue, out: &mut Vec<StreamEvent>) -> Result<()> {
        self.stop(out);
        let kind = read::<Tag<'_>>(block)?.kind;
        match &*kind {
            "text" => {
                let it: Text = read(block)?;
                let citations = it.citations.unwrap_or_default();
                self.open = Open::Text { from: self.chars, citations };
                self.text(it.text.unwrap_or_default(), out);
            }
            "thinking" => {
                let it: Thinking = read(block)?;
                think(it.thinking, out);
                seal(SealKind::Signature, it.signature, out);
            }
            "redacted_thinking" => {
                seal(SealKind::Encrypted, Some(read::<Redacted>(block)?.data), out);
            }
            "tool_use" => self.call(read(block)?, out),
            _ => {
                let (kind, json) = (kind.clone().into_owned(), Json::from(block));
                self.open = Open::Opaque { kind, json, input: String::new(), content: None };
            }
        }
        Ok(())
    }

    /// Adds to the open block.
    pub(super) fn add(&mut self, delta: Delta<'_>, out: &mut Vec<StreamEvent>) {
        match &*delta.kind {
            "text_delta" => self.text(delta.text.unwrap_or_default(), out),
            "thinking_delta" => think(delta.thinking, out),
            "signature_delta" => seal(SealKind::Signature, delta.signature, out),
            "input_json_delta" => self.arguments(delta.partial_json.unwrap_or_default(), out),
            "citations_delta" => self.cite(delta.citation.as_ref()),
            "compaction_delta" => {
                if let Open::Opaque { content, .. } = &mut self.open {
                    *content = delta.content;
                }
            }
            _ => {}
        }
    }

    /// Ends the open block, if there is one.
    pub(super) fn stop(&mut self, out: &mut Vec<StreamEvent>) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Text { from, citations } => {
                let notes = citations.iter().filter_map(|it| it.annotation(from, self.chars));
                out.extend(notes.map(StreamEvent::Annotation));
            }
            Open::Call { index, input, has_arguments } => {
                if !has_arguments {
                    let input = input.as_ref().map_or("{}", Json::get);
                    let arguments = if input == "null" { "{}" } else { input }.to_owned();
                    let delta = ToolCallDelta { index, arguments, ..ToolCallDelta::default() };
                    out.push(StreamEvent::ToolCall(delta));
                }
            }
            Open::Opaque { kind, json, input, content } => {
                let json = patched(json, "input", Json::parse(input).ok());
                let json = patched(json, "content", content);
                out.push(StreamEvent::Opaque(Opaque { dialect: Dialect::Messages, kind, json }));
            }
        }
    }

    fn text(&mut self, text: String, out: &mut Vec<StreamEvent>) {
        if !text.is_empty() {
            self.chars += text.chars().count();
            out.push(StreamEvent::Text(text));
        }
    }

    fn call(&mut self, it: ToolUse, out: &mut Vec<StreamEvent>) {
        let index = self.calls;
        self.calls = self.calls.saturating_add(1);
        let id = it.id.filter(|id| !id.is_empty()).unwrap_or_else(|| self.ids.next("toolu_"));
        self.open = Open::Call { index, input: it.input, has_arguments: false };
        let delta = ToolCallDelta { index, id, name: it.name, ..ToolCallDelta::default() };
        out.push(StreamEvent::ToolCall(delta));
    }

    fn arguments(&mut self, arguments: String, out: &mut Vec<StreamEvent>) {
        match &mut self.open {
            _ if arguments.is_empty() => {}
            Open::Call { index, has_arguments, .. } => {
                *has_arguments = true;
                let delta = ToolCallDelta { index: *index, arguments, ..ToolCallDelta::default() };
                out.push(StreamEvent::ToolCall(delta));
            }
            Open::Opaque { input, .. } => input.push_str(&arguments),
            Open::Nothing | Open::Text { .. } => {}
        }
    }

    fn cite(&mut self, citation: Option<&Json>) {
        if let (Open::Text { citations, .. }, Some(citation)) = (&mut self.open, citation) {
            citations.extend(citation.read::<Citation>().ok());
        }
    }
}

impl Citation {
    /// As OpenAI Chat writes it; a document of the request has no address to be cited by.
    fn annotation(&self, start: usize, end: usize) -> Option<Json> {
        let is_address = |text: &&str| text.starts_with("http");
        let url = self.url.as_deref().or(self.source.as_deref()).filter(is_address)?;
        let title = self.title.as_deref().unwrap_or(url);
        let citation = json!({"start_index": start, "end_index": end, "url": url, "title": title});
        Some(Json::of(&json!({"type": "url_citation", "url_citation": citation})))
    }
}

fn think(text: Option<String>, out: &mut Vec<StreamEvent>) {
    out.extend(text.filter(|text| !text.is_empty()).map(StreamEvent::Reasoning));
}

fn seal(kind: SealKind, data: Option<String>, out: &mut Vec<StreamEvent>) {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        out.push(StreamEvent::Seal(Seal { dialect: Dialect::Messages, kind, id: None, data }));
    }
}

/// `json` with its member `name` replaced, if there is something to replace it with.
fn patched(json: Json, name: &str, value: Option<Json>) -> Json {
    let (Some(value), Ok(members)) = (value, json.read::<Extra>()) else { return json };
    let mut out = Extra::default();
    for (known, old) in members.iter() {
        out.push(known, if known == name { value.clone() } else { old.clone() });
    }
    if members.get(name).is_none() {
        out.push(name, value);
    }
    Json::of(&out)
}

fn read<'a, T: Deserialize<'a>>(block: &'a RawValue) -> Result<T> {
    serde_json::from_str(block.get()).map_err(unreadable)
}
