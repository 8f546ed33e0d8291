//! The entries of the request log, made of what the observers of requests see.

use crate::{ProgressObserver, RequestObserver, RequestStarted, RequestSummary};
use gateway_core::{
    Attempt, AttemptOutcome, CacheStatus, Chunk, GatewayError,
    state::{LoggedAttempt, LoggedRequest},
    sync,
    time::millis,
};
use gateway_limits::RequestRecorder;
use gateway_tasks::unix_time;
use std::{mem, sync::Mutex, time::Duration};

/// The names of tools that are kept of one request.
const TOOLS: usize = 64;

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
    fn started(&self, request: &RequestStarted<'_>) -> Option<Box<dyn ProgressObserver>> {
        Some(Box::new(RecordedProgress {
            recorder: self.0.clone(),
            requested_model: request.requested_model.to_owned(),
            prepared: request.arrived.elapsed(),
            tools: Mutex::default(),
        }))
    }
}

/// A request in progress, and what its summary does not hold.
struct RecordedProgress {
    recorder: RequestRecorder,
    requested_model: String,
    /// Time from the arrival to the first upstream call.
    prepared: Duration,
    /// The tools that the gateway ran.
    tools: Mutex<Vec<String>>,
}

impl ProgressObserver for RecordedProgress {
    fn chunk(&self, chunk: &Chunk) {
        if chunk.started_tool_calls.is_empty() {
            return;
        }
        let mut tools = sync::lock(&self.tools);
        let room = TOOLS.saturating_sub(tools.len());
        tools.extend(chunk.started_tool_calls.iter().take(room).map(|call| call.name.clone()));
    }

    fn finished(self: Box<Self>, request: &RequestSummary<'_>) {
        let (id, client) = (request.request_id.clone(), request.client.clone());
        let (tenant, provider) = (request.tenant.clone(), request.provider.clone());
        let (model, path, rule) = (request.served_model.to_owned(), request.path, request.rule);
        let (outcome, finish, cache) = (request.outcome, request.finish, request.cache);
        let (stream, attempts, estimated) =
            (request.stream, request.attempts, request.usage_estimated);
        let (usage, cost) = (request.usage, request.cost);
        let (first_output, duration) = (request.first_output, request.duration);
        let failed_attempts = request.failed_attempts.to_vec();
        let dropped = request.dropped.clone();
        let error = request.error.map(GatewayError::to_string);
        let upstream_request_id = request.upstream_request_id.map(str::to_owned);
        let at = millis(unix_time());
        let Self { recorder, requested_model, prepared, tools } = *self;
        let tools = mem::take(&mut *sync::lock(&tools));
        recorder.record(move || LoggedRequest {
            id: id.to_string(),
            at,
            path: path.to_owned(),
            client: Some(client.to_string()),
            tenant: Some(tenant.to_string()),
            requested_model: Some(requested_model),
            model: Some(model),
            provider: Some(provider.to_string()),
            rule: Some(rule.as_str().to_owned()),
            stream,
            outcome: outcome.to_owned(),
            error,
            finish: finish.map(str::to_owned),
            attempts,
            failed_attempts: failed_attempts.iter().map(logged).collect(),
            usage,
            usage_estimated: estimated,
            cost,
            cache: cache.map(CacheStatus::as_str).map(str::to_owned),
            tools,
            dropped: dropped.iter().map(str::to_owned).collect(),
            prepared_ms: Some(millis(prepared)),
            first_output_ms: first_output.map(millis),
            duration_ms: millis(duration),
            upstream_request_id,
            ..LoggedRequest::default()
        });
    }
}

fn logged(attempt: &Attempt) -> LoggedAttempt {
    LoggedAttempt {
        provider: attempt.provider.to_string(),
        model: attempt.model.to_string(),
        skipped: matches!(attempt.outcome, AttemptOutcome::Skipped(_)),
        cause: attempt.outcome.to_string(),
    }
}
