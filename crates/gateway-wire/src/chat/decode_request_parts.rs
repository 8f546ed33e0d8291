//! Reads the parts of a message.

use super::media::{decode_audio, decode_file, decode_image};
use crate::json::{
    lazy_object::LazyObject,
    lenient::LossyText,
    path::{JsonPath, read},
};
use gateway_core::{CacheControl, CacheTtl, Content, Dialect, Opaque, Part, Reasoning, Result};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// The cache mark, as Anthropic writes it.
#[derive(Deserialize)]
pub(super) struct ChatCacheControlWire {
    r#type: Option<String>,
    ttl: Option<String>,
}

impl ChatCacheControlWire {
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
pub(super) enum ChatContentWire<'a> {
    Text(LossyText<'a>),
    Parts(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for ChatContentWire<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;
        impl<'de> Visitor<'de> for TextOrParts {
            type Value = ChatContentWire<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of parts")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(ChatContentWire::Text(LossyText(String::from_utf8_lossy(bytes))))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                let text = String::from_utf8_lossy(bytes).into_owned();
                Ok(ChatContentWire::Text(LossyText(text.into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = items.next_element()? {
                    parts.push(part);
                }
                Ok(ChatContentWire::Parts(parts))
            }
        }
        // A string as bytes: half a surrogate pair is no reason to refuse it.
        deserializer.deserialize_bytes(TextOrParts)
    }
}

/// Reads a message's content.
pub(super) fn parts(content: ChatContentWire<'_>, at: &JsonPath<'_>) -> Result<Vec<Part>> {
    match content {
        ChatContentWire::Text(text) => Ok(vec![Content::Text(text.into_string()).into()]),
        ChatContentWire::Parts(items) => {
            items.iter().enumerate().map(|(index, raw)| part(raw, &at.item(index))).collect()
        }
    }
}

fn part(raw: &RawValue, at: &JsonPath<'_>) -> Result<Part> {
    if raw.get().starts_with('"') {
        return Ok(Content::Text(text(raw, at)?).into());
    }
    let object: LazyObject<'_> = read(raw, at)?;
    let kind = object.text("type").ok_or_else(|| at.member("type").invalid("is required"))?;
    let field =
        |name: &'static str| object.get(name).ok_or_else(|| at.member(name).invalid("is required"));
    let content = match &*kind {
        "text" | "input_text" | "output_text" => {
            Content::Text(text(field("text")?, &at.member("text"))?)
        }
        "refusal" => Content::Refusal(text(field("refusal")?, &at.member("refusal"))?),
        "image_url" => Content::Image(decode_image(field("image_url")?, &at.member("image_url"))?),
        "input_audio" => {
            Content::Audio(decode_audio(field("input_audio")?, &at.member("input_audio"))?)
        }
        "file" => Content::File(decode_file(field("file")?, &at.member("file"))?),
        "thinking" => Content::Reasoning(Reasoning { text: thinking(&object), seal: None }),
        _ => Content::Opaque(Opaque {
            dialect: Dialect::Chat,
            kind: kind.clone().into_owned(),
            json: raw.into(),
        }),
    };
    let cache = object.get("cache_control");
    let cache = cache.and_then(|raw| serde_json::from_str::<ChatCacheControlWire>(raw.get()).ok());
    Ok(Part { content, cache: cache.and_then(ChatCacheControlWire::read) })
}

/// Reads a string.
pub(super) fn text(raw: &RawValue, at: &JsonPath<'_>) -> Result<String> {
    Ok(read::<LossyText<'_>>(raw, at)?.into_string())
}

/// Mistral's thinking: a string, or a list of text parts.
fn thinking(object: &LazyObject<'_>) -> String {
    let Some(raw) = object.get("thinking") else { return String::new() };
    if let Some(text) = object.text("thinking") {
        return text.into_owned();
    }
    let parts: Vec<LazyObject<'_>> = serde_json::from_str(raw.get()).unwrap_or_default();
    parts.iter().filter_map(|part| part.text("text")).collect()
}
