//! Blocks: the pieces of a message, as this dialect writes them.

use super::{base64, cache_control::Mark, tool_call_ids::tool_id};
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
pub(super) struct Block<'a> {
    pub(super) body: Body<'a>,
    pub(super) cache: Option<CacheControl>,
}

/// What a [`Block`] holds.
#[derive(Debug)]
pub(super) enum Body<'a> {
    Text(Cow<'a, str>),
    Image(Place<'a>),
    Document { place: Place<'a>, title: Option<&'a str> },
    Thinking { text: &'a str, signature: &'a str },
    RedactedThinking { data: &'a str },
    ToolUse { id: Cow<'a, str>, name: &'a str, input: Cow<'a, RawValue> },
    ToolResult { id: Cow<'a, str>, content: Vec<Block<'a>>, is_error: bool },
    Raw(&'a Json),
}

/// Where the bytes of a picture or document are.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Place<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Text { media_type: &'static str, data: String },
    Url { url: &'a str },
    File { file_id: &'a str },
}

/// Turns parts into blocks, and keeps account of what is lost.
#[derive(Debug)]
pub(super) struct Blocks<'l> {
    pub(super) dropped: &'l mut DroppedParams,
    /// The request is known to come from a caller of another dialect.
    pub(super) foreign: bool,
}

impl Blocks<'_> {
    /// The block for `part`; `None` if there is nothing to say, or no way to say it that would be
    /// missed.
    ///
    /// # Errors
    ///
    /// If the conversation would mean something else without the part.
    pub(super) fn of<'a>(&mut self, part: &'a Part) -> Result<Option<Block<'a>>> {
        let body = match &part.content {
            Content::Text(text) | Content::Refusal(text) => says_something(text),
            Content::Image(image) => Some(self.image(image)?),
            Content::File(file) => Some(self.document(file)?),
            Content::Audio(_) => return Err(unsayable("sound")),
            Content::Reasoning(reasoning) => thinking(reasoning),
            Content::ToolCall(call) => Some(tool_use(call)),
            Content::ToolResult(result) => Some(self.tool_result(result)?),
            Content::Opaque(it) if it.dialect == Dialect::Messages => Some(Body::Raw(&it.json)),
            Content::Opaque(it) => {
                self.dropped.insert(it.kind.clone());
                None
            }
        };
        Ok(body.map(|body| Block { body, cache: part.cache }))
    }

    fn image<'a>(&mut self, image: &'a Image) -> Result<Body<'a>> {
        self.dropped.insert_if(image.detail.as_deref().is_some_and(|it| it != "auto"), "detail");
        let place = self.place(&image.source)?;
        Ok(match place {
            Place::Base64 { media_type: "application/pdf", .. } | Place::Text { .. } => {
                Body::Document { place, title: None }
            }
            Place::Base64 { .. } | Place::Url { .. } | Place::File { .. } => Body::Image(place),
        })
    }

    fn document<'a>(&mut self, file: &'a File) -> Result<Body<'a>> {
        let place = self.place(&file.source)?;
        Ok(match place {
            Place::Base64 { media_type, .. } if media_type.starts_with("image/") => {
                Body::Image(place)
            }
            Place::Base64 { .. } | Place::Text { .. } | Place::Url { .. } | Place::File { .. } => {
                Body::Document { place, title: file.name.as_deref() }
            }
        })
    }

    fn place<'a>(&self, source: &'a Source) -> Result<Place<'a>> {
        Ok(match source {
            Source::Inline { media_type, base64 } => plain_document(media_type, base64)
                .unwrap_or(Place::Base64 { media_type, data: base64 }),
            Source::Url(url) => Place::Url { url },
            Source::FileId(_) if self.foreign => {
                return Err(unsayable("a file of another provider"));
            }
            Source::FileId(file_id) => Place::File { file_id },
        })
    }

    fn tool_result<'a>(&mut self, result: &'a ToolResult) -> Result<Body<'a>> {
        let ToolResult { call_id, parts, is_error, name: _ } = result;
        let mut content = Vec::with_capacity(parts.len());
        for part in parts {
            content.extend(self.of(part)?);
        }
        Ok(Body::ToolResult { id: tool_id(call_id), content, is_error: *is_error })
    }
}

