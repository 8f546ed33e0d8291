//! Images, audio and files: decoding those of callers, encoding those for upstreams.

use super::{
    decode_request_parts::text,
    encode_request_parts::{ChatFileWire, ChatPartKindWire, ImageUrlWire, InputAudioWire},
    quirks::{ChatFeature, Quirks},
};
use crate::json::{
    lenient::{LossyText, owned},
    path::{JsonPath, read},
};
use gateway_core::{DroppedParams, File, Image, Result, Source};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Decodes the value of an image part.
pub(super) fn decode_image(raw: &RawValue, at: &JsonPath<'_>) -> Result<Image> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        url: Option<LossyText<'a>>,
        #[serde(default, deserialize_with = "owned")]
        detail: Option<String>,
    }
    if raw.get().starts_with('"') {
        return Ok(Image { source: located(&text(raw, at)?), detail: None });
    }
    let Wire { url, detail } = read(raw, at)?;
    let url = url.ok_or_else(|| at.member("url").invalid("is required"))?;
    Ok(Image { source: located(&url.0), detail })
}

/// Decodes the value of an audio part.
pub(super) fn decode_audio(raw: &RawValue, at: &JsonPath<'_>) -> Result<Source> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        data: Option<LossyText<'a>>,
        #[serde(default, deserialize_with = "owned")]
        format: Option<String>,
    }
    if raw.get().starts_with('"') {
        return Ok(bare_audio(&text(raw, at)?));
    }
    let Wire { data, format } = read(raw, at)?;
    let data = data.ok_or_else(|| at.member("data").invalid("is required"))?;
    if data.0.starts_with("data:") {
        return Ok(located(&data.0));
    }
    let media_type = format!("audio/{}", format.as_deref().unwrap_or("wav"));
    Ok(Source::Inline { media_type, base64: data.into_string() })
}

/// Mistral's way: the bytes or their address, and nothing of what they are.
fn bare_audio(data: &str) -> Source {
    if data.contains(':') {
        return located(data);
    }
    // How files of the two kinds begin, in base64.
    let is_mp3 = data.starts_with("//") || data.starts_with("SUQz");
    let media_type = if is_mp3 { "audio/mp3" } else { "audio/wav" };
    Source::Inline { media_type: media_type.to_owned(), base64: data.to_owned() }
}

/// Decodes the value of a file part.
pub(super) fn decode_file(raw: &RawValue, at: &JsonPath<'_>) -> Result<File> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        file_data: Option<LossyText<'a>>,
        #[serde(default, deserialize_with = "owned")]
        file_id: Option<String>,
        #[serde(default, deserialize_with = "owned")]
        filename: Option<String>,
    }
    let Wire { file_data, file_id, filename: name } = read(raw, at)?;
    let source = match (file_data, file_id) {
        (Some(data), _) if data.0.contains(':') => located(&data.0),
        (Some(data), _) => Source::Inline {
            media_type: media_type(name.as_deref().unwrap_or_default()).to_owned(),
            base64: data.into_string(),
        },
        (None, Some(id)) => Source::FileId(id),
        (None, None) => return Err(at.invalid("needs file_data or file_id")),
    };
    Ok(File { source, name })
}

/// The source behind a URL: inline bytes for a data URL, a reference otherwise.
fn located(url: &str) -> Source {
    let inline = || {
        let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
        let media_type = head.strip_suffix(";base64")?.split(';').next()?;
        Some(Source::Inline { media_type: media_type.to_owned(), base64: base64.to_owned() })
    };
    inline().unwrap_or_else(|| Source::Url(url.to_owned()))
}

/// Returns the media type for a file name; `application/pdf` when the extension is unknown.
fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" => "text/html",
        "json" => "application/json",
        _ => "application/pdf",
    }
}

/// Encodes an image; `None` if the upstream does not take it.
pub(super) fn encode_image<'a>(
    quirks: &Quirks,
    image: &'a Image,
    dropped: &mut DroppedParams,
) -> Option<ChatPartKindWire<'a>> {
    let url = match &image.source {
        _ if !quirks.knows(ChatFeature::Images) => None,
        Source::FileId(_) => None,
        Source::Url(url) => Some(Cow::Borrowed(url.as_str())),
        Source::Inline { media_type, base64 } => Some(data_url(media_type, base64)),
    };
    dropped.insert_if(url.is_none(), "image");
    Some(ChatPartKindWire::ImageUrl {
        image_url: ImageUrlWire { url: url?, detail: image.detail.as_deref() },
    })
}

/// Encodes audio; `None` if the upstream does not take it.
pub(super) fn encode_audio<'a>(
    quirks: &Quirks,
    source: &'a Source,
    dropped: &mut DroppedParams,
) -> Option<ChatPartKindWire<'a>> {
    if quirks.knows(ChatFeature::Audio)
        && let Source::Inline { media_type, base64 } = source
    {
        let format = match media_type.strip_prefix("audio/").unwrap_or(media_type) {
            "mpeg" | "mp3" => "mp3",
            "x-wav" | "wave" => "wav",
            other => other,
        };
        return Some(ChatPartKindWire::InputAudio {
            input_audio: InputAudioWire { data: base64, format },
        });
    }
    dropped.insert("audio");
    None
}

/// Encodes a file; `None` if the upstream does not take it.
pub(super) fn encode_file<'a>(
    quirks: &Quirks,
    file: &'a File,
    dropped: &mut DroppedParams,
) -> Option<ChatPartKindWire<'a>> {
    let (file_data, file_id) = match &file.source {
        Source::Inline { media_type, base64 } if quirks.knows(ChatFeature::Files) => {
            (Some(data_url(media_type, base64)), None)
        }
        // Only those that make no files of their own fetch them.
        Source::Url(url)
            if quirks.knows(ChatFeature::Files) && !quirks.knows(ChatFeature::FileIds) =>
        {
            (Some(Cow::Borrowed(url.as_str())), None)
        }
        Source::FileId(id) if quirks.knows(ChatFeature::FileIds) => (None, Some(id.as_str())),
        Source::Inline { .. } | Source::Url(_) | Source::FileId(_) => {
            dropped.insert("file");
            return None;
        }
    };
    let unnamed = file_data.is_some().then_some("file");
    let filename = file.name.as_deref().or(unnamed);
    Some(ChatPartKindWire::File { file: ChatFileWire { file_data, file_id, filename } })
}

fn data_url<'a>(media_type: &str, base64: &str) -> Cow<'a, str> {
    Cow::Owned(["data:", media_type, ";base64,", base64].concat())
}
