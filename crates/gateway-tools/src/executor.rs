//! Running tools: within their schema, their time, their size, and the health of their service.

use crate::{
    arguments,
    call_ledger::{self, CallLedger, LedgerEntry},
    client, listing,
    mcp::McpServer,
    registry::{RegisteredTool, ToolRegistry},
    service_circuit::ServiceCircuit,
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use gateway_core::{
    Json, McpList, McpListEntry, McpReply, McpRequest, McpServers, ToolCall, ToolContext,
    ToolError, ToolErrorCode, ToolSpec, Tools, state::IdempotencyStore, time::millis,
};
use gateway_resilience::breaker;
use gateway_tasks::supervise;
use serde_json::{Map, Value};
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{self, Instant},
};

/// Learns of every call: the tool's name, how it went (`ok` or the code of its failure), and how
/// long it took. The name is that of a registered tool, or `unknown`.
pub type ToolObserver = Arc<dyn Fn(&str, &'static str, Duration) + Send + Sync>;

/// Limits shared by all tools.
#[derive(Clone)]
pub struct ExecutorLimits {
    /// Maximum number of concurrent tool calls, over all requests.
    pub running: usize,
    /// Maximum time a call waits in the queue.
    pub queue: Duration,
    /// Circuit breaker policy of each service.
    pub breaker: breaker::BreakerPolicy,
    /// Draws from 0 to 1.
    pub random: fn() -> f64,
}

impl Default for ExecutorLimits {
    fn default() -> Self {
        Self {
            running: 64,
            queue: Duration::from_secs(1),
            breaker: breaker::BreakerPolicy::default(),
            random: || 0.5,
        }
    }
}

/// Runs the tools of a [`ToolRegistry`].
pub struct ToolExecutor {
    registry: Arc<ArcSwap<ToolRegistry>>,
    /// The servers of some of the tools.
    servers: Vec<McpServer>,
    /// Asks servers for their tools, as long as this lives.
    listing: JoinSet<()>,
    guards: HashMap<String, ServiceCircuit>,
    turns: Semaphore,
    queue: Duration,
    ledger: Option<CallLedger>,
    observer: Option<ToolObserver>,
}

impl ToolExecutor {
    /// Runs the tools of `registry`, which share `limits`.
    pub fn new(registry: ToolRegistry, limits: &ExecutorLimits) -> Self {
        let services = registry.iter().filter_map(|it| it.policy.service.clone());
        let guard = |service| (service, ServiceCircuit::new(limits.breaker, limits.random));
        Self {
            guards: services.map(guard).collect(),
            registry: Arc::new(ArcSwap::from_pointee(registry)),
            servers: Vec::new(),
            listing: JoinSet::new(),
            turns: Semaphore::new(limits.running),
            queue: limits.queue,
            ledger: None,
            observer: None,
        }
    }

    /// Adds the tools of `servers`, and refreshes them periodically. Needs a runtime.
    #[must_use]
    pub fn with_servers(
        mut self,
        servers: impl IntoIterator<Item = McpServer>,
        limits: &ExecutorLimits,
    ) -> Self {
        for server in servers {
            self.guards
                .insert(server.service(), ServiceCircuit::new(limits.breaker, limits.random));
            self.servers.push(server.clone());
            let registry = Arc::clone(&self.registry);
            let announcing = server.clone();
            let keep = move || listing::keep(server.clone(), Arc::clone(&registry));
            self.listing.spawn(supervise("mcp_tools", keep));
            self.listing.spawn(supervise("mcp_announcements", move || {
                let server = announcing.clone();
                async move { server.listen().await }
            }));
        }
        self
    }

    /// Remembers, in `store`, calls of tools that must not be run twice.
    #[must_use]
    pub fn remembering(mut self, store: Arc<dyn IdempotencyStore>) -> Self {
        self.ledger = Some(CallLedger(store));
        self
    }

    /// Calls `observer` for every finished call.
    #[must_use]
    pub fn observed(mut self, observer: ToolObserver) -> Self {
        self.observer = Some(observer);
        self
    }

    async fn execute(&self, call: &ToolCall, context: &ToolContext) -> Result<Json, ToolError> {
        let tool = self.registered(&call.name).ok_or_else(|| ToolError::unknown(&call.name))?;
        let arguments = checked(&tool, &call.arguments, context.strict)?;
        let now = Instant::now();
        let limit = now + tool.policy.timeout;
        let deadline = context.deadline.map_or(limit, |it| limit.min(Instant::from_std(it)));
        if deadline <= now {
            return Err(ToolError::new(
                ToolErrorCode::Timeout,
                "the deadline of the request has passed",
            ));
        }
        let key = call_ledger::key(call, context);
        let context = ToolContext {
            deadline: Some(deadline.into_std()),
            idempotency_key: Some(key.as_str().into()),
            ..context.clone()
        };
        let turn = time::timeout_at(deadline.min(now + self.queue), self.turns.acquire());
        let Ok(Ok(_turn)) = turn.await else {
            return Err(ToolError::new(ToolErrorCode::Unavailable, "too many tools are running"));
        };
        let noted = match &self.ledger {
            Some(ledger) if !tool.policy.idempotent => {
                match ledger.note(&context.tenant, &key).await? {
                    LedgerEntry::Done(result) => return Ok(result),
                    LedgerEntry::New(noted) => noted,
                }
            }
            Some(_) | None => None,
        };
        let outcome = self.run_guarded(&tool, &arguments, &context, deadline == limit).await;
        if let Some(noted) = noted {
            noted.close(&outcome).await;
        }
        outcome
    }

    fn server(&self, name: &str) -> Result<&McpServer, ToolError> {
        let known = self.servers.iter().find(|known| known.is_called(name));
        known.ok_or_else(|| ToolError::new(ToolErrorCode::NotFound, "there is no such MCP server"))
    }

    fn registered(&self, name: &str) -> Option<Arc<RegisteredTool>> {
        self.registry.load().get(name).cloned()
    }

    /// Calls the tool, unless the circuit breaker of its service is open. `full` means that the
    /// call has its full timeout: only then does a timeout count as a failure.
    async fn run_guarded(
        &self,
        tool: &RegisteredTool,
        arguments: &str,
        context: &ToolContext,
        full: bool,
    ) -> Result<Json, ToolError> {
        let guard = tool.policy.service.as_ref().and_then(|service| self.guards.get(service));
        let permit = guard.map(ServiceCircuit::admit).transpose()?;
        let deadline = context.deadline.map_or_else(Instant::now, Instant::from_std);
        let outcome = match time::timeout_at(deadline, tool.tool.call(arguments, context)).await {
            Ok(outcome) => outcome,
            Err(_) if full => Err(timed_out()),
            // The permit is dropped, and proves nothing.
            Err(_) => return Err(timed_out()),
        };
        if let Some(permit) = permit {
            permit.report(outcome.as_ref().err());
        }
        let result = outcome?;
        if result.get().len() > tool.policy.max_bytes {
            return Err(client::too_large(tool.policy.max_bytes));
        }
        Ok(result)
    }

    fn tell(&self, call: &ToolCall, outcome: &Result<Json, ToolError>, took: Duration) {
        let known = self.registered(&call.name);
        let name = known.as_ref().map_or("unknown", |it| it.spec.name());
        let word = outcome.as_ref().map_or_else(|error| error.code.as_str(), |_| "ok");
        tracing::info!(
            target: "gateway::tool",
            tool = name,
            outcome = word,
            status = outcome.as_ref().err().and_then(|error| error.status),
            duration_ms = millis(took),
        );
        if let Some(observer) = &self.observer {
            observer(name, word, took);
        }
    }
}

#[async_trait]
impl McpServers for ToolExecutor {
    fn list(&self, list: McpList) -> Vec<McpListEntry> {
        self.servers.iter().flat_map(|server| server.listed(list)).collect()
    }

    async fn relay(
        &self,
        server: &str,
        request: McpRequest,
        context: &ToolContext,
    ) -> Result<McpReply, ToolError> {
        let known = self.server(server)?;
        let turn = time::timeout(self.queue, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(ToolError::new(ToolErrorCode::Unavailable, "too many tools are running"));
        };
        known.relay(&request, context).await
    }

    async fn subscribe(&self, server: &str, uri: &str) -> Result<McpReply, ToolError> {
        self.server(server)?.subscribe(uri).await
    }

    async fn unsubscribe(&self, server: &str, uri: &str) {
        if let Ok(known) = self.server(server) {
            known.unsubscribe(uri).await;
        }
    }
}

#[async_trait]
impl Tools for ToolExecutor {
    fn specs(&self) -> Vec<Arc<ToolSpec>> {
        self.registry.load().iter().map(|it| Arc::clone(&it.spec)).collect()
    }

    fn spec(&self, name: &str) -> Option<Arc<ToolSpec>> {
        self.registry.load().get(name).map(|it| Arc::clone(&it.spec))
    }

    fn recognizes(&self, described: &ToolSpec) -> bool {
        self.registry.load().get(described.name()).is_some_and(|it| it.recognizes(described))
    }

    async fn run(&self, call: &ToolCall, context: &ToolContext) -> Result<Json, ToolError> {
        let began = Instant::now();
        let outcome = self.execute(call, context).await;
        self.tell(call, &outcome, began.elapsed());
        outcome
    }
}

impl fmt::Debug for ToolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registry = self.registry.load();
        f.debug_struct("Executor").field("registry", &registry).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExecutorLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("running", &self.running)
            .field("queue", &self.queue)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

fn timed_out() -> ToolError {
    ToolError::new(ToolErrorCode::Timeout, "the tool timed out")
}

/// The arguments as the tool gets them, once they fit its schema.
fn checked(tool: &RegisteredTool, text: &str, strict: bool) -> Result<String, ToolError> {
    let mut arguments = arguments::parse(text)?;
    let written = arguments.len();
    drop_nulls(&mut arguments, tool);
    tool.schema
        .check_arguments(&arguments, strict)
        .map_err(|mismatch| ToolError::invalid(mismatch.to_string()))?;
    // Numbers of any length reach the tool as they were written.
    if !arguments.is_empty() && arguments.len() == written {
        return Ok(text.trim().to_owned());
    }
    Ok(Value::Object(arguments).to_string())
}

/// Models write `null` for what they do not set.
fn drop_nulls(arguments: &mut Map<String, Value>, tool: &RegisteredTool) {
    arguments.retain(|name, value| {
        !value.is_null() || !tool.schema.names(name) || tool.schema.requires(name)
    });
}