/// Text, unless it is blank: blank text is refused here.
fn says_something(text: &str) -> Option<Body<'_>> {
    (!text.trim().is_empty()).then_some(Body::Text(Cow::Borrowed(text)))
}

/// A document of plain text, which travels unencoded.
fn plain_document(media_type: &str, base64: &str) -> Option<Place<'static>> {
    let is_text = media_type.starts_with("text/") || media_type == "application/json";
    let data = is_text.then(|| base64::decode_text(base64))??;
    Some(Place::Text { media_type: "text/plain", data })
}

/// Thinking goes back only to whom it came from: a seal of this dialect proves that.
fn thinking(reasoning: &Reasoning) -> Option<Body<'_>> {
    let seal = reasoning.seal.as_ref().filter(|seal| seal.dialect == Dialect::Messages)?;
    match seal.kind {
        SealKind::Signature => {
            Some(Body::Thinking { text: &reasoning.text, signature: &seal.data })
        }
        SealKind::Encrypted => Some(Body::RedactedThinking { data: &seal.data }),
        SealKind::Details => None,
    }
}

fn tool_use(call: &ToolCall) -> Body<'_> {
    let input = arguments(&call.arguments, call.custom);
    Body::ToolUse { id: tool_id(&call.id), name: &call.name, input }
}

fn unsayable(what: &str) -> GatewayError {
    GatewayError::invalid("messages", format!("the model's provider cannot be sent {what}"))
}

impl Body<'_> {
    /// Whether this is thinking, shown or hidden.
    pub(super) const fn is_thinking(&self) -> bool {
        matches!(self, Self::Thinking { .. } | Self::RedactedThinking { .. })
    }
}

impl Serialize for Block<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Body::Raw(json) = &self.body {
            return json.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        match &self.body {
            Body::Raw(_) => {}
            Body::Text(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", text)?;
            }
            Body::Image(place) => {
                map.serialize_entry("type", "image")?;
                map.serialize_entry("source", place)?;
            }
            Body::Document { place, title } => {
                map.serialize_entry("type", "document")?;
                map.serialize_entry("source", place)?;
                if let Some(title) = title {
                    map.serialize_entry("title", title)?;
                }
            }
            Body::Thinking { text, signature } => {
                map.serialize_entry("type", "thinking")?;
                map.serialize_entry("thinking", text)?;
                map.serialize_entry("signature", signature)?;
            }
            Body::RedactedThinking { data } => {
                map.serialize_entry("type", "redacted_thinking")?;
                map.serialize_entry("data", data)?;
            }
            Body::ToolUse { id, name, input } => {
                map.serialize_entry("type", "tool_use")?;
                map.serialize_entry("id", id)?;
                map.serialize_entry("name", name)?;
                map.serialize_entry("input", input)?;
            }
            Body::ToolResult { id, content, is_error } => {
                map.serialize_entry("type", "tool_result")?;
                map.serialize_entry("tool_use_id", id)?;
                if !content.is_empty() {
                    map.serialize_entry("content", &Plainly(content))?;
                }
                if *is_error {
                    map.serialize_entry("is_error", &true)?;
                }
            }
        }
        if let Some(cache) = self.cache.filter(|_| !self.body.is_thinking()) {
            map.serialize_entry("cache_control", &Mark::from(cache))?;
        }
        map.end()
    }
}

/// Blocks, written as plain text where they are no more than that.
#[derive(Debug)]
pub(super) struct Plainly<'b, 'a>(pub(super) &'b [Block<'a>]);

impl Serialize for Plainly<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [Block { body: Body::Text(text), cache: None }] => serializer.serialize_str(text),
            blocks => serializer.collect_seq(blocks),
        }
    }
}
