//! The replicas that have crashed: the usage of their requests in progress is booked by others.
//!
//! Each replica renews the lease of its run. One whose lease has ended is only suspected at first:
//! after an outage of the store all leases have ended, and those that are alive renew theirs.

use super::LOST_OUTCOME;
use foldhash::HashMap;
use gateway_core::state::{Ledger, StoreError};
use std::time::Duration;
use tokio::time::Instant;

/// The interval at which a run renews its lease.
pub(super) const RENEWAL: Duration = Duration::from_secs(3);

/// The time without a renewal after which a run is suspected.
const LEASE: Duration = Duration::from_secs(10);

/// The time for which a run stays suspected before it counts as lost: every live replica renews its
/// lease in this time, even if the store was unavailable before.
const CONFIRMATION: Duration = Duration::from_secs(7);

/// The runs whose leases have ended, with the time at which that was first seen.
#[derive(Debug, Default)]
pub(super) struct LostRuns {
    suspected: HashMap<String, Instant>,
}

impl LostRuns {
    /// Renews the lease of `run`, and closes the requests of runs that are lost.
    ///
    /// # Errors
    ///
    /// If the ledger is unavailable.
    pub(super) async fn renew(&mut self, ledger: &dyn Ledger, run: &str) -> Result<(), StoreError> {
        let ended = match ledger.renew_run(run, LEASE).await {
            Ok(ended) => ended,
            Err(error) => {
                // What was seen before the outage proves nothing after it.
                self.suspected.clear();
                return Err(error);
            }
        };
        for lost in self.confirmed(ended, Instant::now()) {
            let requests = ledger.close_run(&lost, LOST_OUTCOME).await?;
            self.suspected.remove(&lost);
            // A replica that was stopped has left nothing open.
            if requests > 0 {
                tracing::warn!(
                    requests,
                    "usage of a crashed replica is booked at its reservations"
                );
            }
        }
        Ok(())
    }

    /// Returns those of `ended` that were suspected for long enough.
    fn confirmed(&mut self, ended: Vec<String>, now: Instant) -> Vec<String> {
        let before = std::mem::take(&mut self.suspected);
        for run in ended {
            let since = before.get(&run).copied().unwrap_or(now);
            self.suspected.insert(run, since);
        }
        let lost = self.suspected.iter().filter(|(_, since)| now - **since >= CONFIRMATION);
        lost.map(|(run, _)| run.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runs `a`, `b` whose leases have ended, every three seconds; those that are lost.
    #[track_caller]
    fn check(seen: &[&str], expected: &[&str]) {
        let (mut runs, start) = (LostRuns::default(), Instant::now());
        let mut lost = Vec::new();
        for (look, ended) in (0..).zip(seen) {
            let ended = ended.chars().map(String::from).collect();
            let mut found = runs.confirmed(ended, start + RENEWAL * look);
            found.sort();
            lost.push(found.concat());
        }
        assert_eq!(lost, expected);
    }

    #[test]
    fn run_is_lost_once_it_was_suspected_for_long() {
        check(&["a", "a", "a", "a"], &["", "", "", "a"]);
        check(&["", "ab", "ab", "ab", "ab"], &["", "", "", "", "ab"]);
    }

    #[test]
    fn run_that_renews_its_lease_is_not_lost() {
        check(&["a", "a", "", "a", "a", "a"], &["", "", "", "", "", ""]);
    }
}
