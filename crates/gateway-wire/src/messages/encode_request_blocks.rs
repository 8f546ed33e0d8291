//! Blocks: the pieces of a message, as this dialect writes them.

use super::{
    cache_control::CacheControlOutWire,
    media::{MediaSource, plain_document},
    tool_call_ids::tool_id,
};
use crate::tool_arguments::arguments;
use gateway_core::{
    CacheControl, Content, Dialect, DroppedParams, File, GatewayError, Image, Json, Part,
    Reasoning, Result, SealKind, Source, ToolCall, ToolResult,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A block that is to be written.
#[derive(Debug)]
pub(super) struct RequestBlock<'a> {
    pub(super) body: BlockBody<'a>,
    pub(super) cache: Option<CacheControl>,
}

/// The content of a [`RequestBlock`].
#[derive(Debug)]
pub(super) enum BlockBody<'a> {
    Text(Cow<'a, str>),
    Image(MediaSource<'a>),
    Document { place: MediaSource<'a>, title: Option<&'a str> },
    Thinking { text: &'a str, signature: &'a str },
    RedactedThinking { data: &'a str },
    ToolUse { id: Cow<'a, str>, name: &'a str, input: Cow<'a, RawValue> },
    ToolResult { id: Cow<'a, str>, content: Vec<RequestBlock<'a>>, is_error: bool },
    Raw(&'a Json),
}

/// Turns parts into blocks, and keeps account of what is lost.
#[derive(Debug)]
pub(super) struct BlockEncoder<'l> {
    pub(super) dropped: &'l mut DroppedParams,
    /// The request is known to come from a caller of another dialect.
    pub(super) foreign: bool,
}

impl BlockEncoder<'_> {
    /// The block for `part`; `None` if there is nothing to say, or no way to say it that would be
    /// missed.
    ///
    /// # Errors
    ///
    /// If the conversation would mean something else without the part.
    pub(super) fn of<'a>(&mut self, part: &'a Part) -> Result<Option<RequestBlock<'a>>> {
        let body = match &part.content {
            Content::Text(text) | Content::Refusal(text) => says_something(text),
            Content::Image(image) => Some(self.image(image)?),
            Content::File(file) => Some(self.document(file)?),
            Content::Audio(_) => return Err(unsayable("sound")),
            Content::Reasoning(reasoning) => thinking(reasoning),
            Content::ToolCall(call) => Some(tool_use(call)),
            Content::ToolResult(result) => Some(self.tool_result(result)?),
            Content::Opaque(it) if it.dialect == Dialect::Messages => {
                Some(BlockBody::Raw(&it.json))
            }
            Content::Opaque(it) => {
                self.dropped.insert(it.kind.clone());
                None
            }
        };
        Ok(body.map(|body| RequestBlock { body, cache: part.cache }))
    }

    fn image<'a>(&mut self, image: &'a Image) -> Result<BlockBody<'a>> {
        self.dropped.insert_if(image.detail.as_deref().is_some_and(|it| it != "auto"), "detail");
        let place = self.place(&image.source)?;
        Ok(match place {
            MediaSource::Base64 { media_type: "application/pdf", .. }
            | MediaSource::Text { .. } => BlockBody::Document { place, title: None },
            MediaSource::Base64 { .. } | MediaSource::Url { .. } | MediaSource::File { .. } => {
                BlockBody::Image(place)
            }
        })
    }

    fn document<'a>(&mut self, file: &'a File) -> Result<BlockBody<'a>> {
        let place = self.place(&file.source)?;
        Ok(match place {
            MediaSource::Base64 { media_type, .. } if media_type.starts_with("image/") => {
                BlockBody::Image(place)
            }
            MediaSource::Base64 { .. }
            | MediaSource::Text { .. }
            | MediaSource::Url { .. }
            | MediaSource::File { .. } => {
                BlockBody::Document { place, title: file.name.as_deref() }
            }
        })
    }

    fn place<'a>(&self, source: &'a Source) -> Result<MediaSource<'a>> {
        Ok(match source {
            Source::Inline { media_type, base64 } => plain_document(media_type, base64)
                .unwrap_or(MediaSource::Base64 { media_type, data: base64 }),
            Source::Url(url) => MediaSource::Url { url },
            Source::FileId(_) if self.foreign => {
                return Err(unsayable("a file of another provider"));
            }
            Source::FileId(file_id) => MediaSource::File { file_id },
        })
    }

    fn tool_result<'a>(&mut self, result: &'a ToolResult) -> Result<BlockBody<'a>> {
        let ToolResult { call_id, parts, is_error, name: _ } = result;
        let mut content = Vec::with_capacity(parts.len());
        for part in parts {
            content.extend(self.of(part)?);
        }
        Ok(BlockBody::ToolResult { id: tool_id(call_id), content, is_error: *is_error })
    }
}

