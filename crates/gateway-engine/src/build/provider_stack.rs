//! The layers around a provider, in the one order that is correct:
//!
//! ```text
//! cache > reasoning replay > shutdown > concurrency > hedging > retry > credentials in turn
//!       > circuit breaker > instrumentation > deadlines > the provider
//! ```
//!
//! A cached response costs no slot; a retry sees each attempt's deadline and breaker; an instrumented
//! call is one attempt. From shutdown to deadlines all is one [`ResilientProvider`], unless hedging,
//! several credentials or instrumentation stand in between: then it is one around each of them, with
//! the stages before it.

use super::{EngineResources, ProviderSettings, ResilienceSettings};
use crate::BuildError;
use gateway_core::{Provider, ReasoningReplay};
use gateway_providers::{Credential, Settings};
use gateway_resilience::{
    CircuitBreakerConfig, FallbackCondition, FallbackGroup, FallbackOrder, FallbackRules,
    FallbackTarget, HedgingLayer, HostCircuit, ResilientProvider, ResponseCacheLayer,
};
use http::Uri;
use metrics::counter;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// A provider of the engine, ready or not.
#[derive(Clone)]
pub enum Backend {
    /// Ready to serve requests.
    Ready(Arc<dyn Provider>),
    /// A provider with a missing setting; the text names it.
    NotReady(String),
}

/// Builds provider stacks; providers behind the same host share that host's breaker.
pub(crate) struct StackBuilder<'a> {
    settings: &'a ResilienceSettings,
    resources: &'a EngineResources,
    hosts: HashMap<String, Arc<HostCircuit>>,
}

impl<'a> StackBuilder<'a> {
    pub(crate) fn new(settings: &'a ResilienceSettings, resources: &'a EngineResources) -> Self {
        Self { settings, resources, hosts: HashMap::new() }
    }

    /// The whole stack of one provider.
    ///
    /// # Errors
    ///
    /// [`BuildError::Provider`] if an address or header of its settings is malformed.
    pub(crate) fn backend(&mut self, provider: &ProviderSettings) -> Result<Backend, BuildError> {
        let ProviderSettings { descriptor, settings, keys } = provider;
        // A provider under another address may need no key.
        let moved = settings.base_url != descriptor.base_url;
        if descriptor.credential == Credential::Required && keys.is_empty() && !moved {
            let variable = format!("{}_API_KEY", settings.id.to_uppercase());
            return Ok(Backend::NotReady(format!(
                "the provider '{}' has no API key: set {variable}",
                settings.id
            )));
        }
        let mut stack = self.resilient(provider)?;
        if let (Some(carried_by), Some((store, ttl))) =
            (descriptor.thinking, &self.resources.reasoning)
        {
            stack = Arc::new(ReasoningReplay::new(stack, Arc::clone(store), carried_by, *ttl));
        }
        if let Some((store, ttl)) = &self.resources.cache {
            let epoch = settings_fingerprint(settings);
            stack = Arc::new(ResponseCacheLayer::new(stack, Arc::clone(store), epoch, *ttl));
        }
        Ok(Backend::Ready(stack))
    }

    /// The provider from shutdown to deadlines, one target per credential.
    fn resilient(&mut self, provider: &ProviderSettings) -> Result<Arc<dyn Provider>, BuildError> {
        let host = self.host(&provider.settings.base_url);
        if provider.keys.len() < 2 {
            let key = provider.keys.first().cloned();
            let single = self.with_resilience(provider, key, self.breaker(host, None))?;
            return Ok(self.shared(single));
        }
        let mut targets = Vec::with_capacity(provider.keys.len());
        for (number, key) in (1..).zip(&provider.keys) {
            let breaker = self.breaker(host.clone(), Some(number));
            let guarded = self.with_resilience(provider, Some(key.clone()), breaker)?;
            targets.push(FallbackTarget::credential(Arc::new(guarded)));
        }
        let on = vec![FallbackCondition::RateLimit, FallbackCondition::Unavailable];
        let rules = FallbackRules {
            order: FallbackOrder::RoundRobin,
            on,
            retry: false,
            respect_breakers: true,
        };
        let group = FallbackGroup::new(&provider.settings.id, targets, rules, random_unit);
        Ok(self.shared(ResilientProvider::new(Arc::new(group))))
    }

