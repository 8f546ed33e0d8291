//! Blocks of a response, as they are read: whole, or piece by piece.

use crate::{IdGenerator, unreadable};
use gateway_core::{
    Dialect, Extra, Json, Opaque, Result, Seal, SealKind, StreamEvent, ToolCallDelta,
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::borrow::Cow;

/// Reads blocks into steps. A whole block is one that starts with all it holds.
#[derive(Debug)]
pub(super) struct BlockDecoder {
    ids: IdGenerator,
    /// Calls that have begun: the blocks of tools are counted apart from all others.
    calls: u32,
    /// Characters of text so far.
    chars: usize,
    open: OpenBlock,
}

/// The block that is being read.
#[derive(Debug)]
enum OpenBlock {
    Nothing,
    Text { from: usize, citations: Vec<CitationWire> },
    Call { index: u32, input: Option<Json>, has_arguments: bool },
    Opaque { kind: String, json: Json, input: String, content: Option<Json> },
}

#[derive(Debug, Deserialize)]
struct BlockStartTagWire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct TextBlockWire {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    citations: Option<Vec<CitationWire>>,
}

#[derive(Debug, Deserialize)]
struct ThinkingStartWire {
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RedactedThinkingWire {
    data: String,
}

#[derive(Debug, Deserialize)]
struct ToolUseWire {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    input: Option<Json>,
}

/// The source that a text cites.
#[derive(Debug, Default, Deserialize)]
struct CitationWire {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    title: Option<String>,
}

/// An addition to a block, or to the message.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BlockDeltaWire<'a> {
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

impl BlockDecoder {
    pub(super) const fn new(ids: IdGenerator) -> Self {
        Self { ids, calls: 0, chars: 0, open: OpenBlock::Nothing }
    }

    /// Returns whether the model called tools that the client or the gateway runs.
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
        let kind = read::<BlockStartTagWire<'_>>(block)?.kind;
        match &*kind {
            "text" => {
                let it: TextBlockWire = read(block)?;
                let citations = it.citations.unwrap_or_default();
                self.open = OpenBlock::Text { from: self.chars, citations };
                self.text(it.text.unwrap_or_default(), out);
            }
            "thinking" => {
                let it: ThinkingStartWire = read(block)?;
                think(it.thinking, out);
                seal(SealKind::Signature, it.signature, out);
            }
            "redacted_thinking" => {
                seal(SealKind::Encrypted, Some(read::<RedactedThinkingWire>(block)?.data), out);
            }
            "tool_use" => self.call(read(block)?, out),
            _ => {
                let (kind, json) = (kind.clone().into_owned(), Json::from(block));
                self.open = OpenBlock::Opaque { kind, json, input: String::new(), content: None };
            }
        }
        Ok(())
    }

    /// Adds to the open block.
    pub(super) fn add(&mut self, delta: BlockDeltaWire<'_>, out: &mut Vec<StreamEvent>) {
        match &*delta.kind {
            "text_delta" => self.text(delta.text.unwrap_or_default(), out),
            "thinking_delta" => think(delta.thinking, out),
            "signature_delta" => seal(SealKind::Signature, delta.signature, out),
            "input_json_delta" => self.arguments(delta.partial_json.unwrap_or_default(), out),
            "citations_delta" => self.cite(delta.citation.as_ref()),
            "compaction_delta" => {
                if let OpenBlock::Opaque { content, .. } = &mut self.open {
                    *content = delta.content;
                }
            }
            _ => {}
        }
    }

    /// Ends the open block, if there is one.
    pub(super) fn stop(&mut self, out: &mut Vec<StreamEvent>) {
        match std::mem::replace(&mut self.open, OpenBlock::Nothing) {
            OpenBlock::Nothing => {}
            OpenBlock::Text { from, citations } => {
                let notes = citations.iter().filter_map(|it| it.annotation(from, self.chars));
                out.extend(notes.map(StreamEvent::Annotation));
            }
            OpenBlock::Call { index, input, has_arguments } => {
                if !has_arguments {
                    let input = input.as_ref().map_or("{}", Json::get);
                    let arguments = if input == "null" { "{}" } else { input }.to_owned();
                    let delta = ToolCallDelta { index, arguments, ..ToolCallDelta::default() };
                    out.push(StreamEvent::ToolCall(delta));
                }
            }
            OpenBlock::Opaque { kind, json, input, content } => {
                let json = patched(json, "input", Json::parse(input).ok());
                let json = patched(json, "content", content);
                out.push(StreamEvent::Opaque(Opaque { dialect: Dialect::Messages, kind, json }));
            }
        }
    }

    /// Adds text to the open block.
    pub(super) fn text(&mut self, text: String, out: &mut Vec<StreamEvent>) {
        if !text.is_empty() {
            self.chars += text.chars().count();
            out.push(StreamEvent::Text(text));
        }
    }

    fn call(&mut self, it: ToolUseWire, out: &mut Vec<StreamEvent>) {
        let index = self.calls;
        self.calls = self.calls.saturating_add(1);
        let id = it.id.filter(|id| !id.is_empty()).unwrap_or_else(|| self.ids.next("toolu_"));
        self.open = OpenBlock::Call { index, input: it.input, has_arguments: false };
        let delta = ToolCallDelta { index, id, name: it.name, ..ToolCallDelta::default() };
        out.push(StreamEvent::ToolCall(delta));
    }

    fn arguments(&mut self, arguments: String, out: &mut Vec<StreamEvent>) {
        match &mut self.open {
            _ if arguments.is_empty() => {}
            OpenBlock::Call { index, has_arguments, .. } => {
                *has_arguments = true;
                let delta = ToolCallDelta { index: *index, arguments, ..ToolCallDelta::default() };
                out.push(StreamEvent::ToolCall(delta));
            }
            OpenBlock::Opaque { input, .. } => input.push_str(&arguments),
            OpenBlock::Nothing | OpenBlock::Text { .. } => {}
        }
    }

    fn cite(&mut self, citation: Option<&Json>) {
        if let (OpenBlock::Text { citations, .. }, Some(citation)) = (&mut self.open, citation) {
            citations.extend(citation.read::<CitationWire>().ok());
        }
    }
}

impl CitationWire {
    /// The annotation in the form of Chat Completions; `None` for a document without a URL.
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