/// Text, unless it is blank: blank text is refused here.
fn says_something(text: &str) -> Option<BlockBody<'_>> {
    (!text.trim().is_empty()).then_some(BlockBody::Text(Cow::Borrowed(text)))
}

/// Thinking goes back only to whom it came from: a seal of this dialect proves that.
fn thinking(reasoning: &Reasoning) -> Option<BlockBody<'_>> {
    let seal = reasoning.seal.as_ref().filter(|seal| seal.dialect == Dialect::Messages)?;
    match seal.kind {
        SealKind::Signature => {
            Some(BlockBody::Thinking { text: &reasoning.text, signature: &seal.data })
        }
        SealKind::Encrypted => Some(BlockBody::RedactedThinking { data: &seal.data }),
        SealKind::Details => None,
    }
}

fn tool_use(call: &ToolCall) -> BlockBody<'_> {
    let input = arguments(&call.arguments, call.custom);
    BlockBody::ToolUse { id: tool_id(&call.id), name: &call.name, input }
}

fn unsayable(what: &str) -> GatewayError {
    GatewayError::invalid("messages", format!("the model's provider cannot be sent {what}"))
}

impl BlockBody<'_> {
    /// Returns whether this is thinking, shown or hidden.
    pub(super) const fn is_thinking(&self) -> bool {
        matches!(self, Self::Thinking { .. } | Self::RedactedThinking { .. })
    }
}

impl Serialize for RequestBlock<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let BlockBody::Raw(json) = &self.body {
            return json.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        match &self.body {
            BlockBody::Raw(_) => {}
            BlockBody::Text(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", text)?;
            }
            BlockBody::Image(place) => {
                map.serialize_entry("type", "image")?;
                map.serialize_entry("source", place)?;
            }
            BlockBody::Document { place, title } => {
                map.serialize_entry("type", "document")?;
                map.serialize_entry("source", place)?;
                if let Some(title) = title {
                    map.serialize_entry("title", title)?;
                }
            }
            BlockBody::Thinking { text, signature } => {
                map.serialize_entry("type", "thinking")?;
                map.serialize_entry("thinking", text)?;
                map.serialize_entry("signature", signature)?;
            }
            BlockBody::RedactedThinking { data } => {
                map.serialize_entry("type", "redacted_thinking")?;
                map.serialize_entry("data", data)?;
            }
            BlockBody::ToolUse { id, name, input } => {
                map.serialize_entry("type", "tool_use")?;
                map.serialize_entry("id", id)?;
                map.serialize_entry("name", name)?;
                map.serialize_entry("input", input)?;
            }
            BlockBody::ToolResult { id, content, is_error } => {
                map.serialize_entry("type", "tool_result")?;
                map.serialize_entry("tool_use_id", id)?;
                if !content.is_empty() {
                    map.serialize_entry("content", &PlainTextBlocks(content))?;
                }
                if *is_error {
                    map.serialize_entry("is_error", &true)?;
                }
            }
        }
        if let Some(cache) = self.cache.filter(|_| !self.body.is_thinking()) {
            map.serialize_entry("cache_control", &CacheControlOutWire::from(cache))?;
        }
        map.end()
    }
}

/// Blocks, written as plain text where they are no more than that.
#[derive(Debug)]
pub(super) struct PlainTextBlocks<'b, 'a>(pub(super) &'b [RequestBlock<'a>]);

impl Serialize for PlainTextBlocks<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [RequestBlock { body: BlockBody::Text(text), cache: None }] => {
                serializer.serialize_str(text)
            }
            blocks => serializer.collect_seq(blocks),
        }
    }
}
