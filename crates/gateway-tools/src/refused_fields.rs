//! The fields that a service refused, remembered for minutes: it is not asked twice each time.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};
use tokio::time::Instant;

/// The time for which a refusal is remembered: a service that learns of a field gets it soon after.
const REMEMBERED: Duration = Duration::from_mins(10);

/// The fields that a service refused, each with the time at which it did.
#[derive(Debug, Default)]
pub(crate) struct RefusedFields(Mutex<BTreeMap<String, Instant>>);

impl RefusedFields {
    /// Remembers that `fields` were refused at `now`.
    pub(crate) fn remember(&self, fields: &[&str], now: Instant) {
        let mut known = gateway_core::sync::lock(&self.0);
        known.extend(fields.iter().map(|field| ((*field).to_owned(), now)));
    }

    /// Returns whether `field` was refused within the last minutes before `now`.
    pub(crate) fn contains(&self, field: &str, now: Instant) -> bool {
        let known = gateway_core::sync::lock(&self.0);
        known.get(field).is_some_and(|at| now.duration_since(*at) < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusal_is_forgotten_after_minutes() {
        let (fields, start) = (RefusedFields::default(), Instant::now());
        fields.remember(&["taxonomy"], start);
        assert!(fields.contains("taxonomy", start + REMEMBERED - Duration::from_secs(1)));
        assert!(!fields.contains("taxonomy", start + REMEMBERED));
        assert!(!fields.contains("tier_filter", start));
    }
}
