//! A provider as it is asked: in time, left alone while it fails, with one credential or several.

use crate::{
    config::{Config, Resilience},
    lasting::Lasting,
};
use anyhow::{Context as _, anyhow};
use gateway_core::Provider;
use gateway_providers::{Descriptor, Settings};
use gateway_resilience::{
    Chain, Condition, Deadlines, Guarded, Guards, Hedged, Host, Limits as Patience, Link, Observer,
    Order, Policy, Retry, Rules, breaker,
};
use http::Uri;
use metrics::counter;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// The hosts behind which providers are: those that share one learn together that it is away.
pub(crate) struct Hosts<'a> {
    lasting: &'a Lasting,
    breaker: Option<breaker::Config>,
    observer: Observer,
    known: HashMap<String, Arc<Host>>,
}

impl<'a> Hosts<'a> {
    /// No host yet; who counts breakers learns what becomes of them and of the models behind them.
    pub(crate) fn new(config: &Config, lasting: &'a Lasting) -> Self {
        let breakers = Arc::clone(&lasting.breakers);
        let observer: Observer =
            Arc::new(move |circuit, from, to| breakers.changed(circuit, from, to));
        let breaker = breaker_of(&config.resilience);
        Self { lasting, breaker, observer, known: HashMap::new() }
    }

    /// The host of an address, if there is one, and breakers are on.
    fn of(&mut self, address: &str) -> Option<Arc<Host>> {
        let breaker = self.breaker?;
        let authority = address.parse::<Uri>().ok()?.into_parts().authority?.to_string();
        let observer = || Some(Arc::clone(&self.observer));
        let make = || Arc::new(Host::new(&authority, breaker, observer()));
        Some(Arc::clone(self.known.entry(authority.clone()).or_insert_with(make)))
    }
}

/// Makes the provider of `descriptor`, with each of `keys`.
///
/// # Errors
///
/// Says what of its settings is malformed.
pub(crate) fn provider(
    descriptor: &Descriptor,
    settings: &Settings,
    mut keys: Vec<SecretString>,
    config: &Config,
    hosts: &mut Hosts<'_>,
) -> anyhow::Result<Arc<dyn Provider>> {
    let host = hosts.of(&settings.base_url);
    let lasting = hosts.lasting;
    let observer = Some(Arc::clone(&hosts.observer));
    let guards = |credential| {
        let (breaker, host) = (breaker_of(&config.resilience), host.clone());
        Guards { breaker, host, credential, observer: observer.clone(), random }
    };
    let with = |api_key: Option<SecretString>, credential: Option<usize>| {
        let id = settings.id.clone();
        let settings = Settings { api_key, ..settings.clone() };
        let provider = (descriptor.build)(settings)
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("providers.{id}"))?;
        anyhow::Ok(guarded(provider, config, lasting, guards(credential)))
    };
    if keys.len() < 2 {
        return Ok(repeated(with(keys.pop(), None)?, &config.resilience));
    }
    let mut links = Vec::with_capacity(keys.len());
    for (number, key) in (1..).zip(keys) {
        links.push(Link::credential(with(Some(key), Some(number))?));
    }
    let on = vec![Condition::RateLimit, Condition::Unavailable];
    let rules = Rules { order: Order::InTurn, on, retry: false, guarded: true };
    Ok(repeated(Arc::new(Chain::new(&settings.id, links, rules, random)), &config.resilience))
}

/// A provider that is asked again where that is wanted.
fn repeated(provider: Arc<dyn Provider>, resilience: &Resilience) -> Arc<dyn Provider> {
    let provider = retried(provider, resilience);
    if resilience.hedge_embeddings { Arc::new(Hedged::new(provider)) } else { provider }
}

/// A provider that is not waited for for ever, and not called while it fails.
fn guarded(
    provider: Arc<dyn Provider>,
    config: &Config,
    lasting: &Lasting,
    guards: Guards,
) -> Arc<dyn Provider> {
    let patience = Patience {
        first_byte: config.timeouts.first_byte,
        first_output: config.timeouts.first_token,
        idle: config.timeouts.idle,
        stream_total: config.timeouts.stream_total,
        total: config.timeouts.total,
        ..Patience::default()
    };
    let mut provider: Arc<dyn Provider> = Arc::new(Deadlines::new(provider, patience));
    if let Some(tracing) = &lasting.tracing {
        provider = tracing.provider(provider);
    }
    // Of several credentials it is remembered in any case which ones are of no use now.
    if guards.breaker.is_none() && guards.credential.is_none() {
        return provider;
    }
    Arc::new(Guarded::new(provider, guards))
}

fn breaker_of(resilience: &Resilience) -> Option<breaker::Config> {
    resilience.circuit_breaker_enabled.then(|| pauses(resilience))
}

/// When something that fails is given a pause, and for how long.
pub(crate) fn pauses(resilience: &Resilience) -> breaker::Config {
    breaker::Config {
        failures: small(resilience.circuit_breaker_failure_threshold),
        cooldown: resilience.circuit_breaker_recovery_timeout,
        longest_cooldown: resilience.circuit_breaker_longest_pause,
        ..breaker::Config::default()
    }
}

/// A provider that is asked again, unless that is switched off.
fn retried(provider: Arc<dyn Provider>, resilience: &Resilience) -> Arc<dyn Provider> {
    if resilience.retry_max_attempts < 2 {
        return provider;
    }
    let policy = Policy {
        attempts: small(resilience.retry_max_attempts),
        ambiguous: resilience.retry_ambiguous,
        ..Policy::default()
    };
    let id = provider.id().to_owned();
    let retries = counter!("llm_gateway_provider_retries_total", "provider" => id);
    let retry = Retry::new(provider, policy, random);
    Arc::new(retry.observed(Arc::new(move || retries.increment(1))))
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Tells the settings of a provider from every other: what was remembered under others may be wrong
/// now.
pub(crate) fn epoch(settings: &Settings) -> Arc<str> {
    let Settings { id, base_url, headers, quirks, api, .. } = settings;
    let said = format!("{id} {base_url} {headers:?} {quirks:?} {api:?}");
    let hash = Sha256::new().chain_update(env!("CARGO_PKG_VERSION")).chain_update(said);
    format!("{:x}", hash.finalize()).into()
}

/// A number from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a draw needs no precision")]
pub(crate) fn random() -> f64 {
    Uuid::new_v4().as_u64_pair().0 as f64 / u64::MAX as f64
}