    /// The provider with deadlines and a breaker.
    fn with_resilience(
        &self,
        provider: &ProviderSettings,
        api_key: Option<SecretString>,
        breaker: CircuitBreakerConfig,
    ) -> Result<ResilientProvider, BuildError> {
        let settings = Settings { api_key, ..provider.settings.clone() };
        let bare = (provider.descriptor.build)(settings)
            .map_err(|source| BuildError::Provider { id: provider.settings.id.clone(), source })?;
        let mut stack = ResilientProvider::new(bare).with_deadlines(self.settings.deadlines);
        if let Some(instrument) = &self.resources.instrument {
            stack = ResilientProvider::new(instrument(Arc::new(stack)));
        }
        // Of several credentials the unusable ones are skipped even without breakers.
        if breaker.breaker.is_none() && breaker.credential.is_none() {
            return Ok(stack);
        }
        Ok(stack.with_circuit_breaker(breaker))
    }

    fn breaker(
        &self,
        host: Option<Arc<HostCircuit>>,
        credential: Option<usize>,
    ) -> CircuitBreakerConfig {
        CircuitBreakerConfig {
            breaker: self.settings.breaker,
            host,
            credential,
            observer: self.resources.circuit_observer.clone(),
            random: random_unit,
        }
    }

    /// The provider with what all of its credentials share: shutdown, concurrency and retries.
    fn shared(&self, provider: ResilientProvider) -> Arc<dyn Provider> {
        let mut stack = provider;
        if let Some(policy) = self.settings.retry {
            let id = stack.id().to_owned();
            let retries = counter!("llm_gateway_provider_retries_total", "provider" => id);
            let count = Arc::new(move || retries.increment(1));
            stack = stack.with_retries(policy, random_unit, Some(count));
        }
        if self.settings.hedge_embeddings {
            stack = ResilientProvider::new(Arc::new(HedgingLayer::new(Arc::new(stack))));
        }
        let stack = stack.with_concurrency(self.settings.max_concurrent_per_provider);
        Arc::new(stack.ending_with(self.resources.stopping.clone()))
    }

    /// The host of an address, if it has one and breakers are on.
    fn host(&mut self, address: &str) -> Option<Arc<HostCircuit>> {
        let breaker = self.settings.breaker?;
        let authority = address.parse::<Uri>().ok()?.into_parts().authority?.to_string();
        let observer = self.resources.circuit_observer.clone();
        let host = || Arc::new(HostCircuit::new(&authority, breaker, observer));
        Some(Arc::clone(self.hosts.entry(authority.clone()).or_insert_with(host)))
    }
}

/// Returns a digest of the settings that influence responses: responses cached under other settings
/// are not used.
fn settings_fingerprint(settings: &Settings) -> Arc<str> {
    let Settings { id, base_url, query, headers, quirks, api, .. } = settings;
    let text = format!("{id} {base_url} {query:?} {headers:?} {quirks:?} {api:?}");
    let hash = Sha256::new().chain_update(env!("CARGO_PKG_VERSION")).chain_update(text);
    format!("{:x}", hash.finalize()).into()
}

/// A random number from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a draw needs no precision")]
pub fn random_unit() -> f64 {
    Uuid::new_v4().as_u64_pair().0 as f64 / u64::MAX as f64
}

impl Backend {
    /// Whether it can serve requests.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(provider) => f.debug_tuple("Ready").field(&provider.id()).finish(),
            Self::NotReady(why) => f.debug_tuple("NotReady").field(why).finish(),
        }
    }
}
