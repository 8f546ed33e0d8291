//! Images, sounds and documents.

use super::encode_request_contents::GeminiPartOutWire;
use gateway_core::Source;
use serde::Serialize;

/// Bytes in the request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InlineDataWire<'a> {
    mime_type: &'a str,
    data: &'a str,
}

/// Bytes that Gemini fetches, or has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileDataWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'static str>,
    file_uri: &'a str,
}

/// The assumed kind of media where neither the request nor the file name states one.
#[derive(Clone, Copy, Debug)]
pub(super) enum MediaTypeGuess {
    Image,
    Audio,
    Document,
}

/// The part that holds `source`, which may be called `name`.
pub(super) fn part<'a>(
    source: &'a Source,
    guess: MediaTypeGuess,
    name: Option<&str>,
) -> GeminiPartOutWire<'a> {
    let told = name.and_then(by_extension);
    match source {
        Source::Inline { media_type, base64 } => {
            let known = Some(media_type.as_str()).filter(|text| !text.is_empty());
            let mime_type = known.or(told).unwrap_or(guess.media_type());
            GeminiPartOutWire::Inline { data: InlineDataWire { mime_type, data: base64 } }
        }
        // Whoever fetches from an address wants to be told what to expect there.
        Source::Url(url) => {
            let mime_type = by_extension(path(url)).or(told).unwrap_or(guess.media_type());
            GeminiPartOutWire::File {
                file: FileDataWire { mime_type: Some(mime_type), file_uri: url },
            }
        }
        // What is in the file store has its type there.
        Source::FileId(id) => {
            let mime_type = by_extension(path(id)).or(told);
            GeminiPartOutWire::File { file: FileDataWire { mime_type, file_uri: id } }
        }
    }
}

impl MediaTypeGuess {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Image => "image/jpeg",
            Self::Audio => "audio/wav",
            Self::Document => "application/pdf",
        }
    }
}

/// `url` without query and fragment.
fn path(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn by_extension(name: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 24] = [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("heic", "image/heic"),
        ("heif", "image/heif"),
        ("wav", "audio/wav"),
        ("mp3", "audio/mp3"),
        ("flac", "audio/flac"),
        ("ogg", "audio/ogg"),
        ("aac", "audio/aac"),
        ("m4a", "audio/mp4"),
        ("mp4", "video/mp4"),
        ("mov", "video/mov"),
        ("webm", "video/webm"),
        ("pdf", "application/pdf"),
        ("txt", "text/plain"),
        ("md", "text/markdown"),
        ("html", "text/html"),
        ("htm", "text/html"),
        ("csv", "text/csv"),
        ("xml", "text/xml"),
        ("json", "application/json"),
    ];
    let (_, extension) = name.rsplit('/').next()?.rsplit_once('.')?;
    KNOWN.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known)).map(|(_, media)| *media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &Source, guess: MediaTypeGuess, name: Option<&str>, expected: &str) {
        assert_eq!(serde_json::to_string(&part(source, guess, name)).unwrap(), expected);
    }

    #[test]
    fn inline_bytes_are_inlined() {
        let source = Source::Inline { media_type: "image/webp".into(), base64: "AA==".into() };
        let expected = r#"{"inlineData":{"mimeType":"image/webp","data":"AA=="}}"#;
        check(&source, MediaTypeGuess::Image, None, expected);
        let source = Source::Inline { media_type: String::new(), base64: "AA==".into() };
        let expected = r#"{"inlineData":{"mimeType":"text/csv","data":"AA=="}}"#;
        check(&source, MediaTypeGuess::Document, Some("table.CSV"), expected);
    }

    #[test]
    fn urls_get_a_media_type() {
        let check = |url: &str, guess, media: &str| {
            let expected = format!(r#"{{"fileData":{{"mimeType":"{media}","fileUri":"{url}"}}}}"#);
            check(&Source::Url(url.to_owned()), guess, None, &expected);
        };
        check("https://example.com/a.png?size=1", MediaTypeGuess::Image, "image/png");
        check("https://example.com/a", MediaTypeGuess::Image, "image/jpeg");
        check("https://example.com/v1.2/a", MediaTypeGuess::Document, "application/pdf");
    }

    #[test]
    fn stored_file_keeps_its_media_type() {
        let source = Source::FileId("files/abc".to_owned());
        check(&source, MediaTypeGuess::Document, None, r#"{"fileData":{"fileUri":"files/abc"}}"#);
    }
}
