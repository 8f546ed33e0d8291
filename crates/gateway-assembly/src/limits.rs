//! Rate limits, budgets, admission control and the usage ledger.

use crate::{
    budget_alerts::{self, AlertDelivery},
    memory_pressure,
    previous::PreviousGeneration,
    settings,
};
use anyhow::Context as _;
use gateway_config::{Config, ConfiguredTenant, StoreBackend, UnpricedSetting};
use gateway_core::{PriceHistory, state::UsageJournal};
use gateway_engine::ProviderDirectory;
use gateway_limits::{
    Admission, AdmissionSettings, FailedAttempts, LedgerSharing, LimitAccounts, LimitPolicy,
    Limiter, LimiterSettings, Limits, MemoryPressure, RequestRecorder, UnpricedPolicy,
    UsageRecorder, VirtualKeys,
};
use gateway_store::{FileJournal, Stores};
use gateway_tasks::supervise;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinSet, time};

/// Maximum time that a start waits for the usage of crashed processes to be recorded.
const RECOVERY_WAIT: Duration = Duration::from_secs(2);

/// The time beyond the longest request after which its usage record counts as orphaned.
const LEASE_MARGIN: Duration = Duration::from_mins(1);

/// The limits' state and background tasks, shared by all generations.
#[derive(Debug)]
pub(crate) struct LimitResources {
    usage: UsageRecorder,
    requests: RequestRecorder,
    virtual_keys: VirtualKeys,
    failed_attempts: Arc<FailedAttempts>,
    pressure: Arc<MemoryPressure>,
    accounts: LimitAccounts,
    alerts: mpsc::Sender<AlertDelivery>,
    _tasks: JoinSet<()>,
}

impl LimitResources {
    /// Loads the virtual keys and starts the tasks: memory pressure, usage records, keys, leases.
    pub(crate) async fn start(config: &Config, stores: &Stores) -> Self {
        let usage = UsageRecorder::new(Arc::clone(&stores.ledger), usage_journal(config));
        let accounts = LimitAccounts::new(Arc::clone(&stores.quotas));
        let virtual_keys = VirtualKeys::new(Arc::clone(&stores.client_keys), accounts.clone());
        virtual_keys.set_defaults(settings::limit_policy(&config.default_limits()));
        virtual_keys.refresh().await;
        let pressure = Arc::new(MemoryPressure::default());
        let mut tasks = JoinSet::new();
        let measured = Arc::clone(&pressure);
        let measure = move || memory_pressure::measure(Arc::clone(&measured));
        tasks.spawn(supervise("memory_pressure", measure));
        let (recorder, sharing) = (usage.clone(), ledger_sharing(config));
        tasks.spawn(supervise("usage_ledger", move || recorder.clone().run(sharing)));
        let requests = RequestRecorder::new(Arc::clone(&stores.request_log));
        let recorder = requests.clone();
        tasks.spawn(supervise("request_log", move || recorder.clone().run()));
        let keys = virtual_keys.clone();
        tasks.spawn(supervise("virtual_keys", move || keys.clone().run()));
        let leases = accounts.clone();
        tasks.spawn(supervise("limit_leases", move || leases.clone().run()));
        let (alerts, deliver) = budget_alerts::deliveries();
        tasks.spawn(supervise("budget_alerts", deliver));
        if time::timeout(RECOVERY_WAIT, usage.recovered()).await.is_err() {
            tracing::warn!("the usage of crashed processes is recorded later");
        }
        let failed_attempts = Arc::default();
        Self {
            usage,
            requests,
            virtual_keys,
            failed_attempts,
            pressure,
            accounts,
            alerts,
            _tasks: tasks,
        }
    }

    /// Returns the recorder of the log of requests.
    pub(crate) const fn request_recorder(&self) -> &RequestRecorder {
        &self.requests
    }

    /// Applies the settings of what outlives a generation.
    pub(crate) fn activate(&self, config: &Config) {
        self.accounts.set_alerts(Some(budget_alerts::alerts(&config.budgets, &self.alerts)));
        self.virtual_keys.set_defaults(settings::limit_policy(&config.default_limits()));
    }

    /// Returns the accounts of clients' limits.
    pub(crate) const fn accounts(&self) -> &LimitAccounts {
        &self.accounts
    }
}

