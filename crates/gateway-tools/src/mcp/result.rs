//! Conversion of MCP results into tool results.

use gateway_core::{Json, ToolError, ToolErrorCode};
use rmcp::{
    model::{CallToolResult, ContentBlock},
    service::ServiceError,
};

/// Maximum bytes of an error message.
const MAX_REASON: usize = 500;

/// The result of a call: its structure if it has one, its text if it is nothing else, else all of
/// its content.
///
/// # Errors
///
/// If the server says that the tool failed.
pub(super) fn of(called: CallToolResult) -> Result<Json, ToolError> {
    let text = text(&called.content);
    if called.is_error == Some(true) {
        let why: String = text.unwrap_or_default().chars().take(MAX_REASON).collect();
        let why = if why.is_empty() { "the tool failed".to_owned() } else { why };
        return Err(ToolError::new(ToolErrorCode::Failed, why));
    }
    Ok(match (called.structured_content, text) {
        (Some(structure), _) => Json::of(&structure),
        // Many servers write JSON into text.
        (None, Some(text)) => Json::parse(&text).unwrap_or_else(|_| Json::of(&text)),
        (None, None) => Json::of(&called.content),
    })
}

/// The content as text, if it is nothing else.
fn text(content: &[ContentBlock]) -> Option<String> {
    let texts: Option<Vec<_>> = content.iter().map(|it| it.as_text().map(|it| &*it.text)).collect();
    texts.map(|texts| texts.join("\n"))
}

/// Why there is no result.
pub(super) fn failed(error: &ServiceError) -> ToolError {
    tracing::debug!(target: "gateway::tool", error = format!("{error:?}"));
    if let ServiceError::McpError(error) = error {
        let why: String = error.message.chars().take(MAX_REASON).collect();
        return ToolError::new(ToolErrorCode::Failed, why);
    }
    // It may have done its work.
    ToolError::new(ToolErrorCode::UpstreamInvalid, "the MCP server closed the connection")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(result: &str, expected: Result<&str, &str>) {
        let called = of(serde_json::from_str(result).unwrap());
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
    }

    #[test]
    fn mcp_error_is_a_tool_error() {
        check(r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#, Err("no"));
        check(r#"{"content":[],"isError":true}"#, Err("the tool failed"));
    }
}
