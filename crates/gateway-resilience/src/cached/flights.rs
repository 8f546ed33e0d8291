//! Which answers are on their way.

use super::flight::{Flight, Seat};
use gateway_core::{GatewayError, state::Key};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::time::Instant;

/// The answers that are on their way, by their names.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Key, Entry>>);

enum Entry {
    /// It is on its way.
    Flying(Weak<Flight>),
    /// It failed: until then nobody sends for another.
    Resting(Instant),
}

/// How somebody gets an answer.
pub(super) enum Boarding {
    /// First of all.
    Leads(Seat),
    /// With others.
    Follows(Seat),
    /// Not before then.
    Waits(Instant),
    /// Not with others.
    Full,
}

/// Learns that an answer failed.
pub(super) type Failed = Box<dyn FnOnce(&GatewayError) + Send>;

/// After a failure one sends for another answer no sooner than this.
const REST: Duration = Duration::from_secs(1);
/// When so many are known, those that are over are forgotten.
const MANY: usize = 1024;

impl Flights {
    /// Finds a place for somebody who asks for `key`; `start` sends for the answer, and calls what
    /// it is given if that fails.
    pub(super) fn board(
        this: &Arc<Self>,
        key: &Key,
        start: impl FnOnce(Failed) -> Arc<Flight>,
    ) -> Boarding {
        let now = Instant::now();
        let mut flights = this.0.lock().unwrap_or_else(PoisonError::into_inner);
        match flights.get(key) {
            Some(Entry::Resting(until)) if *until > now => return Boarding::Waits(*until),
            Some(Entry::Flying(flight)) => {
                if let Some(flight) = flight.upgrade().filter(|flight| !flight.is_over()) {
                    return flight.board(false).map_or(Boarding::Full, Boarding::Follows);
                }
            }
            Some(Entry::Resting(_)) | None => {}
        }
        if flights.len() >= MANY {
            flights.retain(|_, entry| match entry {
                Entry::Flying(flight) => flight.strong_count() > 0,
                Entry::Resting(until) => *until > now,
            });
        }
        let (own, name) = (Arc::downgrade(this), key.clone());
        let flight = start(Box::new(move |error| {
            if let Some(flights) = own.upgrade().filter(|_| error.kind().is_retryable()) {
                flights.rest(name);
            }
        }));
        let seat = flight.board(true);
        flights.insert(key.clone(), Entry::Flying(Arc::downgrade(&flight)));
        seat.map_or(Boarding::Full, Boarding::Leads)
    }

    fn rest(&self, key: Key) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.insert(key, Entry::Resting(Instant::now() + REST));
    }
}
