//! Responses in flight, for request coalescing.

use super::shared_stream::{SharedStream, Subscriber};
use gateway_core::{GatewayError, state::Key, sync};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};
use tokio::time::Instant;

/// The responses in flight, by cache key.
#[derive(Default)]
pub(super) struct InFlight(Mutex<HashMap<Key, InFlightEntry>>);

enum InFlightEntry {
    /// The response is streaming.
    Streaming(Weak<SharedStream>),
    /// The request failed; no other is sent before this time.
    CoolingDown(Instant),
}

/// The result of joining a response in flight.
pub(super) enum JoinResult {
    /// The caller is first and leads the request.
    Leader(Subscriber),
    /// The caller follows a request of another caller.
    Follower(Subscriber),
    /// The caller must not retry before this time.
    RetryAt(Instant),
    /// The response cannot be shared.
    Rejected,
}

/// A callback for a failed request.
pub(super) type OnFailure = Box<dyn FnOnce(&GatewayError) + Send>;

/// Cooldown after a failed request.
const FAILURE_COOLDOWN: Duration = Duration::from_secs(1);
/// Number of entries above which finished ones are pruned.
const PRUNE_THRESHOLD: usize = 1024;

impl InFlight {
    /// Joins or starts the request for `key`; `start` sends the request, and calls its argument
    /// if that fails.
    pub(super) fn join(
        this: &Arc<Self>,
        key: &Key,
        start: impl FnOnce(OnFailure) -> Arc<SharedStream>,
    ) -> JoinResult {
        let now = Instant::now();
        let mut streams = sync::lock(&this.0);
        match streams.get(key) {
            Some(InFlightEntry::CoolingDown(until)) if *until > now => {
                return JoinResult::RetryAt(*until);
            }
            Some(InFlightEntry::Streaming(stream)) => {
                if let Some(stream) = stream.upgrade().filter(|stream| !stream.is_over()) {
                    return stream
                        .subscribe(false)
                        .map_or(JoinResult::Rejected, JoinResult::Follower);
                }
            }
            Some(InFlightEntry::CoolingDown(_)) | None => {}
        }
        if streams.len() >= PRUNE_THRESHOLD {
            streams.retain(|_, entry| match entry {
                InFlightEntry::Streaming(stream) => stream.strong_count() > 0,
                InFlightEntry::CoolingDown(until) => *until > now,
            });
        }
        let (own, name) = (Arc::downgrade(this), key.clone());
        let stream = start(Box::new(move |error| {
            if let Some(streams) = own.upgrade().filter(|_| error.kind().is_retryable()) {
                streams.cool_down(name);
            }
        }));
        let subscriber = stream.subscribe(true);
        streams.insert(key.clone(), InFlightEntry::Streaming(Arc::downgrade(&stream)));
        subscriber.map_or(JoinResult::Rejected, JoinResult::Leader)
    }

    fn cool_down(&self, key: Key) {
        let mut streams = sync::lock(&self.0);
        streams.insert(key, InFlightEntry::CoolingDown(Instant::now() + FAILURE_COOLDOWN));
    }
}
