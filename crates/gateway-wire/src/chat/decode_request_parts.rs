//! Reads the parts of a message.

use super::{
    lenient::{Text, owned},
    object::{Object, Path, read},
};
use gateway_core::{
    CacheControl, CacheTtl, Content, Dialect, File, Image, Opaque, Part, Reasoning, Result, Source,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// A wish to be cached, as Anthropic writes it.
#[derive(Deserialize)]
pub(super) struct CacheWire {
    r#type: Option<String>,
    ttl: Option<String>,
}

impl CacheWire {
    pub(super) fn read(self) -> Option<CacheControl> {
        let ttl = match self.ttl.as_deref() {
            Some("1h") => Some(CacheTtl::OneHour),
            Some("5m") => Some(CacheTtl::FiveMinutes),
            Some(_) | None => None,
        };
        (self.r#type.as_deref() == Some("ephemeral")).then_some(CacheControl { ttl })
    }
}

/// A message's content: a string or a list of parts.
pub(super) enum ContentWire<'a> {
    Text(Text<'a>),
    Parts(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for ContentWire<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ContentWire<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of parts")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(ContentWire::Text(Text(String::from_utf8_lossy(bytes))))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                let text = String::from_utf8_lossy(bytes).into_owned();
                Ok(ContentWire::Text(Text(text.into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = items.next_element()? {
                    parts.push(part);
                }
                Ok(ContentWire::Parts(parts))
            }
        }
        // A string as bytes: half a surrogate pair is no reason to refuse it.
        deserializer.deserialize_bytes(Either)
    }
}

/// Reads a message's content.
pub(super) fn parts(content: ContentWire<'_>, at: &Path<'_>) -> Result<Vec<Part>> {
    match content {
        ContentWire::Text(text) => Ok(vec![Content::Text(text.into_string()).into()]),
        ContentWire::Parts(items) => {
            items.iter().enumerate().map(|(index, raw)| part(raw, &at.item(index))).collect()
        }
    }
}

fn part(raw: &RawValue, at: &Path<'_>) -> Result<Part> {
    if raw.get().starts_with('"') {
        return Ok(Content::Text(text(raw, at)?).into());
    }
    let object: Object<'_> = read(raw, at)?;
    let kind = object.text("type").ok_or_else(|| at.member("type").invalid("is required"))?;
    let field =
        |name: &'static str| object.get(name).ok_or_else(|| at.member(name).invalid("is required"));
    let content = match &*kind {
        "text" | "input_text" | "output_text" => {
            Content::Text(text(field("text")?, &at.member("text"))?)
        }
        "refusal" => Content::Refusal(text(field("refusal")?, &at.member("refusal"))?),
        "image_url" => Content::Image(image(field("image_url")?, &at.member("image_url"))?),
        "input_audio" => Content::Audio(audio(field("input_audio")?, &at.member("input_audio"))?),
        "file" => Content::File(file(field("file")?, &at.member("file"))?),
        "thinking" => Content::Reasoning(Reasoning { text: thinking(&object), seal: None }),
        _ => Content::Opaque(Opaque {
            dialect: Dialect::Chat,
            kind: kind.clone().into_owned(),
            json: raw.into(),
        }),
    };
    let cache = object.get("cache_control");
    let cache = cache.and_then(|raw| serde_json::from_str::<CacheWire>(raw.get()).ok());
    Ok(Part { content, cache: cache.and_then(CacheWire::read) })
}

fn text(raw: &RawValue, at: &Path<'_>) -> Result<String> {
    Ok(read::<Text<'_>>(raw, at)?.into_string())
}

fn image(raw: &RawValue, at: &Path<'_>) -> Result<Image> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        url: Option<Text<'a>>,
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

fn audio(raw: &RawValue, at: &Path<'_>) -> Result<Source> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        data: Option<Text<'a>>,
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

fn file(raw: &RawValue, at: &Path<'_>) -> Result<File> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        file_data: Option<Text<'a>>,
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

/// What an address means: the bytes themselves, if it is a data URL.
fn located(url: &str) -> Source {
    let inline = || {
        let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
        let media_type = head.strip_suffix(";base64")?.split(';').next()?;
        Some(Source::Inline { media_type: media_type.to_owned(), base64: base64.to_owned() })
    };
    inline().unwrap_or_else(|| Source::Url(url.to_owned()))
}

/// What a document is, by its name: mostly PDF.
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

/// Mistral's thinking: a string, or a list of text parts.
fn thinking(object: &Object<'_>) -> String {
    let Some(raw) = object.get("thinking") else { return String::new() };
    if let Some(text) = object.text("thinking") {
        return text.into_owned();
    }
    let parts: Vec<Object<'_>> = serde_json::from_str(raw.get()).unwrap_or_default();
    parts.iter().filter_map(|part| part.text("text")).collect()
}
