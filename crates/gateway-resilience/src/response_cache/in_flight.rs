//! Which answers are on their way.

use super::shared_stream::{SharedStream, Subscriber};
use gateway_core::{GatewayError, state::Key};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::time::Instant;

/// The answers that are on their way, by their names.
#[derive(Default)]
pub(super) struct InFlight(Mutex<HashMap<Key, InFlightEntry>>);

enum InFlightEntry {
    /// It is on its way.
    Streaming(Weak<SharedStream>),
    /// It failed: until then nobody sends for another.
    CoolingDown(Instant),
}

/// How somebody gets an answer.
pub(super) enum JoinResult {
    /// First of all.
    Leader(Subscriber),
    /// With others.
    Follower(Subscriber),
    /// Not before then.
    RetryAt(Instant),
    /// Not with others.
    Rejected,
}

/// Learns that an answer failed.
pub(super) type OnFailure = Box<dyn FnOnce(&GatewayError) + Send>;

/// After a failure one sends for another answer no sooner than this.
const FAILURE_COOLDOWN: Duration = Duration::from_secs(1);
/// When so many are known, those that are over are forgotten.
const PRUNE_THRESHOLD: usize = 1024;

impl InFlight {
    /// Finds a place for somebody who asks for `key`; `start` sends for the answer, and calls what
    /// it is given if that fails.
    pub(super) fn join(
        this: &Arc<Self>,
        key: &Key,
        start: impl FnOnce(OnFailure) -> Arc<SharedStream>,
    ) -> JoinResult {
        let now = Instant::now();
        let mut streams = this.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.insert(key, InFlightEntry::CoolingDown(Instant::now() + FAILURE_COOLDOWN));
    }
}
