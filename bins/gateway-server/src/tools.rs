//! From configuration to tools.

use crate::{config::Config, lasting::Lasting, providers, settings};
use anyhow::{Context as _, anyhow};
use gateway_core::{ToolLoopLimits, Tools};
use gateway_engine::Toolbox;
use gateway_store::Stores;
use gateway_tools::{ExecutorLimits, McpServer, ServiceClient, ToolExecutor, ToolObserver};
use metrics::{counter, histogram};
use std::sync::Arc;

/// The tools of this gateway, and how their calls are met.
///
/// # Errors
///
/// Says which tool cannot be built.
pub(crate) fn toolbox(config: &Config, lasting: &Lasting) -> anyhow::Result<Toolbox> {
    let (waits, calls) = (&config.timeouts, &config.tool_calls);
    let tools: Arc<dyn Tools> = Arc::new(executor(config, &lasting.stores)?);
    let tools = match &lasting.tracing {
        Some(tracing) => tracing.tools(tools),
        None => tools,
    };
    Ok(Toolbox {
        tools,
        offered: calls.offered.clone(),
        limits: ToolLoopLimits { max_rounds: calls.max_rounds, max_parallel: calls.parallel },
        total: waits.total,
        stream_total: waits.stream_total,
    })
}

fn executor(config: &Config, stores: &Stores) -> anyhow::Result<ToolExecutor> {
    let registry = settings::registry(config).map_err(|error| anyhow!(error)).context("tools")?;
    let mut pauses = providers::breaker_config(&config.resilience);
    if !config.resilience.circuit_breaker_enabled {
        pauses.consecutive_failures = u32::MAX;
    }
    let limits = ExecutorLimits {
        running: config.tool_calls.running,
        breaker: pauses,
        random: gateway_engine::random_unit,
        ..ExecutorLimits::default()
    };
    let client =
        ServiceClient::new(&settings::connecting(config)).map_err(|error| anyhow!(error))?;
    let servers = config.mcp.iter().filter_map(|(name, server)| settings::mcp(name, server));
    let servers = servers.map(|it| McpServer::new(it, client.clone()));
    let executor = ToolExecutor::new(registry, &limits).with_servers(servers, &limits);
    Ok(executor.remembering(Arc::clone(&stores.idempotency)).observed(count()))
}

/// Counts calls, by tool and outcome.
fn count() -> ToolObserver {
    Arc::new(|tool, outcome, took| {
        let tool = tool.to_owned();
        counter!("llm_gateway_tool_calls_total", "tool" => tool.clone(), "outcome" => outcome)
            .increment(1);
        histogram!("llm_gateway_tool_duration_seconds", "tool" => tool).record(took.as_secs_f64());
    })
}
