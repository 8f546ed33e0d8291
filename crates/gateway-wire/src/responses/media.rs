//! Images, files and audio: decoding those of callers, encoding those for upstreams.

use crate::{
    json::{
        lazy_object::{LazyObject, first_byte},
        path::read_param,
    },
    responses::{decode_request_content::string, encode_request_items::InputContentWire},
};
use gateway_core::{File, GatewayError, Image, Result, Source};
use serde::Deserialize;
use std::borrow::Cow;

/// Decodes the members of an image part.
pub(super) fn decode_image(piece: &mut LazyObject<'_>, param: &str) -> Result<Image> {
    #[derive(Deserialize)]
    struct Nested {
        url: String,
    }
    let detail = string(piece, "detail", param)?;
    let url = match piece.remove("image_url") {
        // As Chat writes it.
        Some(raw) if first_byte(raw) == b'{' => {
            Some(read_param::<Nested>(raw, || format!("{param}.image_url"))?.url)
        }
        Some(raw) => Some(read_param(raw, || format!("{param}.image_url"))?),
        None => None,
    };
    let source = match url {
        Some(url) => from_url(url),
        None => from_id(piece, param, "image_url")?,
    };
    Ok(Image { source, detail })
}

/// Decodes the members of a file part.
pub(super) fn decode_file(piece: &mut LazyObject<'_>, param: &str) -> Result<File> {
    let name = string(piece, "filename", param)?;
    let source = if let Some(data) = string(piece, "file_data", param)? {
        match from_url(data) {
            Source::Url(base64) => Source::Inline { media_type: type_of(name.as_deref()), base64 },
            inline @ (Source::Inline { .. } | Source::FileId(_)) => inline,
        }
    } else if let Some(url) = string(piece, "file_url", param)? {
        from_url(url)
    } else {
        from_id(piece, param, "file_data")?
    };
    Ok(File { source, name })
}

/// Decodes the members of an audio part.
pub(super) fn decode_audio(piece: &mut LazyObject<'_>, param: &str) -> Result<Source> {
    #[derive(Deserialize)]
    struct AudioPartWire {
        data: String,
        format: Cow<'static, str>,
    }
    let param = format!("{param}.input_audio");
    let sound = piece.remove("input_audio");
    let sound = sound.ok_or_else(|| GatewayError::invalid(param.clone(), "it is required"))?;
    let AudioPartWire { data: base64, format } = read_param(sound, || param)?;
    Ok(Source::Inline { media_type: format!("audio/{format}"), base64 })
}

fn from_id(piece: &mut LazyObject<'_>, param: &str, usual: &str) -> Result<Source> {
    string(piece, "file_id", param)?.map(Source::FileId).ok_or_else(|| {
        GatewayError::invalid(format!("{param}.{usual}"), format!("{usual} or file_id is required"))
    })
}

/// The source behind a URL: inline bytes for a data URL, a reference otherwise.
fn from_url(url: String) -> Source {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, base64)) => {
            Source::Inline { media_type: media_type.to_owned(), base64: base64.to_owned() }
        }
        None => Source::Url(url),
    }
}

/// The type of a document that only has a name.
fn type_of(name: Option<&str>) -> String {
    let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("txt" | "md") => "text/plain",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("html" | "htm") => "text/html",
        Some("pdf") | None => "application/pdf",
        Some(_) => "application/octet-stream",
    }
    .to_owned()
}

/// Encodes an image.
pub(super) fn encode_image(image: &Image) -> InputContentWire<'_> {
    let detail = image.detail.as_deref().unwrap_or("auto");
    let (image_url, file_id) = match &image.source {
        Source::Inline { media_type, base64 } => {
            (Some(Cow::Owned(data_url(media_type, base64))), None)
        }
        Source::Url(url) => (Some(Cow::Borrowed(url.as_str())), None),
        Source::FileId(id) => (None, Some(id.as_str())),
    };
    InputContentWire::InputImage { image_url, file_id, detail }
}

/// Encodes a file.
pub(super) fn encode_file(file: &File) -> InputContentWire<'_> {
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
    InputContentWire::InputFile { filename, file_data, file_id, file_url }
}

fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}
