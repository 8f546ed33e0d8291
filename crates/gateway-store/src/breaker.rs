//! A switch that spares callers the wait for a server that is unavailable.
//!
//! ```text
//!  closed --- 5 failures in a row ---> open
//!     ^                                 |
//!     `------- a probe succeeds <-------'   (in the background: no caller pays for it)
//! ```

use std::sync::atomic::{AtomicU32, Ordering};

/// Consecutive failures that open the breaker.
const FAILURES: u32 = 5;

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct ConnectionBreaker(AtomicU32);

/// The state transition caused by a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BreakerTransition {
    None,
    Opened,
    Closed,
}

impl ConnectionBreaker {
    /// Whether callers are spared.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= FAILURES
    }

    /// Records a reply of the server.
    pub(crate) fn succeeded(&self) -> BreakerTransition {
        // Most calls find nothing to change: a load is cheaper than a store that all cores share.
        if self.0.load(Ordering::Relaxed) == 0 {
            return BreakerTransition::None;
        }
        let failures = self.0.swap(0, Ordering::Relaxed);
        if failures >= FAILURES { BreakerTransition::Closed } else { BreakerTransition::None }
    }

    /// Records that the server did not answer, or refused us.
    pub(crate) fn failed(&self) -> BreakerTransition {
        let step = |failures: u32| Some(failures.saturating_add(1));
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        if before == Ok(FAILURES - 1) { BreakerTransition::Opened } else { BreakerTransition::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` succeeds, `-` fails; afterwards the breaker is open or not.
    #[track_caller]
    fn check(calls: &str, open: bool, changes: &[BreakerTransition]) {
        let breaker = ConnectionBreaker::default();
        let said = calls.chars().map(|call| match call {
            '+' => breaker.succeeded(),
            _ => breaker.failed(),
        });
        let said: Vec<_> = said.filter(|change| *change != BreakerTransition::None).collect();
        assert_eq!((breaker.is_open(), &*said), (open, changes));
    }

    #[test]
    fn breaker_opens_after_five_consecutive_failures() {
        check("----", false, &[]);
        check("-----", true, &[BreakerTransition::Opened]);
        check("----+----", false, &[]);
    }

    #[test]
    fn state_change_is_reported_once() {
        check("--------", true, &[BreakerTransition::Opened]);
        check("-------+++", false, &[BreakerTransition::Opened, BreakerTransition::Closed]);
    }
}
