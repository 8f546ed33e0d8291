//! Answers that need not be asked for twice.
//!
//! Only what the same tenant asked before, word for word, of the same model is answered from what is
//! remembered; only if the request can be repeated, which a temperature of 0 says, or the caller;
//! and only what was complete. Those who ask the same at the same time share one answer while it is
//! written: see [`flight`].

mod flight;
mod flights;
mod key;
mod stored;
#[cfg(test)]
mod tests;

use self::{
    flight::Landing,
    flights::{Boarding, Flights},
    stored::Stored,
};
use crate::again::{self, Again, Asking};
use async_trait::async_trait;
use futures_util::stream;
use gateway_core::{
    Cached as Verdict, Caching, GatewayError, Payload, PlannedAttempt, Provider, ProviderLayer,
    ProviderRequest, ProviderResponse, RawRequest, ResponseMeta, Result,
    state::{Cache, Key, Tenant},
};
use metrics::counter;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time;

/// A provider whose answers are remembered.
pub struct Cached {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Arc<dyn Provider>,
    store: Arc<dyn Cache>,
    epoch: Arc<str>,
    ttl: Duration,
    flights: Arc<Flights>,
}

/// A store that takes longer is passed by.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often somebody who shared an answer that failed may share another.
const TRIES: u32 = 3;

impl Cached {
    /// Remembers the answers of `inner` in `store` for `ttl`. What was remembered under another
    /// `epoch` is not found.
    pub fn new(
        inner: Arc<dyn Provider>,
        store: Arc<dyn Cache>,
        epoch: Arc<str>,
        ttl: Duration,
    ) -> Self {
        let flights = Arc::default();
        Self { shared: Arc::new(Shared { inner, store, epoch, ttl, flights }) }
    }
}

#[async_trait]
impl ProviderLayer for Cached {
    fn inner(&self) -> &dyn Provider {
        self.shared.inner.as_ref()
    }

    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        let verdict = match self.shared.name(call) {
            Err(None) => None,
            Err(Some(why)) => Some(Verdict::Bypass(why)),
            Ok((_, anew)) if anew => Some(Verdict::Miss),
            Ok((key, _)) => Some(match self.shared.stored(&key).await {
                Some(stored) => Verdict::Hit { age: stored.age() },
                None => Verdict::Miss,
            }),
        };
        let mut prospects = self.shared.inner.plan(call).await;
        for prospect in &mut prospects {
            prospect.cache = verdict;
        }
        prospects
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        match self.shared.name(&call) {
            Ok((key, anew)) => Arc::clone(&self.shared).find(key, call, anew).await,
            Err(why) => {
                let mut answer = self.shared.inner.generate(call).await?;
                if let Some(why) = why {
                    count("bypass");
                    mark(&mut answer, Verdict::Bypass(why));
                }
                Ok(answer)
            }
        }
    }
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("inner", &self.shared.inner.id()).finish_non_exhaustive()
    }
}

