//! The response cache, with request coalescing (single-flight).
//!
//! Only an identical request of the same tenant to the same model is answered from
//! the cache; only if the request is repeatable, by a temperature of 0 or by the caller's header;
//! and only if the response was complete. Concurrent identical requests share one response while it
//! is written: see [`shared_stream`].

mod entry;
mod in_flight;
mod key;
mod shared_stream;
#[cfg(test)]
mod tests;

use self::{
    entry::CacheEntry,
    in_flight::{InFlight, JoinResult},
    shared_stream::OnComplete,
};
use crate::replay::{self, AttemptFuture, NextAttempt, StartedAttempt};
use async_trait::async_trait;
use futures_util::stream;
use gateway_core::{
    CacheDirective, CacheStatus, ChunkStream, GatewayError, Payload, PlannedAttempt, Provider,
    ProviderLayer, ProviderRequest, ProviderResponse, RawRequest, ResponseMeta, Result,
    state::{Cache, Key, Tenant},
};
use metrics::counter;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time;

/// A provider layer that caches responses.
pub struct ResponseCacheLayer {
    shared: Arc<CacheShared>,
}

struct CacheShared {
    inner: Arc<dyn Provider>,
    store: Arc<dyn Cache>,
    epoch: Arc<str>,
    ttl: Duration,
    in_flight: Arc<InFlight>,
}

/// Timeout of the cache store.
const STORE_TIMEOUT: Duration = Duration::from_millis(50);
/// Maximum number of shared responses that a follower may join.
const MAX_JOINS: u32 = 3;

impl ResponseCacheLayer {
    /// Caches the responses of `inner` in `store` for `ttl`. Entries of another
    /// `epoch` are not found.
    pub fn new(
        inner: Arc<dyn Provider>,
        store: Arc<dyn Cache>,
        epoch: Arc<str>,
        ttl: Duration,
    ) -> Self {
        let in_flight = Arc::default();
        Self { shared: Arc::new(CacheShared { inner, store, epoch, ttl, in_flight }) }
    }
}

#[async_trait]
impl ProviderLayer for ResponseCacheLayer {
    fn inner(&self) -> &dyn Provider {
        self.shared.inner.as_ref()
    }

    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        let status = match self.shared.cache_key(call) {
            Err(None) => None,
            Err(Some(why)) => Some(CacheStatus::Bypass(why)),
            Ok((_, refresh)) if refresh => Some(CacheStatus::Miss),
            Ok((key, _)) => Some(match self.shared.lookup(&key).await {
                Some(stored) => CacheStatus::Hit { age: stored.age() },
                None => CacheStatus::Miss,
            }),
        };
        let mut planned = self.shared.inner.plan(call).await;
        for attempt in &mut planned {
            attempt.cache = status;
        }
        planned
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        match self.shared.cache_key(&call) {
            Ok((key, refresh)) => Arc::clone(&self.shared).find_or_send(key, call, refresh).await,
            Err(why) => {
                let mut answer = self.shared.inner.generate(call).await?;
                if let Some(why) = why {
                    count("bypass");
                    set_cache_status(&mut answer, CacheStatus::Bypass(why));
                }
                Ok(answer)
            }
        }
    }
}

impl fmt::Debug for ResponseCacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("inner", &self.shared.inner.id()).finish_non_exhaustive()
    }
}

impl CacheShared {
    /// Returns the cache key, and whether a cached response must not be used.
    ///
    /// # Errors
    ///
    /// The reason to bypass the cache; `None` if caching is off.
    fn cache_key(&self, call: &ProviderRequest) -> Result<(Key, bool), Option<&'static str>> {
        let (wanted, refresh) = match call.context.caching {
            CacheDirective::Off => return Err(None),
            CacheDirective::Bypass(why) => return Err(Some(why)),
            CacheDirective::Allowed { wanted, refresh: anew } => (wanted, anew),
        };
        // Neither a stored response nor one in flight passes from one account to another.
        if call.context.provider_key.is_some() {
            return Err(Some("provider_key"));
        }
        let original = cacheable(call, wanted).map_err(Some)?;
        let tenant = Tenant::new(Arc::clone(&call.context.tenant)).ok_or(Some("no_tenant"))?;
        let name = key::of(call, original, self.inner.id(), &self.epoch);
        let name = name.ok_or(Some("unreadable"))?;
        Ok((tenant.key(name), refresh))
    }

    /// Looks up a response. A failing store counts as a miss.
    async fn lookup(&self, key: &Key) -> Option<CacheEntry> {
        let bytes = time::timeout(STORE_TIMEOUT, self.store.get(key)).await.ok()?.ok()??;
        CacheEntry::read(&bytes)
    }

    /// Returns the cached response, the one in flight, or a new one.
    async fn find_or_send(
        self: Arc<Self>,
        key: Key,
        call: ProviderRequest,
        refresh: bool,
    ) -> Result<ProviderResponse> {
        if !refresh && let Some(stored) = self.lookup(&key).await {
            count("hit");
            return Ok(self.replayed(stored, &call));
        }
        if refresh {
            // What is asked for anew is not shared, but it is remembered.
            count("miss");
            let stream =
                shared_stream::SharedStream::start(self.send(&call), |_| (), self.on_complete(key));
            let Some(mut subscriber) = stream.subscribe(true) else {
                return self.uncoalesced(call).await;
            };
            let meta = subscriber.started().await?;
            return Ok(ProviderResponse { meta, chunks: subscriber.chunks() });
        }
        Follower { shared: self, key, call, joins: 0 }.join().await
    }

    /// Sends the request without sharing its response.
    async fn uncoalesced(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        count("bypass");
        let mut answer = self.inner.generate(call).await?;
        set_cache_status(&mut answer, CacheStatus::Bypass("crowded"));
        Ok(answer)
    }

    fn replayed(&self, stored: CacheEntry, call: &ProviderRequest) -> ProviderResponse {
        let meta = ResponseMeta {
            provider: self.inner.id().into(),
            model: Arc::clone(&call.target.model),
            card: call.target.card.clone(),
            dropped: stored.dropped(),
            cache: Some(CacheStatus::Hit { age: stored.age() }),
            ..ResponseMeta::default()
        };
        let chunks = stream::iter(stored.into_chunks().map(Ok));
        ProviderResponse { meta, chunks: Box::pin(chunks) }
    }

    fn send(
        &self,
        call: &ProviderRequest,
    ) -> impl Future<Output = Result<ProviderResponse>> + Send + use<> {
        let (inner, call) = (Arc::clone(&self.inner), call.clone());
        async move { inner.generate(call).await }
    }

    /// Caches the response before its end is reported, so that a follow-up request finds it.
    fn on_complete(&self, key: Key) -> OnComplete {
        let (store, ttl) = (Arc::clone(&self.store), self.ttl);
        Box::new(move |meta, chunks| {
            Box::pin(async move {
                let bytes = CacheEntry::of(&meta, &chunks).and_then(|stored| stored.write());
                if let Some(bytes) = bytes {
                    // A store in trouble costs the memory, not the answer.
                    let _ = time::timeout(STORE_TIMEOUT, store.put(&key, bytes, ttl)).await;
                }
            })
        })
    }
}

