//! Images and documents: their sources in requests of callers and to the provider.
//!
//! Plain text documents travel as text in this dialect, and as base64 in all others.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use gateway_core::{Json, Source};
use serde::{Deserialize, Serialize};

/// An image or document block.
#[derive(Deserialize)]
pub(super) struct MediaBlockWire {
    pub(super) source: Json,
    #[serde(default)]
    pub(super) title: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum MediaSourceInWire {
    Base64 { media_type: String, data: String },
    Text { data: String },
    Url { url: String },
    File { file_id: String },
}

/// The source of an image or document.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum MediaSource<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Text { media_type: &'static str, data: String },
    Url { url: &'a str },
    File { file_id: &'a str },
}

/// The source of an image or document; `None` for kinds that only this dialect has.
pub(super) fn source(value: &Json) -> Option<Source> {
    Some(match value.read().ok()? {
        MediaSourceInWire::Base64 { media_type, data } => {
            Source::Inline { media_type, base64: data }
        }
        MediaSourceInWire::Text { data } => {
            Source::Inline { media_type: "text/plain".to_owned(), base64: STANDARD.encode(data) }
        }
        MediaSourceInWire::Url { url } => Source::Url(url),
        MediaSourceInWire::File { file_id } => Source::FileId(file_id),
    })
}

/// A document of plain text, which travels unencoded.
pub(super) fn plain_document(media_type: &str, base64: &str) -> Option<MediaSource<'static>> {
    let is_text = media_type.starts_with("text/") || media_type == "application/json";
    let data = is_text.then(|| decode_text(base64))??;
    Some(MediaSource::Text { media_type: "text/plain", data })
}

/// Accepts any padding, since providers and clients differ in it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64 of either alphabet, with or without line breaks; `None` if the input is not
/// base64 or its content not UTF-8.
fn decode_text(base64: &str) -> Option<String> {
    let letters = base64.trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace());
    let standard = letters.map(|letter| match letter {
        b'-' => b'+',
        b'_' => b'/',
        _ => letter,
    });
    String::from_utf8(LENIENT.decode(standard.collect::<Vec<u8>>()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_any_alphabet_and_padding_is_decoded() {
        for (text, base64) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("fo", "Zm8"),
            ("fo", "Z m\n8="),
            ("~~~", "fn5-"),
            ("???", "Pz8_"),
        ] {
            assert_eq!(decode_text(base64).as_deref(), Some(text));
        }
    }

    #[test]
    fn non_text_is_reported() {
        assert_eq!(decode_text("!!!!"), None);
        assert_eq!(decode_text("Z"), None);
        assert_eq!(decode_text(&STANDARD.encode([0xff, 0xfe])), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_round_trips(text in "\\PC*") {
            proptest::prop_assert_eq!(decode_text(&STANDARD.encode(&text)), Some(text));
        }
    }
}
