//! Tools that an upstream does not have.
//!
//! Clients offer tools that only one provider runs, such as a web search, with every request. Where
//! the model's provider has none like it, the rest of the request still means what it says.

use crate::client_tools::as_function;
use gateway_core::{
    ChatRequest, Dialect, DroppedParams, GatewayError, Result, ToolChoice, ToolKind, ToolSpec,
};
use serde::Deserialize;

/// Returns `request` without the provider-run tools that an upstream of this dialect lacks, each
/// reported in `dropped`, and with functions in place of those that the caller runs; `None` if it
/// lacks none.
///
/// # Errors
///
/// If the tool choice forces one of them; the error names it.
pub fn without_unsupported_tools(
    request: &ChatRequest,
    upstream: Dialect,
    dropped: &mut DroppedParams,
) -> Result<Option<ChatRequest>> {
    let adapted = with_functions(request, upstream);
    let request = adapted.as_ref().unwrap_or(request);
    let foreign: Vec<_> = request
        .tools
        .iter()
        .filter(|tool| is_foreign(tool, upstream))
        .map(ToolSpec::name)
        .map(printable)
        .collect();
    if foreign.is_empty() {
        return Ok(adapted);
    }
    let is_called = |name: &str| {
        let mut missing = request.tools.iter().filter(|tool| is_foreign(tool, upstream));
        missing.any(|tool| tool.name() == name || given_name(tool).as_deref() == Some(name))
    };
    if let Some(ToolChoice::Named(name)) = &request.tool_choice
        && is_called(name)
    {
        let name = printable(name);
        return Err(GatewayError::invalid(
            "tool_choice",
            format!("the model's provider does not support the tool '{name}'"),
        ));
    }
    let mut rest = request.clone();
    rest.tools.retain(|tool| !is_foreign(tool, upstream));
    if let Some(ToolChoice::Allowed { names, .. }) = &mut rest.tool_choice {
        names.retain(|name| !foreign.contains(name));
    }
    if rest.tools.is_empty() {
        rest.tool_choice = None;
        rest.parallel_tool_calls = None;
    }
    for name in foreign {
        dropped.insert(format!("tools.{name}"));
    }
    Ok(Some(rest))
}

/// Returns `request` with functions in place of tools of another provider's types that the caller
/// runs; `None` if there are none.
fn with_functions(request: &ChatRequest, upstream: Dialect) -> Option<ChatRequest> {
    let function =
        |tool: &ToolSpec| is_foreign(tool, upstream).then(|| as_function(tool)).flatten();
    request.tools.iter().find_map(function)?;
    let mut adapted = request.clone();
    for tool in &mut adapted.tools {
        if let Some(function) = function(tool) {
            *tool = function;
        }
    }
    Some(adapted)
}

fn is_foreign(tool: &ToolSpec, upstream: Dialect) -> bool {
    match &tool.kind {
        ToolKind::Function(_) => false,
        ToolKind::Custom(_) => !matches!(upstream, Dialect::Chat | Dialect::Responses),
        ToolKind::Hosted(hosted) => hosted.dialect != upstream,
    }
}

/// The name by which a choice calls a tool that a provider runs, where it is not its type.
fn given_name(tool: &ToolSpec) -> Option<String> {
    #[derive(Deserialize)]
    struct HostedToolNameWire {
        name: Option<String>,
    }
    match &tool.kind {
        ToolKind::Hosted(hosted) => hosted.json.read::<HostedToolNameWire>().ok()?.name,
        ToolKind::Function(_) | ToolKind::Custom(_) => None,
    }
}

/// A name fit for a header and a message: it came from outside.
fn printable(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_graphic() && *c != ',').take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Custom, Json, Opaque};

    fn server_tool(dialect: Dialect, kind: &str) -> ToolSpec {
        let json = Json::of(&serde_json::json!({ "type": kind }));
        let kind = kind.to_owned();
        ToolSpec { kind: ToolKind::Hosted(Opaque { dialect, kind, json }), cache: None }
    }

    fn custom(name: &str) -> ToolSpec {
        let name = name.to_owned();
        ToolSpec {
            kind: ToolKind::Custom(Custom { name, description: None, format: None }),
            cache: None,
        }
    }

    /// Which tools are left of a function `f` and `others`, and what is told.
    #[track_caller]
    fn check(others: Vec<ToolSpec>, choice: ToolChoice, upstream: Dialect, expected: &str) {
        let mut request = ChatRequest::user("m", "hello");
        request.tools = vec![ToolSpec::function("f", "", Json::null())];
        request.tools.extend(others);
        request.tool_choice = Some(choice);
        let mut dropped = DroppedParams::default();
        let told = match without_unsupported_tools(&request, upstream, &mut dropped) {
            Err(error) => error.message().to_owned(),
            Ok(None) => "all".to_owned(),
            Ok(Some(rest)) => {
                let left: Vec<_> = rest.tools.iter().map(ToolSpec::name).collect();
                let told: Vec<_> = dropped.iter().collect();
                format!("{}; lost {}", left.join(" "), told.join(" "))
            }
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn supported_tools_are_preserved() {
        let search = || vec![server_tool(Dialect::Responses, "web_search")];
        check(search(), ToolChoice::Auto, Dialect::Responses, "all");
        check(vec![custom("sql")], ToolChoice::Auto, Dialect::Chat, "all");
    }

    #[test]
    fn unsupported_tools_are_dropped() {
        let search = || vec![server_tool(Dialect::Responses, "web_search"), custom("sql")];
        let left = "f; lost tools.web_search tools.sql";
        check(search(), ToolChoice::Auto, Dialect::Messages, left);
        check(search(), ToolChoice::Named("f".to_owned()), Dialect::Gemini, left);
    }

    #[test]
    fn forced_unsupported_tool_is_rejected() {
        let search = vec![server_tool(Dialect::Responses, "web_search")];
        let named = ToolChoice::Named("web_search".to_owned());
        let refused = "the model's provider does not support the tool 'web_search'";
        check(search, named.clone(), Dialect::Ollama, refused);
        let json = Json::of(&serde_json::json!({ "type": "search_2025", "name": "web_search" }));
        let (dialect, kind) = (Dialect::Messages, "search_2025".to_owned());
        let kind = ToolKind::Hosted(Opaque { dialect, kind, json });
        check(vec![ToolSpec { kind, cache: None }], named, Dialect::Gemini, refused);
    }
}