/// Returns the caller's bytes, if the request is cacheable.
///
/// # Errors
///
/// The reason why it is not.
fn cacheable(call: &ProviderRequest, wanted: bool) -> Result<&RawRequest, &'static str> {
    // What the gateway composed belongs to a conversation.
    let Payload::Raw(original) = &call.payload else { return Err("composed") };
    let request = original.decoded().map_err(|_| "unreadable")?;
    if !request.tools.is_empty() {
        return Err("tools");
    }
    let continues = ["previous_response_id", "conversation"];
    if continues.iter().any(|name| request.extra.get(name).is_some()) {
        return Err("continued");
    }
    let temperature = request.options.temperature.as_ref().and_then(serde_json::Number::as_f64);
    if !wanted && temperature != Some(0.0) {
        return Err("not_repeatable");
    }
    Ok(original)
}

fn set_cache_status(answer: &mut ProviderResponse, status: CacheStatus) {
    answer.meta.cache = Some(status);
}

fn count(result: &'static str) {
    counter!("llm_gateway_cache_operations_total", "result" => result).increment(1);
}

/// A request that may follow an identical one in flight.
struct Follower {
    shared: Arc<CacheShared>,
    key: Key,
    call: ProviderRequest,
    joins: u32,
}

impl Follower {
    /// Joins the response in flight, or sends the request.
    async fn join(mut self) -> Result<ProviderResponse> {
        let (meta, subscriber) = loop {
            let shared = &self.shared;
            let start = |failed: in_flight::OnFailure| {
                let on_complete = shared.on_complete(self.key.clone());
                shared_stream::SharedStream::start(shared.send(&self.call), failed, on_complete)
            };
            let (mut subscriber, leads) = match InFlight::join(&shared.in_flight, &self.key, start)
            {
                JoinResult::Leader(subscriber) => (subscriber, true),
                JoinResult::Follower(subscriber) => (subscriber, false),
                JoinResult::RetryAt(until) => {
                    time::sleep_until(until).await;
                    continue;
                }
                JoinResult::Rejected => return shared.uncoalesced(self.call).await,
            };
            match subscriber.started().await {
                Ok(meta) if leads => {
                    count("miss");
                    return Ok(ProviderResponse { meta, chunks: subscriber.chunks() });
                }
                Ok(meta) => break (meta, subscriber),
                // A failure is not shared: somebody else may fare better.
                Err(error) if leads => return Err(error),
                Err(error) => self = self.next_join(error)?,
            }
        };
        count("hit");
        Ok(ProviderResponse { meta, chunks: replay::retry_until_output(subscriber.chunks(), self) })
    }

    /// Allows another join after a shared response failed.
    ///
    /// # Errors
    ///
    /// `error`, if no further join is allowed.
    fn next_join(mut self, error: GatewayError) -> Result<Self> {
        self.joins += 1;
        if self.joins >= MAX_JOINS || !error.kind().is_retryable() {
            return Err(error);
        }
        Ok(self)
    }
}

impl NextAttempt for Follower {
    type Chunks = ChunkStream;

    fn next_attempt(self, error: GatewayError) -> AttemptFuture<Self> {
        Box::pin(async move {
            let follower = self.next_join(error)?;
            let next = Self {
                shared: Arc::clone(&follower.shared),
                key: follower.key.clone(),
                call: follower.call.clone(),
                joins: follower.joins,
            };
            let ProviderResponse { meta, chunks } = follower.join().await?;
            Ok(StartedAttempt { next, meta, chunks })
        })
    }
}
