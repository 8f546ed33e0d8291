//! Who may do how much, as configured.

use crate::{
    before::Before,
    config::{Backend, Config},
    lasting::Lasting,
    pressure, settings,
};
use gateway_limits::{
    Admission, AdmissionSettings, FailedAttempts, LimitAccounts, Limiter, LimiterSettings, Limits,
    MemoryPressure, UsageRecorder, VirtualKeys,
};
use gateway_store::Stores;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// What no request survives, so that nothing it holds is freed before it ends.
const MARGIN: Duration = Duration::from_mins(1);

/// What goes on beside requests, whatever the configuration becomes.
#[derive(Debug)]
pub struct Accounts {
    books: UsageRecorder,
    issued: VirtualKeys,
    failures: Arc<FailedAttempts>,
    pressure: Arc<MemoryPressure>,
    limits: LimitAccounts,
    _tasks: JoinSet<()>,
}

impl Accounts {
    /// Begins to measure, to write down what is used, and to read keys.
    pub async fn begin(config: &Config, stores: &Stores) -> Self {
        let books = UsageRecorder::new(Arc::clone(&stores.ledger));
        let limits = LimitAccounts::new(Arc::clone(&stores.quotas));
        let issued = VirtualKeys::new(Arc::clone(&stores.client_keys), limits.clone());
        issued.refresh().await;
        let pressure = Arc::new(MemoryPressure::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(pressure::watch(Arc::clone(&pressure)));
        // What others share may hold rows of gateways that are well.
        let shared = config.store.backend() == Backend::Redis;
        tasks.spawn(books.clone().run(shared.then(|| lease(config))));
        tasks.spawn(issued.clone().run());
        tasks.spawn(limits.clone().run());
        let failures = Arc::default();
        Self { books, issued, failures, pressure, limits, _tasks: tasks }
    }

    /// The accounts of clients' limits.
    pub(super) const fn limits(&self) -> &LimitAccounts {
        &self.limits
    }
}

/// Builds what limits callers. Those who are in the gateway `before` count in this one.
pub(super) fn build(config: &Config, lasting: &Lasting, before: Option<Before<'_>>) -> Limits {
    let accounts = &lasting.accounts;
    let limits = LimiterSettings {
        anonymous: settings::limit_policy(&config.limits.of_strangers()),
        assumed_output: config.limits.assumed_output_tokens,
    };
    Limits {
        limiter: Limiter::new(accounts.limits.clone(), &limits),
        admission: admission(config, accounts, before),
        usage: accounts.books.clone(),
        virtual_keys: accounts.issued.clone(),
        failed_attempts: Arc::clone(&accounts.failures),
        free: free(config),
    }
}

/// How long a request can take at the most.
fn lease(config: &Config) -> Duration {
    config.timeouts.stream_total + config.timeouts.total + MARGIN
}

fn admission(config: &Config, accounts: &Accounts, before: Option<Before<'_>>) -> Admission {
    let it = &config.admission;
    let threshold = it.memory_threshold_mb.map_or(u64::MAX, |megabytes| megabytes << 20);
    accounts.pressure.set_limits(threshold, it.memory_soft_limit);
    let settings = AdmissionSettings {
        max_concurrent: it.max_concurrent_requests,
        max_per_tenant: it.max_per_tenant,
        queue: it.queue,
        queue_timeout: it.queue_timeout,
    };
    match before {
        Some(before) => before.app.engine.limits.admission.with(settings),
        None => Admission::new(settings, Arc::clone(&accounts.pressure)),
    }
}

/// Providers that run on machines of the platform: nobody sends a bill.
fn free(config: &Config) -> HashSet<Arc<str>> {
    let local = ["fake", "inference", "llamacpp", "ollama"];
    let paid =
        |id: &str| config.providers.get(id).is_some_and(|provider| provider.api_key.is_some());
    local.iter().filter(|id| !paid(id)).map(|id| Arc::from(*id)).collect()
}
