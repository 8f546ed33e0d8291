//! The dependencies of the gateway and their health checks.

use crate::shared::SharedResources;
use async_trait::async_trait;
use gateway_config::{Config, ReadinessRule};
use gateway_engine::ProviderDirectory;
use gateway_http::{CheckResult, Dependency, Health, Probe, STORE, TASKS};
use gateway_net::client::HttpClient;
use gateway_store::HealthMonitor;
use gateway_tasks::TaskStatus;
use gateway_telemetry::{breaker_metrics::OpenBreakers, memory::ProcessMemory};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokio::time::Instant;

/// Builds the health checks: the store, the tasks of the process, the platform services, the providers with keys.
pub(crate) fn health(
    config: &Config,
    shared: &SharedResources,
    client: &HttpClient,
    providers: &ProviderDirectory,
) -> Health {
    let store = Arc::new(StoreProbe(shared.stores.watch()));
    let is_strict = config.server.readiness == ReadinessRule::Strict;
    let mut dependencies =
        vec![Dependency { name: STORE.to_owned(), critical: is_strict, probe: store }];
    let probe = Arc::new(TasksProbe);
    dependencies.push(Dependency { name: TASKS.to_owned(), critical: false, probe });
    for (name, address) in services(config) {
        let probe = Arc::new(ServiceProbe { client: client.clone(), address });
        dependencies.push(Dependency { name: name.to_owned(), critical: false, probe });
    }
    let keyed: Vec<_> = keyed(config, providers).collect();
    if !keyed.is_empty() {
        let breakers = Arc::clone(&shared.breakers);
        let probe = Arc::new(ProvidersProbe { names: keyed, breakers });
        dependencies.push(Dependency { name: CLOUD.to_owned(), critical: false, probe });
    }
    let breakers = Arc::clone(&shared.breakers);
    let states: Map<String, Value> = providers
        .backends()
        .map(|(id, backend)| (id.to_string(), backend.is_ready().into()))
        .collect();
    let began = Instant::now();
    let told = move || {
        Map::from_iter([
            ("memory".to_owned(), ProcessMemory::current().to_json()),
            ("providers".to_owned(), states.clone().into()),
            ("breakers".to_owned(), breakers.to_json().into()),
            ("configured_for_seconds".to_owned(), began.elapsed().as_secs().into()),
        ])
    };
    Health::new(dependencies, shared.process.shutdown.draining.clone(), Arc::new(told))
}

/// The platform services by their names in `checks`, with the settings of their addresses. A
/// service that is not configured is not checked.
const SERVICES: [(&str, &str); 5] = [
    ("semantic_search", "services.semantic_search_url"),
    ("ai_agents", "services.ai_agents_url"),
    ("code_orchestrator", "services.code_orchestrator_url"),
    ("cms", "cms.url"),
    ("inference", "providers.inference.base_url"),
];

/// Returns the configured services with the addresses of their health endpoints.
fn services(config: &Config) -> Vec<(&'static str, String)> {
    let health = |(name, setting): &(&'static str, &str)| {
        let url = config.written(setting)?;
        let url = url.trim_matches('"').trim_end_matches("/v1");
        Some((*name, format!("{}/health", url.trim_end_matches('/'))))
    };
    SERVICES.iter().filter_map(health).collect()
}

/// The name of the check of all providers with keys.
const CLOUD: &str = "cloud_providers";

/// Returns the providers that have a key and are ready.
fn keyed(config: &Config, providers: &ProviderDirectory) -> impl Iterator<Item = String> {
    let ready = |name: &str| providers.is_ready(name);
    let keyed = config.providers.iter().filter(|(_, it)| it.enabled && it.api_key.is_some());
    keyed.map(|(name, _)| name.clone()).filter(move |name| ready(name))
}

/// The check of the supervised tasks: healthy if none has panicked a moment ago.
struct TasksProbe;

#[async_trait]
impl Probe for TasksProbe {
    async fn look(&self) -> CheckResult {
        let tasks = gateway_tasks::tasks();
        let well = !tasks.iter().any(|task| task.is_failing);
        let state = |task: &TaskStatus| {
            let state = if task.is_failing { "restarted" } else { "running" };
            (task.name.to_owned(), json!({ "state": state, "restarts": task.restarts }))
        };
        CheckResult { well, details: tasks.iter().map(state).collect() }
    }
}

/// The check of the store.
struct StoreProbe(HealthMonitor);

#[async_trait]
impl Probe for StoreProbe {
    async fn look(&self) -> CheckResult {
        let health = self.0.health().await;
        let mut details: Map<String, Value> = health
            .details
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        details.insert("backend".to_owned(), health.backend.into());
        details.insert("durability".to_owned(), health.durability.as_str().into());
        details.insert("warnings".to_owned(), health.warnings.into());
        CheckResult { well: health.reachable, details }
    }
}

/// The check of a platform service: healthy if it answers 200.
struct ServiceProbe {
    client: HttpClient,
    address: String,
}

#[async_trait]
impl Probe for ServiceProbe {
    async fn look(&self) -> CheckResult {
        let answered = self.client.status(&self.address).await;
        let (well, name, value) = match answered {
            Ok(status) => (status == 200, "http_status", json!(status)),
            Err(error) => (false, "error", json!(error.code())),
        };
        CheckResult { well, details: Map::from_iter([(name.to_owned(), value)]) }
    }
}

/// The check of the providers with keys: healthy while the circuit of one of them is not open. No
/// request is sent, because requests cost.
struct ProvidersProbe {
    names: Vec<String>,
    breakers: Arc<OpenBreakers>,
}

#[async_trait]
impl Probe for ProvidersProbe {
    async fn look(&self) -> CheckResult {
        let open = self.breakers.to_json();
        let paused = |name: &String| {
            let begin = format!("{name}/");
            open.iter().any(|(circuit, state)| circuit.starts_with(&begin) && state == "open")
        };
        let states = self.names.iter().map(|name| {
            let state = if paused(name) { "paused" } else { "ready" };
            (name.clone(), state.into())
        });
        let details: Map<String, Value> = states.collect();
        CheckResult { well: details.values().any(|state| state == "ready"), details }
    }
}
