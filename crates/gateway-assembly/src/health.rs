//! The dependencies of the gateway and their health checks.

use crate::shared::SharedResources;
use async_trait::async_trait;
use gateway_config::{Config, ReadinessRule, ServiceUrl};
use gateway_core::ErrorKind;
use gateway_engine::ProviderDirectory;
use gateway_http::{CheckResult, Dependency, Health, Probe, STORE, TASKS};
use gateway_net::client::{ExchangeError, HttpClient};
use gateway_store::HealthMonitor;
use gateway_tasks::TaskStatus;
use gateway_telemetry::{breaker_metrics::OpenBreakers, memory::ProcessMemory};
use serde_json::{Map, Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};
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
        let probe: Arc<dyn Probe> = match address {
            Some(address) => Arc::new(ServiceProbe::new(client.clone(), address)),
            None => Arc::new(UnusedProbe),
        };
        dependencies.push(Dependency { name: name.to_owned(), critical: false, probe });
    }
    let names: Vec<_> = keyed(config, providers).collect();
    let breakers = Arc::clone(&shared.breakers);
    let probe: Arc<dyn Probe> = if names.is_empty() {
        Arc::new(UnusedProbe)
    } else {
        Arc::new(ProvidersProbe { names, breakers })
    };
    dependencies.push(Dependency { name: CLOUD.to_owned(), critical: false, probe });
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

/// The address of a platform service's health endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
struct ServiceAddress {
    url: String,
    /// Whether the address is the default of its setting.
    is_default: bool,
}

/// Returns the platform services by their names in `checks`, with their addresses; none for those that
/// are not used.
fn services(config: &Config) -> [(&'static str, Option<ServiceAddress>); 5] {
    let services = &config.services;
    let address = |setting: &str, url: &str| {
        let url = url.trim_end_matches('/').trim_end_matches("/v1");
        let is_default = !config.is_written(setting);
        Some(ServiceAddress { url: format!("{}/health", url.trim_end_matches('/')), is_default })
    };
    let of_tools = |setting: &str, url: &ServiceUrl| address(setting, url.as_str());
    let cms = config.cms.address().and_then(|url| of_tools("cms.url", url));
    let inference = inference(config);
    [
        (
            "semantic_search",
            of_tools("services.semantic_search_url", &services.semantic_search_url),
        ),
        ("ai_agents", of_tools("services.ai_agents_url", &services.ai_agents_url)),
        (
            "code_orchestrator",
            of_tools("services.code_orchestrator_url", &services.code_orchestrator_url),
        ),
        ("cms", cms),
        ("inference", inference.and_then(|url| address("providers.inference.base_url", &url))),
    ]
}

/// Returns the base URL of the provider `inference`, unless it is switched off.
fn inference(config: &Config) -> Option<String> {
    const NAME: &str = "inference";
    let entry = config.providers.get(NAME);
    if entry.is_some_and(|it| !it.enabled) {
        return None;
    }
    let written = entry.and_then(|it| it.base_url.as_ref()).map(|url| url.as_str().to_owned());
    written.or_else(|| Some(gateway_providers::find(NAME)?.base_url.to_owned()))
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
    async fn check(&self) -> CheckResult {
        let tasks = gateway_tasks::tasks();
        let well = !tasks.iter().any(|task| task.is_failing);
        let state = |task: &TaskStatus| {
            let state = if task.is_failing { "restarted" } else { "running" };
            (task.name.to_owned(), json!({ "state": state, "restarts": task.restarts }))
        };
        let details = tasks.iter().map(state).collect();
        CheckResult { well, details, ..CheckResult::default() }
    }
}

/// The check of the store.
struct StoreProbe(HealthMonitor);

#[async_trait]
impl Probe for StoreProbe {
    async fn check(&self) -> CheckResult {
        let health = self.0.health().await;
        let mut details: Map<String, Value> = health
            .details
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        details.insert("backend".to_owned(), health.backend.into());
        details.insert("durability".to_owned(), health.durability.as_str().into());
        details.insert("warnings".to_owned(), health.warnings.into());
        CheckResult { well: health.reachable, details, ..CheckResult::default() }
    }
}

/// The check of a dependency that the gateway does not use.
struct UnusedProbe;

#[async_trait]
impl Probe for UnusedProbe {
    async fn check(&self) -> CheckResult {
        CheckResult::of_unused()
    }
}

/// The check of a platform service: healthy if it answers 200. A service that was not configured, and
/// where nothing has listened at the default address, is not used.
struct ServiceProbe {
    client: HttpClient,
    address: ServiceAddress,
    was_reached: AtomicBool,
}

impl ServiceProbe {
    fn new(client: HttpClient, address: ServiceAddress) -> Self {
        Self { client, address, was_reached: AtomicBool::new(false) }
    }

    fn is_absent(&self, error: &ExchangeError) -> bool {
        let is_unreachable = error.code() == ErrorKind::UpstreamUnreachable.as_str();
        self.address.is_default && is_unreachable && !self.was_reached.load(Relaxed)
    }
}

#[async_trait]
impl Probe for ServiceProbe {
    async fn check(&self) -> CheckResult {
        let (well, name, value) = match self.client.status(&self.address.url).await {
            Ok(status) => {
                self.was_reached.store(true, Relaxed);
                (status == 200, "http_status", json!(status))
            }
            Err(error) if self.is_absent(&error) => return CheckResult::of_unused(),
            Err(error) => (false, "error", json!(error.code())),
        };
        let details = Map::from_iter([(name.to_owned(), value)]);
        CheckResult { well, details, ..CheckResult::default() }
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
    async fn check(&self) -> CheckResult {
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
        CheckResult {
            well: details.values().any(|state| state == "ready"),
            details,
            ..CheckResult::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_config::Environment;

    fn check(text: &str, expected: [Option<(&str, bool)>; 5]) {
        let config = Config::parse(Some(("a.toml", text)), &Environment::default()).unwrap();
        let address = |(url, is_default): (&str, bool)| ServiceAddress {
            url: format!("http://{url}/health"),
            is_default,
        };
        let found = services(&config).map(|(_, found)| found);
        assert_eq!(found, expected.map(|it| it.map(address)), "{text}");
    }

    #[test]
    fn services_in_use_are_checked_at_configured_or_default_addresses() {
        let (search, agents) = (Some(("localhost:8081", true)), Some(("localhost:8082", true)));
        let (code, inference) = (Some(("localhost:8083", true)), Some(("localhost:8085", true)));
        check("", [search, agents, code, None, inference]);
        let own = "[services]\nsemantic_search_url = \"http://s:1/\"\n[cms]\nurl = \"http://c:2\"\n\
                   [providers.inference]\nbase_url = \"http://i:3/v1\"";
        let (search, cms) = (Some(("s:1", false)), Some(("c:2", false)));
        check(own, [search, agents, code, cms, Some(("i:3", false))]);
    }

    #[test]
    fn services_that_are_switched_off_are_not_checked() {
        let off =
            "[cms]\nurl = \"http://c:2\"\nenabled = false\n[providers.inference]\nenabled = false";
        let [.., cms, inference] =
            services(&Config::parse(Some(("a.toml", off)), &Environment::default()).unwrap());
        assert_eq!((cms.1, inference.1), (None, None));
    }
}
