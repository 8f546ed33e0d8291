//! The entries of the request log, made of what the observers of requests see.

use crate::{RequestObserver, RequestSummary};
use gateway_core::{Attribution, CacheStatus, GatewayError, state::RequestLogEntry, time::millis};
use gateway_limits::RequestRecorder;
use gateway_tasks::unix_time;

/// Records each request that ends in the request log.
#[derive(Clone, Debug)]
pub struct RequestRecords(RequestRecorder);

impl RequestRecords {
    /// An observer that hands its entries to `recorder`.
    pub const fn new(recorder: RequestRecorder) -> Self {
        Self(recorder)
    }
}

impl RequestObserver for RequestRecords {
    fn finished(&self, request: &RequestSummary<'_>) {
        let error = request.error.map(GatewayError::to_string);
        self.0.record(&RequestLogEntry {
            id: request.request_id,
            at: millis(unix_time()),
            path: request.path,
            client: Some(request.client),
            tenant: Some(request.tenant),
            tags: request.attribution.map(Attribution::tags).unwrap_or_default(),
            user: request.attribution.and_then(Attribution::user),
            requested_model: Some(request.requested_model),
            model: Some(request.served_model),
            provider: Some(request.provider),
            rule: Some(request.rule.as_str()),
            stream: request.stream,
            outcome: request.outcome,
            error: error.as_deref(),
            finish: request.finish,
            attempts: request.attempts,
            failed_attempts: request.failed_attempts,
            usage: request.usage,
            usage_estimated: request.usage_estimated,
            cost: request.cost,
            cache: request.cache.map(CacheStatus::as_str),
            tools: request.tools,
            dropped: Some(request.dropped),
            prepared_ms: Some(millis(request.prepared)),
            first_output_ms: request.first_output.map(millis),
            duration_ms: millis(request.duration),
            upstream_request_id: request.upstream_request_id,
            ..RequestLogEntry::default()
        });
    }
}
