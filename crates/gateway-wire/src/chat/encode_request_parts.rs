//! Writes the parts of a message.

use super::quirks::{Feature, Quirks};
use gateway_core::{
    CacheControl, CacheTtl, Content, Dialect, DroppedParams, File, Image, Json, Part, Source,
};
use serde::{Serialize, Serializer, ser::SerializeSeq as _};
use std::borrow::Cow;

/// A part of a message.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Written<'a> {
    Known(Known<'a>),
    Raw(&'a Json),
}

#[derive(Debug, Serialize)]
pub(super) struct Known<'a> {
    #[serde(flatten)]
    kind: Kind<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Cache>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: ImageUrl<'a> },
    InputAudio { input_audio: InputAudio<'a> },
    File { file: FileOut<'a> },
}

#[derive(Debug, Serialize)]
struct ImageUrl<'a> {
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct InputAudio<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Debug, Serialize)]
struct FileOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
}

/// A wish to be cached.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Cache {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl Cache {
    pub(super) fn of(
        wish: Option<CacheControl>,
        quirks: &Quirks,
        dropped: &mut DroppedParams,
    ) -> Option<Self> {
        let CacheControl { ttl } = wish?;
        if !quirks.knows(Feature::CacheControl) {
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

impl<'a> Written<'a> {
    /// A part of plain text.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        let kind = Kind::Text { text: text.into() };
        Self::Known(Known { kind, cache_control: None })
    }

    fn plain(&self) -> Option<&str> {
        if let Self::Known(Known { kind: Kind::Text { text }, cache_control: None }) = self {
            return Some(text);
        }
        None
    }
}

/// The content of a message: a string where that says it all.
#[derive(Debug, Default)]
pub(super) struct Parts<'a>(pub(super) Vec<Written<'a>>);

impl Serialize for Parts<'_> {
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
) -> Option<Written<'a>> {
    let kind = match &part.content {
        Content::Text(text) | Content::Refusal(text) => {
            Kind::Text { text: Cow::Borrowed(text.as_str()) }
        }
        Content::Image(image) => image_url(quirks, image, dropped)?,
        Content::Audio(source) => audio(quirks, source, dropped)?,
        Content::File(file) => document(quirks, file, dropped)?,
        Content::Opaque(it) if it.dialect == Dialect::Chat => return Some(Written::Raw(&it.json)),
        Content::Opaque(it) => {
            dropped.insert(it.kind.clone());
            return None;
        }
        Content::Reasoning(_) | Content::ToolCall(_) | Content::ToolResult(_) => return None,
    };
    let cache_control = Cache::of(part.cache, quirks, dropped);
    Some(Written::Known(Known { kind, cache_control }))
}

fn image_url<'a>(
    quirks: &Quirks,
    image: &'a Image,
    dropped: &mut DroppedParams,
) -> Option<Kind<'a>> {
    let url = match &image.source {
        _ if !quirks.knows(Feature::Images) => None,
        Source::FileId(_) => None,
        Source::Url(url) => Some(Cow::Borrowed(url.as_str())),
        Source::Inline { media_type, base64 } => Some(data_url(media_type, base64)),
    };
    dropped.insert_if(url.is_none(), "image");
    Some(Kind::ImageUrl { image_url: ImageUrl { url: url?, detail: image.detail.as_deref() } })
}

fn audio<'a>(quirks: &Quirks, source: &'a Source, dropped: &mut DroppedParams) -> Option<Kind<'a>> {
    if quirks.knows(Feature::Audio)
        && let Source::Inline { media_type, base64 } = source
    {
        let format = match media_type.strip_prefix("audio/").unwrap_or(media_type) {
            "mpeg" | "mp3" => "mp3",
            "x-wav" | "wave" => "wav",
            other => other,
        };
        return Some(Kind::InputAudio { input_audio: InputAudio { data: base64, format } });
    }
    dropped.insert("audio");
    None
}

fn document<'a>(quirks: &Quirks, file: &'a File, dropped: &mut DroppedParams) -> Option<Kind<'a>> {
    let (file_data, file_id) = match &file.source {
        Source::Inline { media_type, base64 } if quirks.knows(Feature::Files) => {
            (Some(data_url(media_type, base64)), None)
        }
        // Only those that make no files of their own fetch them.
        Source::Url(url) if quirks.knows(Feature::Files) && !quirks.knows(Feature::FileIds) => {
            (Some(Cow::Borrowed(url.as_str())), None)
        }
        Source::FileId(id) if quirks.knows(Feature::FileIds) => (None, Some(id.as_str())),
        Source::Inline { .. } | Source::Url(_) | Source::FileId(_) => {
            dropped.insert("file");
            return None;
        }
    };
    let unnamed = file_data.is_some().then_some("file");
    let filename = file.name.as_deref().or(unnamed);
    Some(Kind::File { file: FileOut { file_data, file_id, filename } })
}

fn data_url<'a>(media_type: &str, base64: &str) -> Cow<'a, str> {
    Cow::Owned(["data:", media_type, ";base64,", base64].concat())
}
