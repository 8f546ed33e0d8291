//! Conversion of MCP results into tool results.

use super::message::{CallMessage, ContentMessage, ErrorMessage};
use gateway_core::{Json, ToolError, ToolErrorCode};
use serde_json::value::RawValue;

/// Maximum bytes of an error message.
const MAX_REASON: usize = 500;

/// The result of a call: its structure if it has one, its text if it is nothing else, else all of
/// its content. What the server wrote stays as it is.
///
/// # Errors
///
/// If the server says that the tool failed, or asks for input that nothing can give.
pub(super) fn of(result: &Json) -> Result<Json, ToolError> {
    let called: CallMessage = result.read().map_err(|_| {
        ToolError::new(ToolErrorCode::UpstreamInvalid, "the server's result is none")
    })?;
    if called.result_type.as_deref() == Some("input_required") {
        let message = "the tool asks for input while it runs, which the gateway cannot give";
        return Err(ToolError::new(ToolErrorCode::Failed, message));
    }
    let text = called.content.as_deref().map_or_else(|| Some(String::new()), text);
    if called.is_error == Some(true) {
        let why = shortened(&text.unwrap_or_default());
        let why = if why.is_empty() { "the tool failed".to_owned() } else { why };
        return Err(ToolError::new(ToolErrorCode::Failed, why));
    }
    Ok(match (called.structured_content, text) {
        (Some(structure), _) => structure,
        // Many servers write JSON into text.
        (None, Some(text)) => Json::parse(&*text).unwrap_or_else(|_| Json::of(&text)),
        (None, None) => called.content.map_or_else(Json::null, |content| Json::from(&*content)),
    })
}

/// The content as text, if it is nothing else.
fn text(content: &RawValue) -> Option<String> {
    let blocks: Vec<ContentMessage> = serde_json::from_str(content.get()).ok()?;
    let text = |block: ContentMessage| block.text.filter(|_| block.kind == "text");
    let texts: Option<Vec<_>> = blocks.into_iter().map(text).collect();
    texts.map(|texts| texts.join("\n"))
}

/// Why there is no result.
pub(super) fn refused(error: &ErrorMessage) -> ToolError {
    tracing::debug!(target: "gateway::tool", code = error.code, message = error.message);
    ToolError::new(ToolErrorCode::Failed, shortened(&error.message))
}

fn shortened(why: &str) -> String {
    why.chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(result: &str, expected: Result<&str, &str>) {
        let called = of(&Json::parse(result).unwrap());
        let called = called.as_ref().map(Json::get).map_err(|error| &*error.message);
        assert_eq!(called, expected, "{result}");
    }

    #[test]
    fn mcp_result_is_returned_unchanged() {
        check(r#"{"content":[{"type":"text","text":"hi"}]}"#, Ok(r#""hi""#));
        check(r#"{"content":[{"type":"text","text":"{\"a\":1}"}]}"#, Ok(r#"{"a":1}"#));
        check(
            r#"{"content":[{"type":"text","text":"x"}],"structuredContent":{"a":1}}"#,
            Ok(r#"{"a":1}"#),
        );
        check(r#"{"content":[]}"#, Ok(r#""""#));
        let image = r#"[{"type":"image","data":"QQ==","mimeType":"image/png"}]"#;
        check(&format!(r#"{{"content":{image}}}"#), Ok(image));
    }

    #[test]
    fn numbers_are_returned_to_the_digit() {
        for number in ["0.830000000000000071", "12345678901234567890123", "1e2", "-0", "1.0"] {
            let expected = format!(r#"{{"n":{number}}}"#);
            check(&format!(r#"{{"content":[],"structuredContent":{expected}}}"#), Ok(&expected));
            let text = format!(r#"{{"content":[{{"type":"text","text":"{{\"n\":{number}}}"}}]}}"#);
            check(&text, Ok(&expected));
        }
    }

    #[test]
    fn mcp_error_is_a_tool_error() {
        check(r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#, Err("no"));
        check(r#"{"content":[],"isError":true}"#, Err("the tool failed"));
        let asks = r#"{"resultType":"input_required","inputRequests":{}}"#;
        check(asks, Err("the tool asks for input while it runs, which the gateway cannot give"));
    }
}
