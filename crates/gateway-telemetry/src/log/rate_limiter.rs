//! Keeps one fault from filling the log: of each place that warns, so many lines at once and then
//! one a second.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use tokio::time::Instant;
use tracing::{Level, Metadata, callsite::Identifier};

/// How many lines of one place may come at once.
const BURST: f64 = 20.0;
/// How many come a second after that.
const RATE: f64 = 1.0;
/// How many places are told apart.
const PLACES: usize = 1024;

/// Which places have warned lately.
#[derive(Debug, Default)]
pub(super) struct Storm(Mutex<HashMap<Identifier, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    lines: f64,
    at: Instant,
}

impl Storm {
    /// Whether a line of this place may be logged now. What is told of each request, and what was
    /// asked for in detail, may always.
    pub(super) fn admits(&self, place: &Metadata<'_>, now: Instant) -> bool {
        if *place.level() > Level::WARN || place.target() == "gateway::config" {
            return true;
        }
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= PLACES && !places.contains_key(&place.callsite()) {
            return true;
        }
        places.entry(place.callsite()).or_insert(Bucket { lines: BURST, at: now }).take(now)
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * RATE;
        self.lines = (self.lines + earned).min(BURST);
        self.at = now;
        let has = self.lines >= 1.0;
        if has {
            self.lines -= 1.0;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_storm_becomes_a_drizzle() {
        let now = Instant::now();
        let mut bucket = Bucket { lines: BURST, at: now };
        let passed = |bucket: &mut Bucket, at| (0..1000).filter(|_| bucket.take(at)).count();
        assert_eq!(passed(&mut bucket, now), 20);
        assert_eq!(passed(&mut bucket, now + Duration::from_secs(3)), 3);
        assert_eq!(passed(&mut bucket, now + Duration::from_hours(1)), 20);
    }
}
