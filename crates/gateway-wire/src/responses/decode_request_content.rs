//! The content of messages and of tool results.

use crate::json::{
    lazy_object::{LazyObject, first_byte},
    path::{items, read_param},
};
use crate::responses::media::{decode_audio, decode_file, decode_image};
use gateway_core::{Content, Dialect, GatewayError, Opaque, Part, Result};
use serde_json::value::RawValue;

/// The parts of `raw`: text, or a list of pieces.
pub(super) fn content(raw: &RawValue, param: &str) -> Result<Vec<Part>> {
    match first_byte(raw) {
        b'"' => Ok(vec![Content::Text(read_param(raw, || param.to_owned())?).into()]),
        b'[' => {
            let pieces = items(raw, param)?.into_iter().enumerate();
            pieces.map(|(at, raw)| part(raw, &format!("{param}[{at}]"))).collect()
        }
        _ => Err(GatewayError::invalid(param.to_owned(), "content is a string or a list")),
    }
}

fn part(raw: &RawValue, param: &str) -> Result<Part> {
    if first_byte(raw) == b'"' {
        return Ok(Content::Text(read_param(raw, || param.to_owned())?).into());
    }
    let mut piece: LazyObject<'_> = read_param(raw, || param.to_owned())?;
    let kind = piece.text("type").unwrap_or_default();
    let field = |name: &str| format!("{param}.{name}");
    let content = match &*kind {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            Content::Text(text(&mut piece, "text", param)?)
        }
        "refusal" => Content::Refusal(text(&mut piece, "refusal", param)?),
        "input_image" => Content::Image(decode_image(&mut piece, param)?),
        "input_file" => Content::File(decode_file(&mut piece, param)?),
        "input_audio" => Content::Audio(decode_audio(&mut piece, param)?),
        "" => return Err(GatewayError::invalid(field("type"), "a piece of content has a type")),
        _ => Content::Opaque(Opaque {
            dialect: Dialect::Responses,
            kind: kind.into_owned(),
            json: raw.into(),
        }),
    };
    Ok(content.into())
}

fn text(piece: &mut LazyObject<'_>, name: &str, param: &str) -> Result<String> {
    string(piece, name, param)?.ok_or_else(|| {
        GatewayError::invalid(format!("{param}.{name}"), format!("{name} is required"))
    })
}

/// Removes the member `name` of a content part, which must be a string.
pub(super) fn string(
    piece: &mut LazyObject<'_>,
    name: &str,
    param: &str,
) -> Result<Option<String>> {
    piece.remove(name).map(|raw| read_param(raw, || format!("{param}.{name}"))).transpose()
}
