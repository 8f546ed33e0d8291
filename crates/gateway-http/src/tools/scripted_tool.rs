//! A tool for tests.

use async_trait::async_trait;
use gateway_core::{Json, ToolCall, ToolContext, ToolError, ToolErrorCode, ToolSpec, Tools};
use std::sync::Arc;

/// A tool service with the tool `echo`, which returns its arguments, or fails as its argument `x` says.
pub(super) struct ScriptedTool;

#[async_trait]
impl Tools for ScriptedTool {
    fn specs(&self) -> Vec<Arc<ToolSpec>> {
        let schema = Json::parse(r#"{"type":"object"}"#).unwrap();
        vec![Arc::new(ToolSpec::function("echo", "Echoes.", schema))]
    }

    fn spec(&self, name: &str) -> Option<Arc<ToolSpec>> {
        self.specs().into_iter().find(|spec| spec.name() == name)
    }

    fn recognizes(&self, described: &ToolSpec) -> bool {
        described.name() == "echo"
    }

    async fn run(&self, call: &ToolCall, context: &ToolContext) -> Result<Json, ToolError> {
        assert!(context.strict, "programs know what they say");
        let fail = |code| Err(ToolError::new(code, "no"));
        match (call.name.as_str(), call.arguments.as_str()) {
            ("echo", r#"{"x":"slow"}"#) => fail(ToolErrorCode::Timeout),
            ("echo", r#"{"x":"missing"}"#) => fail(ToolErrorCode::NotFound),
            ("echo", r#"{"x":"bad"}"#) => fail(ToolErrorCode::InvalidArguments),
            ("echo", arguments) => Ok(Json::parse(arguments).unwrap()),
            (name, _) => Err(ToolError::unknown(name)),
        }
    }
}
