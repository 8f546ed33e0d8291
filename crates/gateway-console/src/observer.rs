//! The live feed as an observer of requests.

use crate::{EndedRequest, LiveFeed, LiveRequest, StartedRequest};
use gateway_core::{Chunk, NanoDollars, Usage, time::millis};
use gateway_engine::{ProgressObserver, RequestObserver, RequestStarted, RequestSummary};
use gateway_tasks::unix_time;
use std::sync::Arc;

impl RequestObserver for LiveFeed {
    fn started(&self, request: &RequestStarted<'_>) -> Option<Box<dyn ProgressObserver>> {
        let recorded = self.start(|| StartedRequest {
            request_id: Arc::clone(request.request_id),
            at: millis(unix_time()),
            path: request.path,
            client: Arc::clone(request.client),
            provider: Arc::clone(request.provider),
            model: Arc::clone(request.model),
            stream: request.stream,
            tenant: Arc::clone(request.tenant),
        })?;
        Some(Box::new(recorded))
    }
}

impl ProgressObserver for LiveRequest {
    fn chunk(&self, chunk: &Chunk) {
        LiveRequest::chunk(self, chunk.output);
    }

    fn finished(self: Box<Self>, request: &RequestSummary<'_>) {
        let usage = request.reported_usage.as_ref();
        self.ended(EndedRequest {
            outcome: request.outcome,
            finish: request.finish,
            attempts: request.attempts,
            prompt_tokens: usage.map(Usage::prompt),
            completion_tokens: usage.map(Usage::completion),
            cost_usd: request.cost.map(NanoDollars::dollars),
            first_output_ms: request.first_output.map(millis),
            duration_ms: millis(request.duration),
            error: request.error.map(|error| error.message().into()),
        });
    }
}
