//! Event streams of stored responses, complete or still running.

use super::{Responses, synthetic};
use bytes::Bytes;
use futures_util::{Stream, stream};
use gateway_core::{Result, state::Key};
use std::time::Duration;
use tokio::time::{self, Instant};

/// The poll interval for new events.
const PAUSE: Duration = Duration::from_millis(50);
/// Maximum number of events per read.
const PAGE: u64 = 256;

impl Responses {
    /// Returns the events after the first `from` of the response under `key`, until it ends; with a
    /// keep-alive comment after each silence of `keep_alive`.
    pub(super) fn live(
        &self,
        key: Key,
        from: u64,
        keep_alive: Duration,
    ) -> impl Stream<Item = Bytes> + Send + use<> {
        let (responses, told) = (self.clone(), Instant::now());
        let following =
            ReplayStream { responses, keep_alive, key, from, told, is_synthetic: false };
        stream::unfold(Some(following), |following| async move { following?.next().await })
    }
}

struct ReplayStream {
    responses: Responses,
    keep_alive: Duration,
    key: Key,
    from: u64,
    told: Instant,
    is_synthetic: bool,
}

impl ReplayStream {
    /// The next block of steps; a comment if there were none for long.
    async fn next(mut self) -> Option<(Bytes, Option<Self>)> {
        if self.is_synthetic {
            return None;
        }
        loop {
            // A store that fails ends the reply: the caller can come back for the rest.
            let page = self.responses.store.events(&self.key, self.from, PAGE).await;
            let page = page.ok()??;
            if !page.events.is_empty() {
                self.from += page.events.len() as u64;
                self.told = Instant::now();
                return Some((page.events.concat().into(), Some(self)));
            }
            if page.is_abandoned() {
                // Ends it, with an event that comes with the next page.
                self.responses.get(&self.key).await.ok()?;
                continue;
            }
            if !page.in_progress {
                return self.synthetic().await;
            }
            if self.responses.closing.is_cancelled() {
                return None;
            }
            time::sleep(PAUSE).await;
            if self.told.elapsed() >= self.keep_alive {
                self.told = Instant::now();
                return Some((Bytes::from_static(b": keep-alive\n\n"), Some(self)));
            }
        }
    }

    /// Returns generated events for a response without stored ones.
    async fn synthetic(mut self) -> Option<(Bytes, Option<Self>)> {
        let responses = &self.responses;
        let first = responses.store.events(&self.key, 0, 1).await.ok()??;
        if !first.events.is_empty() {
            return None;
        }
        let (record, _) = responses.get(&self.key).await.ok()??;
        let steps = synthetic::events(&record.response);
        let from = usize::try_from(self.from).unwrap_or(usize::MAX);
        let rest = steps.get(from..).unwrap_or_default().concat();
        self.is_synthetic = true;
        (!rest.is_empty()).then(|| (rest.into(), Some(self)))
    }
}

/// Returns the number of the first event for a caller that has seen all up to `starting_after`.
pub(super) fn from(starting_after: Option<&str>) -> Result<u64> {
    let Some(seen) = starting_after else { return Ok(0) };
    seen.parse::<u64>().map(|seen| seen.saturating_add(1)).map_err(|error| {
        let message = "starting_after is the number of an event";
        gateway_core::GatewayError::invalid("starting_after", message).with_source(error)
    })
}
