//! The selection of the gateway tools that a request offers, and of their executor.
//!
//! A request gets tools in four ways: it defines one that the gateway knows, it selects some
//! (`x-gateway-tools`), its session lists them, or the configuration offers them to its client or
//! to all clients. A selection replaces the other offers; `off` returns every call to the caller.

use super::{
    context, deadline::DeadlineLayer, permitted::permitted_tools, taxonomy::TaxonomySources,
};
use crate::RequestContext;
use gateway_core::{
    ChatRequest, GatewayError, Payload, Provider, ProviderRequest, Result, ToolError, ToolLoop,
    ToolSpec, Tools,
};
use gateway_sessions::taxonomy::latest;
use gateway_wire::tool_names;
use std::sync::Arc;

/// The gateway's tools that a request selects.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ToolSelection {
    /// The tools of the session and the configuration.
    #[default]
    Usual,
    /// None: every call is returned to the caller.
    Off,
    /// The tools of these names.
    Named(Vec<String>),
}

/// The tools of a request.
pub(crate) struct AttachedTools {
    /// The provider to send the request to, which runs the gateway's tools if there are any.
    pub(crate) provider: Arc<dyn Provider>,
    /// The tools that are described to the model besides those of the request.
    pub(crate) added: Vec<Arc<ToolSpec>>,
    /// The taxonomy that applies, whether or not a tool gets it.
    pub(crate) taxonomy: Option<String>,
}

/// Returns `provider` with the tools attached that the request may use.
///
/// # Errors
///
/// If a tool is offered that does not exist, or the request cannot be decoded.
pub(crate) fn attach(
    context: &RequestContext,
    provider: &Arc<dyn Provider>,
    request: &ProviderRequest,
    sources: TaxonomySources<'_>,
) -> Result<AttachedTools> {
    let attached = attach_loop(context, provider, request, &sources)?;
    Ok(attached.unwrap_or_else(|| AttachedTools {
        provider: Arc::clone(provider),
        added: Vec::new(),
        taxonomy: sources.resolve(context.engine.sessions.taxonomies(), request),
    }))
}

/// `provider` with the gateway's tools attached; `None` if the request comes by no tool.
///
/// # Errors
///
/// If a tool is offered that does not exist, or the request cannot be decoded.
fn attach_loop(
    context: &RequestContext,
    provider: &Arc<dyn Provider>,
    request: &ProviderRequest,
    TaxonomySources { chosen, remembered }: &TaxonomySources<'_>,
) -> Result<Option<AttachedTools>> {
    let (toolbox, client) = (&context.engine.toolbox, &context.head.client);
    let options = &context.head.options;
    let tools = permitted_tools(client, &toolbox.tools);
    let offered: Vec<&str> = match &options.tools {
        ToolSelection::Off => return Ok(None),
        ToolSelection::Named(names) => names.iter().map(String::as_str).collect(),
        ToolSelection::Usual if cannot_call(request) => Vec::new(),
        ToolSelection::Usual => {
            // Configured tools were known at start: one that is missing now has lost its server.
            let configured = toolbox.offered.iter().chain(&client.offered_tools);
            let available = configured.filter(|name| tools.spec(name).is_some());
            available.chain(&chosen.tools).map(String::as_str).collect()
        }
    };
    if offered.is_empty() && !describes_known_tool(request, &*tools) {
        return Ok(None);
    }
    if let Some(name) = offered.iter().find(|name| tools.spec(name).is_none()) {
        let unknown = ToolError::unknown(name).message;
        return Err(GatewayError::invalid("tools", unknown).with_code("tool_not_found"));
    }
    let limit = if request.stream { toolbox.stream_total } else { toolbox.total };
    let mut calls = context::tool_context(chosen, &request.context, limit);
    calls.idempotency_key.clone_from(&options.idempotency_key);
    if calls.taxonomy.is_none() {
        let messages = &request.request()?.messages;
        calls.taxonomy =
            latest(context.engine.sessions.taxonomies(), messages).or_else(|| remembered.clone());
    }
    let (until, taxonomy) = (calls.deadline, calls.taxonomy.clone());
    let added = added_tools(request.request()?, &offered, &*tools);
    let tool_loop = ToolLoop::new(Arc::clone(provider))
        .with_tools(tools)
        .with_offered_tools(offered)
        .with_limits(toolbox.limits)
        .with_context(calls);
    let provider = Arc::new(DeadlineLayer::new(tool_loop, until));
    Ok(Some(AttachedTools { provider, added, taxonomy }))
}

/// The tools `offered` that `request` does not describe itself, each once.
fn added_tools(request: &ChatRequest, offered: &[&str], tools: &dyn Tools) -> Vec<Arc<ToolSpec>> {
    let mut added: Vec<Arc<ToolSpec>> = Vec::new();
    for spec in offered.iter().filter_map(|name| tools.spec(name)) {
        let mut known = request.tools.iter().chain(added.iter().map(|it| &**it));
        if !known.any(|it| it.name() == spec.name()) {
            added.push(spec);
        }
    }
    added
}

/// Whether the model is known to call no tools: what is offered to all is not offered to it.
fn cannot_call(request: &ProviderRequest) -> bool {
    request.target.card.as_ref().is_some_and(|card| card.capabilities.tools == Some(false))
}

/// Whether the request describes a tool that may be one of the gateway's.
fn describes_known_tool(request: &ProviderRequest, tools: &dyn Tools) -> bool {
    let is_known = |name: &str| tools.spec(name).is_some();
    match &request.payload {
        Payload::Raw(raw) => {
            let list = raw.envelope.tools.clone().and_then(|span| raw.body.get(span));
            list.is_some_and(|list| tool_names::may_contain(list, is_known))
        }
        Payload::Parsed(request) => request.tools.iter().any(|tool| is_known(tool.name())),
        Payload::Relayed(_) => false,
    }
}