impl Shared {
    /// The name of the answer, and whether a remembered one is not wanted.
    ///
    /// # Errors
    ///
    /// Why it is not to be remembered; `None` if nobody asked.
    fn name(&self, call: &ProviderRequest) -> Result<(Key, bool), Option<&'static str>> {
        let (wanted, anew) = match call.context.caching {
            Caching::Off => return Err(None),
            Caching::Bypass(why) => return Err(Some(why)),
            Caching::Allowed { wanted, anew } => (wanted, anew),
        };
        let original = repeatable(call, wanted).map_err(Some)?;
        let tenant = Tenant::new(Arc::clone(&call.context.tenant)).ok_or(Some("no_tenant"))?;
        let name = key::of(call, original, self.inner.id(), &self.epoch);
        let name = name.ok_or(Some("unreadable"))?;
        Ok((tenant.key(name), anew))
    }

    /// What is remembered. A store in trouble remembers nothing.
    async fn stored(&self, key: &Key) -> Option<Stored> {
        let bytes = time::timeout(PATIENCE, self.store.get(key)).await.ok()?.ok()??;
        Stored::read(&bytes)
    }

    /// The answer that is remembered, the one that is on its way, or a new one.
    async fn find(
        self: Arc<Self>,
        key: Key,
        call: ProviderRequest,
        anew: bool,
    ) -> Result<ProviderResponse> {
        if !anew && let Some(stored) = self.stored(&key).await {
            count("hit");
            return Ok(self.told(stored, &call));
        }
        if anew {
            // What is asked for anew is not shared, but it is remembered.
            count("miss");
            let flight = flight::Flight::start(self.asking(&call), |_| (), self.landing(key));
            let Some(mut seat) = flight.board(true) else { return self.alone(call).await };
            let meta = seat.begun().await?;
            return Ok(ProviderResponse { meta, chunks: seat.chunks() });
        }
        Passenger { shared: self, key, call, tries: 0 }.travel().await
    }

    /// An answer of its own, for one who finds no place.
    async fn alone(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        count("bypass");
        let mut answer = self.inner.generate(call).await?;
        mark(&mut answer, Verdict::Bypass("crowded"));
        Ok(answer)
    }

    fn told(&self, stored: Stored, call: &ProviderRequest) -> ProviderResponse {
        let meta = ResponseMeta {
            provider: self.inner.id().into(),
            model: Arc::clone(&call.target.model),
            card: call.target.card.clone(),
            dropped: stored.dropped(),
            cache: Some(Verdict::Hit { age: stored.age() }),
            ..ResponseMeta::default()
        };
        let chunks = stream::iter(stored.into_chunks().map(Ok));
        ProviderResponse { meta, chunks: Box::pin(chunks) }
    }

    fn asking(
        &self,
        call: &ProviderRequest,
    ) -> impl Future<Output = Result<ProviderResponse>> + Send + use<> {
        let (inner, call) = (Arc::clone(&self.inner), call.clone());
        async move { inner.generate(call).await }
    }

    /// Remembers the answer before its end is told, so that whoever has seen the end finds it.
    fn landing(&self, key: Key) -> Landing {
        let (store, ttl) = (Arc::clone(&self.store), self.ttl);
        Box::new(move |meta, chunks| {
            Box::pin(async move {
                let bytes = Stored::of(&meta, &chunks).and_then(|stored| stored.write());
                if let Some(bytes) = bytes {
                    // A store in trouble costs the memory, not the answer.
                    let _ = time::timeout(PATIENCE, store.put(&key, bytes, ttl)).await;
                }
            })
        })
    }
}

/// The caller's own words, if to ask them again would be to no purpose.
///
/// # Errors
///
/// Why it would not.
fn repeatable(call: &ProviderRequest, wanted: bool) -> Result<&RawRequest, &'static str> {
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

fn mark(answer: &mut ProviderResponse, verdict: Verdict) {
    answer.meta.cache = Some(verdict);
}

fn count(result: &'static str) {
    counter!("llm_gateway_cache_operations_total", "result" => result).increment(1);
}

/// Somebody who asks what others may be asking.
struct Passenger {
    shared: Arc<Shared>,
    key: Key,
    call: ProviderRequest,
    tries: u32,
}

impl Passenger {
    /// Shares the answer that is on its way, or sends for one.
    async fn travel(mut self) -> Result<ProviderResponse> {
        let (meta, seat) = loop {
            let shared = &self.shared;
            let start = |failed: flights::Failed| {
                let landing = shared.landing(self.key.clone());
                flight::Flight::start(shared.asking(&self.call), failed, landing)
            };
            let (mut seat, leads) = match Flights::board(&shared.flights, &self.key, start) {
                Boarding::Leads(seat) => (seat, true),
                Boarding::Follows(seat) => (seat, false),
                Boarding::Waits(until) => {
                    time::sleep_until(until).await;
                    continue;
                }
                Boarding::Full => return shared.alone(self.call).await,
            };
            match seat.begun().await {
                Ok(meta) if leads => {
                    count("miss");
                    return Ok(ProviderResponse { meta, chunks: seat.chunks() });
                }
                Ok(meta) => break (meta, seat),
                // A failure is not shared: somebody else may fare better.
                Err(error) if leads => return Err(error),
                Err(error) => self = self.after(error)?,
            }
        };
        count("hit");
        Ok(ProviderResponse { meta, chunks: again::until_output(seat.chunks(), self) })
    }

    /// Tries again after a shared answer failed.
    ///
    /// # Errors
    ///
    /// `error`, if that would be of no use.
    fn after(mut self, error: GatewayError) -> Result<Self> {
        self.tries += 1;
        if self.tries >= TRIES || !error.kind().is_retryable() {
            return Err(error);
        }
        Ok(self)
    }
}

impl Again for Passenger {
    fn again(self, error: GatewayError) -> Asking<Self> {
        Box::pin(async move {
            let passenger = self.after(error)?;
            let next = Self {
                shared: Arc::clone(&passenger.shared),
                key: passenger.key.clone(),
                call: passenger.call.clone(),
                tries: passenger.tries,
            };
            let answer = passenger.travel().await?;
            Ok((next, answer))
        })
    }
}
