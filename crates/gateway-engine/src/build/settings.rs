//! The settings of an engine as plain data, independent of configuration files and environment.

use gateway_core::{
    Provider,
    state::{Cache, ReasoningStore},
};
use gateway_providers::{Descriptor, Settings};
use gateway_resilience::{CircuitObserver, DeadlineLimits, RetryPolicy, breaker};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// An upstream provider: its dialect, base URL, and credentials to rotate over.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// The kind of provider: its dialects and addresses.
    pub descriptor: &'static Descriptor,
    /// Its id, address, headers and quirks. An `api_key` in here is ignored: see `keys`.
    pub settings: Settings,
    /// The API keys, used in turn; a key that is refused or limited is skipped for a while.
    pub keys: Vec<SecretString>,
}

/// The resilience layers around each provider. The default is that of the binary.
#[derive(Clone, Debug, PartialEq)]
pub struct ResilienceSettings {
    /// The deadlines of each step of an upstream response.
    pub deadlines: DeadlineLimits,
    /// The thresholds and the cooldown of circuit breakers; `None` disables them.
    pub breaker: Option<breaker::BreakerPolicy>,
    /// The number of attempts and the backoff; `None` disables retries.
    pub retry: Option<RetryPolicy>,
    /// Sends a second embedding request when the first is unusually slow.
    pub hedge_embeddings: bool,
    /// The largest number of requests that one provider serves at the same time.
    pub max_concurrent_per_provider: usize,
}

/// Resources that outlive a generation of the engine, shared by all of its providers.
#[derive(Clone, Default)]
pub struct EngineResources {
    /// The store of reasoning that a dialect cannot carry, and its retention.
    pub reasoning: Option<(Arc<dyn ReasoningStore>, Duration)>,
    /// The store of cached responses, and their lifetime.
    pub cache: Option<(Arc<dyn Cache>, Duration)>,
    /// Cancelled when responses in progress have to end, because the process stops.
    pub stopping: CancellationToken,
    /// Called at each change of a circuit breaker's state.
    pub circuit_observer: Option<CircuitObserver>,
    /// Wraps each provider, between its deadlines and its breaker: traces, for example.
    pub instrument: Option<Instrument>,
}

/// Wraps a provider in an instrumented one.
pub type Instrument = Arc<dyn Fn(Arc<dyn Provider>) -> Arc<dyn Provider> + Send + Sync>;

impl ProviderSettings {
    /// Adds every setting of the provider to `hash`.
    pub(super) fn hash_into(&self, hash: Sha256) -> Sha256 {
        let Settings {
            id,
            base_url,
            query,
            auth,
            headers,
            quirks,
            api,
            context_window,
            through,
            ..
        } = &self.settings;
        let learns_refusals = self.settings.learns_refusals;
        let through = through.as_ref().map(|through| through.base_url.as_str());
        let text = format!(
            "{} {id} {base_url} {query:?} {auth:?} {headers:?} {quirks:?} {api:?} {context_window:?} {through:?} {learns_refusals}",
            self.descriptor.id
        );
        self.keys.iter().fold(hash.chain_update(text), |hash, key| {
            hash.chain_update([0]).chain_update(key.expose_secret())
        })
    }
}

impl Default for ResilienceSettings {
    fn default() -> Self {
        Self {
            deadlines: DeadlineLimits::default(),
            breaker: Some(breaker::BreakerPolicy::default()),
            retry: Some(RetryPolicy::default()),
            hedge_embeddings: false,
            max_concurrent_per_provider: usize::MAX >> 4,
        }
    }
}

impl std::fmt::Debug for EngineResources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineResources")
            .field("reasoning", &self.reasoning.as_ref().map(|(_, ttl)| ttl))
            .field("cache", &self.cache.as_ref().map(|(_, ttl)| ttl))
            .finish_non_exhaustive()
    }
}