/// Builds the limits of a generation. Requests admitted by the previous one keep their slots.
///
/// # Errors
///
/// If the model whose prices are to be assumed has none.
pub(crate) fn limits(
    config: &Config,
    resources: &LimitResources,
    directory: &ProviderDirectory,
    previous: Option<PreviousGeneration<'_>>,
) -> anyhow::Result<Limits> {
    let (unpriced, assumed_prices) = unpriced(config, directory)?;
    let settings = LimiterSettings {
        anonymous: settings::limit_policy(&config.limits.anonymous()),
        assumed_output: config.limits.assumed_output_tokens,
        unpriced,
        tenants: tenants(config),
    };
    Ok(Limits {
        limiter: Limiter::new(resources.accounts.clone(), &settings),
        admission: admission(config, resources, previous),
        usage: resources.usage.clone(),
        request_log: config.request_log.enabled.then(|| resources.requests.clone()),
        assumed_output: config.limits.assumed_output_tokens,
        virtual_keys: resources.virtual_keys.clone(),
        failed_attempts: Arc::clone(&resources.failed_attempts),
        free: free_providers(config),
        assumed_prices,
        accounts: Some(resources.accounts.clone()),
    })
}

/// Returns the limits of tenants by name.
fn tenants(config: &Config) -> Vec<(String, LimitPolicy)> {
    let tenant =
        |it: &ConfiguredTenant| (it.name().to_owned(), settings::limit_policy(&it.limits()));
    config.tenants.iter().map(tenant).collect()
}

/// Returns the treatment of models without a price, and the prices that are assumed for them.
///
/// # Errors
///
/// If the model whose prices are to be assumed has none.
pub(crate) fn unpriced(
    config: &Config,
    directory: &ProviderDirectory,
) -> anyhow::Result<(UnpricedPolicy, PriceHistory)> {
    match &config.budgets.unpriced {
        UnpricedSetting::Refuse => Ok((UnpricedPolicy::Refuse, PriceHistory::default())),
        UnpricedSetting::Allow => Ok((UnpricedPolicy::Allow, PriceHistory::default())),
        UnpricedSetting::Assume(model) => {
            let prices = directory.prices(model);
            let prices = prices.with_context(|| format!("no price is known of `{model}`"))?;
            Ok((UnpricedPolicy::Allow, prices))
        }
    }
}

/// Returns whether other replicas use the ledger, and how long a request may take then.
fn ledger_sharing(config: &Config) -> LedgerSharing {
    if !config.store.is_shared() {
        return LedgerSharing::Own;
    }
    let timeouts = &config.timeouts;
    let longest_request = timeouts.stream_total + timeouts.total + LEASE_MARGIN;
    LedgerSharing::Shared { longest_request }
}

/// Opens the journal of usage in the data directory; a store in memory has none.
fn usage_journal(config: &Config) -> Option<Arc<dyn UsageJournal>> {
    if config.store.backend() == StoreBackend::Memory {
        return None;
    }
    let directory = config.server.data_dir.join("usage-journal");
    match FileJournal::open(&directory) {
        Ok(journal) => Some(Arc::new(journal)),
        Err(error) => {
            let directory = directory.display();
            tracing::warn!(
                %directory, %error,
                "usage journal unavailable; a crash loses the usage of its last 0.1 s"
            );
            None
        }
    }
}

fn admission(
    config: &Config,
    resources: &LimitResources,
    previous: Option<PreviousGeneration<'_>>,
) -> Admission {
    let it = &config.admission;
    let threshold = it.memory_threshold_mb.map_or(u64::MAX, |megabytes| megabytes << 20);
    resources.pressure.set_limits(threshold, it.memory_soft_limit);
    let settings = AdmissionSettings {
        max_concurrent: it.max_concurrent_requests,
        max_per_tenant: it.max_per_tenant,
        queue: it.queue,
        queue_timeout: it.queue_timeout,
    };
    match previous {
        Some(previous) => previous.app.engine.limits.admission.with(settings),
        None => Admission::new(settings, Arc::clone(&resources.pressure)),
    }
}

/// Returns the providers that run on the platform's own machines, whose models cost nothing.
pub(crate) fn free_providers(config: &Config) -> HashSet<Arc<str>> {
    let local = ["fake", "inference", "llamacpp", "ollama"];
    let is_paid =
        |id: &str| config.providers.get(id).is_some_and(|provider| provider.api_key.is_some());
    local.iter().filter(|id| !is_paid(id)).map(|id| Arc::from(*id)).collect()
}
