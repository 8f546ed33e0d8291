//! What features count. Each is one call, with labels that are the program's own.

use super::{Meters, Table, parameters};
use gateway_core::{DroppedParams, ErrorKind, GatewayError};
use metrics::{Counter, Histogram, counter, histogram};
use std::time::Duration;

/// Handles of what features count.
#[derive(Debug, Default)]
pub(super) struct Features {
    counts: Table<(&'static str, &'static str), Counter>,
    store: Table<&'static str, Histogram>,
}

impl Meters {
    /// Counts what a translation left behind.
    pub(crate) fn lost(&self, dropped: &DroppedParams) {
        for name in dropped.iter() {
            self.one("llm_gateway_dropped_parameters_total", "parameter", parameters::label(name));
        }
    }

    /// Counts a request that is over a limit of ours; those of providers are their errors.
    pub(crate) fn refused(&self, error: &GatewayError) {
        let kind = error.kind();
        let limit = matches!(kind, ErrorKind::RateLimited | ErrorKind::QuotaExceeded);
        if limit && error.upstream_status().is_none() {
            self.one("llm_gateway_rate_limited_total", "reason", kind.as_str());
        }
    }

    /// Counts an operation on the store: what it took, and the code of its failure.
    pub fn stored(&self, operation: &'static str, took: Duration, error: Option<&str>) {
        let make =
            || histogram!("llm_gateway_store_operation_duration_seconds", "operation" => operation);
        self.features.store.with(operation, make, |taken| taken.record(took.as_secs_f64()));
        if let Some(error) = error {
            counter!("llm_gateway_store_errors_total",
                "operation" => operation, "error" => error.to_owned())
            .increment(1);
        }
    }

    fn one(&self, metric: &'static str, label: &'static str, value: &'static str) {
        self.features.counts.count((metric, value), || counter!(metric, label => value));
    }
}
