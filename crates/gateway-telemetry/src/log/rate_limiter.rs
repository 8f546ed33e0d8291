//! A limit on repeated warnings: each call site may log a burst of lines, then one a second.

use gateway_core::sync;
use std::{collections::HashMap, sync::Mutex};
use tokio::time::Instant;
use tracing::{Level, Metadata, callsite::Identifier};

/// The lines that one call site may log at once.
const BURST: f64 = 20.0;
/// The lines a second after the burst.
const RATE: f64 = 1.0;
/// The number of call sites that are tracked; further ones are not limited.
const MAX_CALLSITES: usize = 1024;

/// The limiter's state per call site.
#[derive(Debug, Default)]
pub(super) struct LogRateLimiter(Mutex<HashMap<Identifier, TokenBucket>>);

#[derive(Clone, Copy, Debug)]
struct TokenBucket {
    lines: f64,
    at: Instant,
}

impl LogRateLimiter {
    /// Returns whether this call site may log now. Only warnings and errors are limited; lines of
    /// reloads never are.
    pub(super) fn admits(&self, place: &Metadata<'_>, now: impl FnOnce() -> Instant) -> bool {
        if *place.level() > Level::WARN || place.target() == "gateway::config" {
            return true;
        }
        let now = now();
        let mut places = sync::lock(&self.0);
        if places.len() >= MAX_CALLSITES && !places.contains_key(&place.callsite()) {
            return true;
        }
        places.entry(place.callsite()).or_insert(TokenBucket { lines: BURST, at: now }).take(now)
    }
}

impl TokenBucket {
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
    fn repeated_lines_are_limited_to_one_a_second() {
        let now = Instant::now();
        let mut bucket = TokenBucket { lines: BURST, at: now };
        let passed = |bucket: &mut TokenBucket, at| (0..1000).filter(|_| bucket.take(at)).count();
        assert_eq!(passed(&mut bucket, now), 20);
        assert_eq!(passed(&mut bucket, now + Duration::from_secs(3)), 3);
        assert_eq!(passed(&mut bucket, now + Duration::from_hours(1)), 20);
    }
}
