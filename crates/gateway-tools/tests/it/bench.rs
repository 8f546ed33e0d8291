//! The common parts of the tests.

use gateway_core::{Json, ToolCall, ToolContext, ToolError, Tools as _};
use gateway_tests::{Upstream, platform::PlatformStub};
use gateway_tools::{
    AI_AGENTS, CODE_ORCHESTRATOR, ClientSettings, ExecutorLimits, ProxyTool, SEMANTIC_SEARCH,
    ServiceClient, ServicesSettings, ToolEndpoint, ToolExecutor, ToolRegistry, ToolRow,
    ToolSettings, build,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Every tool, over `platform`.
pub(crate) fn executor(platform: &PlatformStub, configured: &[ToolSettings]) -> ToolExecutor {
    let mut services = ServicesSettings::default();
    for (name, service) in [
        (SEMANTIC_SEARCH, &platform.semantic_search),
        (AI_AGENTS, &platform.ai_agents),
        (CODE_ORCHESTRATOR, &platform.code_orchestrator),
    ] {
        services.addresses.insert(name.to_owned(), service.url());
    }
    let registry = build(&services, configured, &ClientSettings::default()).unwrap();
    ToolExecutor::new(registry, &ExecutorLimits::default())
}

/// A tool called `tool`, of one optional argument `x`, that `upstream` serves.
pub(crate) fn row(path: &str) -> ToolRow {
    let mut row = ToolRow::new("tool", "", "service", ToolEndpoint::new(path).unwrap());
    row.schema = json!({ "type": "object", "properties": { "x": {}, "id": {} } });
    row.timeout = Duration::from_secs(5);
    row
}

/// Runs nothing but `row`, over `upstream`.
pub(crate) fn only(row: ToolRow, upstream: &Upstream) -> ToolExecutor {
    let url = format!("http://127.0.0.1:{}", upstream.port());
    let client = ServiceClient::new(&ClientSettings::default()).unwrap();
    let tool = ProxyTool::new(row, &url, client).unwrap();
    let mut registry = ToolRegistry::default();
    let policy = tool.policy();
    registry.add(Arc::new(tool), policy).unwrap();
    ToolExecutor::new(registry, &ExecutorLimits::default())
}

pub(crate) fn context() -> ToolContext {
    ToolContext {
        tenant: "acme".into(),
        request_id: "request-1".into(),
        conversation: "session-1".into(),
        strict: true,
        ..ToolContext::default()
    }
}

pub(crate) fn call(name: &str, arguments: &Value) -> ToolCall {
    ToolCall {
        id: "c1".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_string(),
        ..ToolCall::default()
    }
}

pub(crate) async fn run(
    executor: &ToolExecutor,
    name: &str,
    arguments: &Value,
) -> Result<Json, ToolError> {
    executor.run(&call(name, arguments), &context()).await
}

/// Returns `ok`, or the error code.
pub(crate) fn word(outcome: &Result<Json, ToolError>) -> &'static str {
    outcome.as_ref().map_or_else(|error| error.code.as_str(), |_| "ok")
}
