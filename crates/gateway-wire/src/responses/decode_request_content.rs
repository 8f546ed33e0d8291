//! The content of messages and of tool results.

use crate::responses::body::{Members, items, read, sort};
use gateway_core::{Content, Dialect, File, GatewayError, Image, Opaque, Part, Result, Source};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The parts of `raw`: text, or a list of pieces.
pub(super) fn content(raw: &RawValue, param: &str) -> Result<Vec<Part>> {
    match sort(raw) {
        b'"' => Ok(vec![Content::Text(read(raw, || param.to_owned())?).into()]),
        b'[' => {
            let pieces = items(raw, param)?.into_iter().enumerate();
            pieces.map(|(at, raw)| part(raw, &format!("{param}[{at}]"))).collect()
        }
        _ => Err(GatewayError::invalid(param.to_owned(), "content is a string or a list")),
    }
}

fn part(raw: &RawValue, param: &str) -> Result<Part> {
    if sort(raw) == b'"' {
        return Ok(Content::Text(read(raw, || param.to_owned())?).into());
    }
    let mut piece: Members<'_> = read(raw, || param.to_owned())?;
    let kind = piece.string("type").unwrap_or_default();
    let field = |name: &str| format!("{param}.{name}");
    let content = match kind.as_str() {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            Content::Text(text(&mut piece, "text", param)?)
        }
        "refusal" => Content::Refusal(text(&mut piece, "refusal", param)?),
        "input_image" => Content::Image(image(&mut piece, param)?),
        "input_file" => Content::File(file(&mut piece, param)?),
        "input_audio" => Content::Audio(audio(&mut piece, param)?),
        "" => return Err(GatewayError::invalid(field("type"), "a piece of content has a type")),
        _ => Content::Opaque(Opaque { dialect: Dialect::Responses, kind, json: raw.into() }),
    };
    Ok(content.into())
}

fn text(piece: &mut Members<'_>, name: &str, param: &str) -> Result<String> {
    string(piece, name, param)?.ok_or_else(|| {
        GatewayError::invalid(format!("{param}.{name}"), format!("{name} is required"))
    })
}

fn string(piece: &mut Members<'_>, name: &str, param: &str) -> Result<Option<String>> {
    piece.remove(name).map(|raw| read(raw, || format!("{param}.{name}"))).transpose()
}

fn image(piece: &mut Members<'_>, param: &str) -> Result<Image> {
    #[derive(Deserialize)]
    struct Nested {
        url: String,
    }
    let detail = string(piece, "detail", param)?;
    let url = match piece.remove("image_url") {
        // As Chat writes it.
        Some(raw) if sort(raw) == b'{' => {
            Some(read::<Nested>(raw, || format!("{param}.image_url"))?.url)
        }
        Some(raw) => Some(read(raw, || format!("{param}.image_url"))?),
        None => None,
    };
    let source = match url {
        Some(url) => from_url(url),
        None => from_id(piece, param, "image_url")?,
    };
    Ok(Image { source, detail })
}

fn file(piece: &mut Members<'_>, param: &str) -> Result<File> {
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

fn audio(piece: &mut Members<'_>, param: &str) -> Result<Source> {
    #[derive(Deserialize)]
    struct Sound {
        data: String,
        format: Cow<'static, str>,
    }
    let param = format!("{param}.input_audio");
    let sound = piece.remove("input_audio");
    let sound = sound.ok_or_else(|| GatewayError::invalid(param.clone(), "it is required"))?;
    let Sound { data: base64, format } = read(sound, || param)?;
    Ok(Source::Inline { media_type: format!("audio/{format}"), base64 })
}

fn from_id(piece: &mut Members<'_>, param: &str, usual: &str) -> Result<Source> {
    string(piece, "file_id", param)?.map(Source::FileId).ok_or_else(|| {
        GatewayError::invalid(format!("{param}.{usual}"), format!("{usual} or file_id is required"))
    })
}

/// What a data URL holds; any other address is for the provider to fetch.
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
