//! Writes the parts of a message.

use super::{
    media::{encode_audio, encode_file, encode_image},
    quirks::{ChatFeature, Quirks},
};
use gateway_core::{CacheControl, CacheTtl, Content, Dialect, DroppedParams, Json, Part};
use serde::{Serialize, Serializer, ser::SerializeSeq as _};
use std::borrow::Cow;

/// A part of a message.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum EncodedPart<'a> {
    Known(TaggedPartWire<'a>),
    Raw(&'a Json),
}

#[derive(Debug, Serialize)]
pub(super) struct TaggedPartWire<'a> {
    #[serde(flatten)]
    kind: ChatPartKindWire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheMarkWire>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ChatPartKindWire<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: ImageUrlWire<'a> },
    InputAudio { input_audio: InputAudioWire<'a> },
    File { file: ChatFileWire<'a> },
}

#[derive(Debug, Serialize)]
pub(super) struct ImageUrlWire<'a> {
    pub(super) url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct InputAudioWire<'a> {
    pub(super) data: &'a str,
    pub(super) format: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct ChatFileWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<&'a str>,
}

/// The cache mark.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct CacheMarkWire {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl CacheMarkWire {
    pub(super) fn of(
        wish: Option<CacheControl>,
        quirks: &Quirks,
        dropped: &mut DroppedParams,
    ) -> Option<Self> {
        let CacheControl { ttl } = wish?;
        if !quirks.knows(ChatFeature::CacheControl) {
            dropped.insert("cache_control");
            return None;
        }
        let ttl = ttl.map(|ttl| match ttl {
            CacheTtl::FiveMinutes => "5m",
            CacheTtl::OneHour => "1h",
        });
        Some(Self { r#type: "ephemeral", ttl })
    }
}

impl<'a> EncodedPart<'a> {
    /// A part of plain text.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        let kind = ChatPartKindWire::Text { text: text.into() };
        Self::Known(TaggedPartWire { kind, cache_control: None })
    }

    fn plain(&self) -> Option<&str> {
        if let Self::Known(TaggedPartWire {
            kind: ChatPartKindWire::Text { text },
            cache_control: None,
        }) = self
        {
            return Some(text);
        }
        None
    }
}

/// The content of a message: a string where that says it all.
#[derive(Debug, Default)]
pub(super) struct ChatPartsWire<'a>(pub(super) Vec<EncodedPart<'a>>);

impl Serialize for ChatPartsWire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [] => serializer.serialize_str(""),
            [part] if part.plain().is_some() => {
                serializer.serialize_str(part.plain().unwrap_or_default())
            }
            parts => {
                let mut list = serializer.serialize_seq(Some(parts.len()))?;
                for part in parts {
                    list.serialize_element(part)?;
                }
                list.end()
            }
        }
    }
}

/// Writes a part; `None` for what the upstream does not take, or what has its place elsewhere.
pub(super) fn part<'a>(
    quirks: &Quirks,
    part: &'a Part,
    dropped: &mut DroppedParams,
) -> Option<EncodedPart<'a>> {
    let kind = match &part.content {
        Content::Text(text) | Content::Refusal(text) => {
            ChatPartKindWire::Text { text: Cow::Borrowed(text.as_str()) }
        }
        Content::Image(image) => encode_image(quirks, image, dropped)?,
        Content::Audio(source) => encode_audio(quirks, source, dropped)?,
        Content::File(file) => encode_file(quirks, file, dropped)?,
        Content::Opaque(it) if it.dialect == Dialect::Chat => {
            return Some(EncodedPart::Raw(&it.json));
        }
        Content::Opaque(it) => {
            dropped.insert(it.kind.clone());
            return None;
        }
        Content::Reasoning(_) | Content::ToolCall(_) | Content::ToolResult(_) => return None,
    };
    let cache_control = CacheMarkWire::of(part.cache, quirks, dropped);
    Some(EncodedPart::Known(TaggedPartWire { kind, cache_control }))
}
