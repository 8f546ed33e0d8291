//! The log line of each request to a model.

use crate::{RequestObserver, RequestSummary};
use gateway_core::{Attempt, CacheStatus, GatewayError, time::millis};
use std::error::Error as _;

/// Logs one line for each request that ends, at level INFO with the target `gateway::outcome`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLog;

impl RequestObserver for RequestLog {
    fn finished(&self, request: &RequestSummary<'_>) {
        let usage = &request.usage;
        tracing::info!(
            target: "gateway::outcome",
            request_id = &**request.request_id,
            trace_id = request.trace_id,
            path = request.path,
            client = &**request.client,
            provider = &**request.provider,
            model = request.model,
            assumed = request.assumed,
            rule = request.rule.as_str(),
            stream = request.stream,
            epoch = request.generation,
            outcome = request.outcome,
            finish = request.finish,
            attempts = request.attempts,
            cache = request.cache.map(CacheStatus::as_str),
            passed_by = failed_attempts(request.failed_attempts),
            prompt_tokens = usage.prompt(),
            completion_tokens = usage.completion(),
            usage_known = request.reported_usage.is_some(),
            usage_estimated = request.usage_estimated,
            cost_nano_dollars = request.cost.map(|cost| cost.0),
            first_output_ms = request.first_output.map(millis),
            duration_ms = millis(request.duration),
            upstream_request_id = request.upstream_request_id,
            upstream_status = request.error.and_then(GatewayError::upstream_status),
            error = request.error.map(tracing::field::display),
            cause = request.error.and_then(|error| error.source()).map(tracing::field::display),
        );
    }
}

/// Returns the failed targets and their reasons in one line; `None` if no target failed.
fn failed_attempts(attempts: &[Attempt]) -> Option<String> {
    let written = attempts
        .iter()
        .map(|attempt| format!("{}/{}:{}", attempt.provider, attempt.model, attempt.outcome));
    (!attempts.is_empty()).then(|| written.collect::<Vec<_>>().join(" "))
}
