//! A call of one of the gateway's own tools.

use super::{
    super::endpoints,
    message::{INVALID_PARAMS, McpFailure, McpResult},
};
use gateway_core::{Json, ToolCall, ToolContext, ToolError, Tools};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Runs a tool and returns its result.
pub(super) async fn run(
    tools: &dyn Tools,
    params: Option<&RawValue>,
    context: ToolContext,
) -> McpResult {
    let params = params.map_or("null", RawValue::get);
    let asked: CallParams<'_> = serde_json::from_str(params)
        .map_err(|_| McpFailure::new(INVALID_PARAMS, "params must have a name, and arguments"))?;
    if tools.spec(&asked.name).is_none() {
        return Err(McpFailure::new(INVALID_PARAMS, ToolError::unknown(&asked.name).message));
    }
    let call = ToolCall {
        name: asked.name.into_owned(),
        arguments: asked.arguments.map_or("{}", RawValue::get).to_owned(),
        ..ToolCall::default()
    };
    Ok(output(&endpoints::run(tools, &call, context).await))
}

/// The result of a call: a failure of the tool is one too.
pub(super) fn output(called: &Result<Json, ToolError>) -> Json {
    Json::of(&match called {
        Ok(result) => CallOutput::of(result),
        Err(error) => CallOutput::failed(error),
    })
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// The result of a call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallOutput<'a> {
    content: [Text<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a Json>,
    is_error: bool,
}

#[derive(Serialize)]
struct Text<'a> {
    r#type: &'static str,
    text: Cow<'a, str>,
}

impl<'a> CallOutput<'a> {
    fn of(result: &'a Json) -> Self {
        // Only an object may be structured content.
        let structured_content = Some(result).filter(|it| it.get().starts_with('{'));
        let text = Text { r#type: "text", text: result.compact().into() };
        Self { content: [text], structured_content, is_error: false }
    }

    fn failed(error: &ToolError) -> Self {
        let text = Text { r#type: "text", text: error.to_json().compact().into() };
        Self { content: [text], structured_content: None, is_error: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::scripted_tool::ScriptedTool;
    use futures_util::FutureExt as _;

    #[track_caller]
    fn check(params: &str, expected: &str) {
        let params = RawValue::from_string(params.to_owned()).unwrap();
        let called =
            run(&ScriptedTool, Some(&params), ToolContext::default()).now_or_never().unwrap();
        let said = called.map_or_else(|it| it.code.to_string(), |it| it.get().to_owned());
        assert_eq!(said, expected, "{params}");
    }

    #[test]
    fn mcp_result_has_text_and_structured_content() {
        check(
            r#"{"name":"echo","arguments":{"a": 1}}"#,
            r#"{"content":[{"type":"text","text":"{\"a\":1}"}],"structuredContent":{"a": 1},"isError":false}"#,
        );
        check(
            r#"{"name":"echo","arguments":[1]}"#,
            r#"{"content":[{"type":"text","text":"[1]"}],"isError":false}"#,
        );
    }

    #[test]
    fn mcp_tool_failure_is_a_result() {
        check(
            r#"{"name":"echo","arguments":{"x":"slow"}}"#,
            r#"{"content":[{"type":"text","text":"{\"error\":\"no\",\"error_code\":\"timeout\"}"}],"isError":true}"#,
        );
    }

    #[test]
    fn unknown_tool_is_protocol_error() {
        check(r#"{"name":"ohce"}"#, "-32602");
        check("{}", "-32602");
        check("null", "-32602");
    }
}
