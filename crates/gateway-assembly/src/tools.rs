//! The tools of a generation and the limits of tool loops.

use crate::{previous::PreviousGeneration, providers, settings, shared::SharedResources};
use anyhow::Context as _;
use gateway_config::{
    Config, McpEntry, ResilienceSection, ServicesSection, ToolCallsSection, ToolEntry,
};
use gateway_core::{McpServers, McpSubscribers, ToolLoopLimits, Tools};
use gateway_engine::Toolbox;
use gateway_sessions::McpSessions;
use gateway_store::Stores;
use gateway_tools::{ExecutorLimits, McpServer, ServiceClient, ToolExecutor, ToolObserver};
use metrics::{counter, histogram};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The settings that tools are built from. While they stay the same, a reload keeps the tools with
/// their circuit breakers, running calls and MCP connections.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ExecutorSettings<'a> {
    services: &'a ServicesSection,
    tools: &'a [ToolEntry],
    servers: &'a BTreeMap<String, McpEntry>,
    running: usize,
    max_result_bytes: usize,
    resilience: &'a ResilienceSection,
    connect_timeout: Duration,
}

impl<'a> ExecutorSettings<'a> {
    fn of(config: &'a Config) -> Self {
        let ToolCallsSection { running, max_result_bytes, .. } = &config.tool_calls;
        Self {
            services: &config.services,
            tools: &config.tools,
            servers: &config.mcp,
            running: *running,
            max_result_bytes: max_result_bytes.0,
            resilience: &config.resilience,
            connect_timeout: config.timeouts.connect,
        }
    }
}

/// Builds the tools, or reuses those of the previous generation.
///
/// # Errors
///
/// Names the tool that cannot be built.
pub(crate) fn toolbox(
    config: &Config,
    shared: &SharedResources,
    sessions: &McpSessions,
    previous: Option<PreviousGeneration<'_>>,
) -> anyhow::Result<Toolbox> {
    let (timeouts, calls) = (&config.timeouts, &config.tool_calls);
    let wanted = ExecutorSettings::of(config);
    let same = previous.filter(|it| ExecutorSettings::of(it.config) == wanted);
    let (tools, servers) = match same {
        Some(previous) => {
            let known = &previous.app.engine.toolbox;
            (Arc::clone(&known.tools), Arc::clone(&known.servers))
        }
        None => built(&wanted, shared, sessions)?,
    };
    Ok(Toolbox {
        tools,
        servers,
        offered: calls.offered.clone(),
        limits: ToolLoopLimits { max_rounds: calls.max_rounds, max_parallel: calls.parallel },
        total: timeouts.total,
        stream_total: timeouts.stream_total,
    })
}

type BuiltTools = (Arc<dyn Tools>, Arc<dyn McpServers>);

fn built(
    it: &ExecutorSettings<'_>,
    shared: &SharedResources,
    sessions: &McpSessions,
) -> anyhow::Result<BuiltTools> {
    let executor = Arc::new(executor(it, &shared.stores, sessions)?);
    let servers = Arc::<ToolExecutor>::clone(&executor);
    let tools = match &shared.process.tracing {
        Some(tracing) => tracing.tools(executor),
        None => executor,
    };
    Ok((tools, servers))
}

fn executor(
    it: &ExecutorSettings<'_>,
    stores: &Stores,
    sessions: &McpSessions,
) -> anyhow::Result<ToolExecutor> {
    let connections = settings::connections(it.connect_timeout);
    let registry = settings::registry(it.services, it.tools, it.max_result_bytes, &connections);
    let registry = registry.context("tools")?;
    let mut breaker = providers::breaker_config(it.resilience);
    if !it.resilience.circuit_breaker_enabled {
        breaker.consecutive_failures = u32::MAX;
    }
    let random = gateway_engine::random_unit;
    let limits =
        ExecutorLimits { running: it.running, breaker, random, ..ExecutorLimits::default() };
    let client = ServiceClient::new(&connections)?;
    let servers = it.servers.iter().map(|(name, server)| settings::mcp(name, server));
    let servers: Vec<_> = servers.collect::<Result<_, _>>()?;
    let subscribers: Arc<dyn McpSubscribers> = Arc::new(sessions.clone());
    let servers = servers
        .into_iter()
        .flatten()
        .map(|it| McpServer::new(it, client.clone()).announcing_to(Arc::clone(&subscribers)));
    let executor = ToolExecutor::new(registry, &limits).with_servers(servers, &limits);
    Ok(executor.remembering(Arc::clone(&stores.idempotency)).observed(call_metrics()))
}

/// Returns an observer that counts calls by tool and outcome.
fn call_metrics() -> ToolObserver {
    Arc::new(|tool, outcome, took| {
        let tool = tool.to_owned();
        counter!("llm_gateway_tool_calls_total", "tool" => tool.clone(), "outcome" => outcome)
            .increment(1);
        histogram!("llm_gateway_tool_duration_seconds", "tool" => tool).record(took.as_secs_f64());
    })
}
