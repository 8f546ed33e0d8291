//! Media of messages: Ollama takes images, and only inline ones.

use gateway_core::{Content, DroppedParams, GatewayError, Image, Part, Result, Source};

/// Returns the base64 of an image.
///
/// # Errors
///
/// If the image is a reference, which Ollama does not fetch.
pub(super) fn inline_image<'a>(image: &'a Image, dropped: &mut DroppedParams) -> Result<&'a str> {
    let Source::Inline { base64, .. } = &image.source else {
        return Err(GatewayError::invalid(
            "messages",
            "the model's provider fetches no URLs: send images as data URLs",
        ));
    };
    let detail = image.detail.as_deref().is_some_and(|detail| detail != "auto");
    dropped.insert_if(detail, "detail");
    Ok(base64)
}

/// The kind of `part`, if Ollama does not support it.
pub(super) const fn unsupported_kind(part: &Part) -> Option<&'static str> {
    match &part.content {
        Content::Audio(_) => Some("audio"),
        Content::File(_) => Some("file"),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Reasoning(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_)
        | Content::Image(_)
        | Content::Opaque(_) => None,
    }
}
