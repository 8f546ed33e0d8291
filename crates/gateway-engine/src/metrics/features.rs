//! The metrics of features. Each is one call, with labels that are the program's own.

use super::{
    HandleTable, RequestMetrics,
    bounded_clients::{BoundedClients, RefusalLabels},
    parameters,
};
use crate::build::OTHER;
use gateway_core::{DroppedParams, ErrorKind, GatewayError};
use metrics::{Counter, Histogram, counter, histogram};
use std::time::Duration;

/// The handles of the metrics of features.
#[derive(Debug, Default)]
pub(super) struct FeatureMetrics {
    counts: HandleTable<(&'static str, &'static str), Counter>,
    store: HandleTable<&'static str, Histogram>,
    clients: BoundedClients,
}

impl RequestMetrics {
    /// Counts the parameters that a translation dropped.
    pub(crate) fn parameters_dropped(&self, dropped: &DroppedParams) {
        for name in dropped.iter() {
            self.one("llm_gateway_dropped_parameters_total", "parameter", parameters::label(name));
        }
    }

    /// Counts a request over one of the gateway's limits; limits of providers are counted as their
    /// errors.
    pub fn request_refused(&self, error: &GatewayError) {
        let kind = error.kind();
        let limit = matches!(kind, ErrorKind::RateLimited | ErrorKind::QuotaExceeded);
        if limit && error.upstream_status().is_none() {
            self.one("llm_gateway_rate_limited_total", "reason", kind.as_str());
        }
    }

    /// Counts a refused request by its code, its limit, and who asked for what.
    pub fn refused(&self, labels: &RefusalLabels<'_>) {
        let (tenant, client) = match labels.client {
            None => ("", ""),
            Some((tenant, client)) if self.features.clients.admits(tenant, client) => {
                (&**tenant, &**client)
            }
            Some(_) => (OTHER, OTHER),
        };
        counter!("llm_gateway_refused_requests_total",
            "code" => labels.code.to_owned(),
            "limit" => labels.limit.unwrap_or_default().to_owned(),
            "tenant" => tenant.to_owned(),
            "client" => client.to_owned(),
            "model" => labels.model.unwrap_or_default().to_owned())
        .increment(1);
    }

    /// Records the time of a store operation, and the code of its failure.
    pub fn store_operation(&self, operation: &'static str, took: Duration, error: Option<&str>) {
        let make =
            || histogram!("llm_gateway_store_operation_duration_seconds", "operation" => operation);
        self.features
            .store
            .with(&operation, make, |taken: &Histogram| taken.record(took.as_secs_f64()));
        if let Some(error) = error {
            counter!("llm_gateway_store_errors_total",
                "operation" => operation, "error" => error.to_owned())
            .increment(1);
        }
    }

    fn one(&self, metric: &'static str, label: &'static str, value: &'static str) {
        self.features.counts.count(&(metric, value), || counter!(metric, label => value));
    }
}
