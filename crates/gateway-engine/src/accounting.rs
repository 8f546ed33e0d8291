//! The accounting of a request to a model: closed exactly once, whatever happens to it.

mod reservation;
mod usage;

use self::{reservation::ReservationObserver, usage::AccountedUsage};
use crate::{
    Engine, InFlight, ProgressObserver, RequestContext, RequestStarted, RequestSummary, RoutePlan,
    build::{OTHER, ledger_name},
    metrics::ResponseTiming,
};
use gateway_core::{
    Attempt, Attribution, CacheStatus, Chunk, DroppedParams, GatewayError, ModelCard, ResponseMeta,
    ServiceTier, StreamEnd, StreamEvent, StreamObserver, Target, Usage, UsageMeter,
};
use gateway_limits::{
    AdmissionPermit, Client, PANICKED_OUTCOME, QuotaReservation, RequestLabels, RequestResult,
    TokenEstimate, UsageRecord,
};
use std::{mem, sync::Arc, thread, time::Duration};
use tokio::time::Instant;

/// The names of tools that are kept of one request.
const MAX_TOOLS: usize = 64;

/// Accounts for one request to a model, from the moment it is sent to its end: settles its
/// reservation, closes its row of the ledger, counts it, and shows it to the observers.
///
/// Dropping it closes it as cancelled by the caller, or as failed if the task panics.
pub(crate) struct RequestAccounting {
    engine: Arc<Engine>,
    path: &'static str,
    request_id: Arc<str>,
    client: Arc<Client>,
    attribution: Option<Arc<Attribution>>,
    plan: Arc<RoutePlan>,
    started: Instant,
    provider: Arc<str>,
    card: Option<Arc<ModelCard>>,
    /// The model that another target than the planned one asks, if the catalogue does not have it.
    uncatalogued: Option<Arc<str>>,
    upstream_request_id: Option<String>,
    stream: bool,
    traceparent: Option<Arc<str>>,
    attempts: u32,
    failed_attempts: Vec<Attempt>,
    dropped: DroppedParams,
    cache: Option<CacheStatus>,
    first_output: Option<Instant>,
    usage: Option<Usage>,
    finish: Option<&'static str>,
    /// The tools that the gateway ran.
    tools: Vec<String>,
    /// Time from the arrival to the first upstream call.
    prepared: Duration,
    /// The upstream calls made for the request, and what each used.
    meter: Arc<UsageMeter>,
    /// The size of the request, for providers that do not meter their calls.
    input: TokenEstimate,
    /// The service tier that the request asks for.
    tier: Option<ServiceTier>,
    /// The number of events with output: roughly one per token.
    outputs: u64,
    has_started: bool,
    reservation: Option<QuotaReservation>,
    row: Option<Arc<UsageRecord>>,
    is_closed: bool,
    progress: Vec<Box<dyn ProgressObserver>>,
    _permit: Option<AdmissionPermit>,
    _in_flight: Option<InFlight>,
}

impl RequestContext {
    /// Opens the accounting of the request, which is about to be sent to `target`.
    pub(crate) fn accounting(&mut self, target: &Target) -> RequestAccounting {
        let engine = Arc::clone(&self.engine);
        let plan = Arc::clone(&self.plan);
        engine.metrics.provider_called(&plan.route.provider);
        let planned = plan.is_for(target).then(|| Arc::clone(&plan.ledger_name));
        let model = planned.unwrap_or_else(|| ledger_name(target));
        let who = RequestLabels {
            client: &self.head.client.name,
            provider: &plan.route.provider,
            model: &model,
            is_catalogued: target.card.as_ref().is_some_and(|card| card.assumed_from.is_none()),
            attribution: self.head.attribution.as_ref(),
        };
        let row = engine.limits.usage.open(who, self.reserved_usage());
        if let Some(row) = &row {
            let (engine, row) = (Arc::clone(&engine), Arc::clone(row));
            let (output, tier) = (self.reserved_output(), self.tier);
            self.meter.observe(Box::new(ReservationObserver { engine, row, output, tier }));
        }
        let started = self.started(target);
        let progress = engine.observers.iter().filter_map(|it| it.started(&started)).collect();
        let now = Instant::now();
        RequestAccounting {
            path: self.head.path,
            request_id: Arc::clone(&self.head.request_id),
            client: Arc::clone(&self.head.client),
            attribution: self.head.attribution.clone(),
            started: now,
            provider: Arc::clone(&plan.route.provider),
            card: target.card.clone(),
            uncatalogued: None,
            upstream_request_id: None,
            stream: self.stream,
            traceparent: self.head.options.traceparent.clone(),
            attempts: 0,
            failed_attempts: Vec::new(),
            dropped: DroppedParams::default(),
            cache: None,
            first_output: None,
            usage: None,
            finish: None,
            tools: Vec::new(),
            prepared: now.duration_since(self.head.started),
            meter: Arc::clone(&self.meter),
            input: mem::take(&mut self.input),
            tier: self.tier,
            outputs: 0,
            has_started: false,
            reservation: self.reservation.take(),
            row,
            is_closed: false,
            progress,
            _permit: self.permit.take(),
            _in_flight: self.head.in_flight.take(),
            plan,
            engine,
        }
    }

    /// The request, for those who follow it from here on.
    fn started<'a>(&'a self, target: &'a Target) -> RequestStarted<'a> {
        RequestStarted {
            request_id: &self.head.request_id,
            path: self.head.path,
            client: &self.head.client.name,
            tenant: &self.head.client.tenant,
            provider: &self.plan.route.provider,
            model: &target.model,
            requested_model: &self.model,
            arrived: self.head.started,
            stream: self.stream,
        }
    }
}

impl RequestAccounting {
    /// Counts from `started` on: the accounting was opened only once the response was there.
    pub(crate) fn since(mut self, started: Instant) -> Self {
        self.started = started;
        self
    }

    /// Records what is known of the response before its first chunk.
    pub(crate) fn response_started(&mut self, meta: &ResponseMeta) {
        self.has_started = true;
        if self.stream && !self.meter.is_used() {
            self.input.settle();
        }
        self.record_upstream(meta);
    }

    /// Closes the accounting of a response that was there at once.
    pub(crate) fn completed(mut self, usage: Option<Usage>) {
        self.usage = usage;
        self.finalize(StreamEnd::Complete);
    }

    /// Closes the accounting of a request that failed before its response began.
    pub(crate) fn failed(mut self, error: &GatewayError) {
        self.finalize(StreamEnd::Failed(error));
    }

    /// Records parameters that do not reach the model.
    pub(crate) fn params_dropped(&mut self, dropped: &DroppedParams) {
        self.dropped.extend(dropped.clone());
    }

    /// Records which target answers, or failed to.
    fn record_upstream(&mut self, meta: &ResponseMeta) {
        self.attempts = meta.attempts;
        self.upstream_request_id.clone_from(&meta.upstream_request_id);
        self.engine.metrics.parameters_dropped(&meta.dropped);
        self.failed_attempts.clone_from(&meta.attempts_log);
        if !meta.dropped.is_empty() {
            self.params_dropped(&meta.dropped);
        }
        self.cache = meta.cache;
        let is_another = meta.provider != self.provider && !meta.provider.is_empty();
        if is_another {
            self.provider = Arc::clone(&meta.provider);
            self.engine.metrics.provider_called(&self.provider);
            self.uncatalogued = Some(Arc::clone(&meta.model));
        }
        // What is paid is the price of the model that answers.
        let is_same = match (&meta.card, &self.card) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, _) => !is_another,
            (Some(_), None) => false,
        };
        if !is_same {
            self.card.clone_from(&meta.card);
        }
    }

    /// Closes the accounting; once.
    fn finalize(&mut self, end: StreamEnd<'_>) {
        if mem::replace(&mut self.is_closed, true) {
            return;
        }
        let error = if let StreamEnd::Failed(error) = end { Some(error) } else { None };
        if let Some(meta) = error.and_then(GatewayError::meta) {
            self.record_upstream(meta);
        }
        let duration = self.started.elapsed();
        let timing = (duration, self.first_output.map(|at| at.duration_since(self.started)));
        let used = self.accounted_usage(end);
        self.settle(outcome(end), &used);
        self.count(end, &used, timing);
        self.report(end, &used, timing);
    }

    /// Settles the reservation and closes the row of the ledger.
    fn settle(&mut self, outcome: &'static str, used: &AccountedUsage) {
        let (usage, cost, estimated) = (used.usage, used.cost, used.is_estimated);
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(usage.total(), cost.unwrap_or_default());
        }
        if let Some(row) = self.row.take() {
            self.engine.limits.usage.close(row, RequestResult { outcome, usage, cost, estimated });
        }
    }

    fn count(
        &self,
        end: StreamEnd<'_>,
        used: &AccountedUsage,
        (duration, first): (Duration, Option<Duration>),
    ) {
        let (metrics, outcome) = (&self.engine.metrics, outcome(end));
        metrics.request_ended(self.path, outcome);
        let streamed = self.stream.then(|| self.usage.map_or(0, |usage| usage.completion()));
        metrics.response_ended(&self.provider, ResponseTiming { whole: duration, first, streamed });
        if self.stream {
            metrics.stream_ended(&self.provider, outcome);
        }
        if self.usage.is_some() || used.usage.total() > 0 {
            metrics.tokens_used(&self.provider, &self.label(), &used.usage, used.cost);
        }
        if let StreamEnd::Failed(error) = end {
            metrics.provider_failed(&self.provider, error.kind().as_str());
        }
        self.count_usage_anomalies(end);
    }

    /// The model that answered, as a metric label.
    fn label(&self) -> Arc<str> {
        match (&self.card, &self.plan.route.target.card) {
            (Some(card), Some(planned)) if Arc::ptr_eq(card, planned) => {
                Arc::clone(&self.plan.label)
            }
            (Some(card), _) => card.id.as_str().into(),
            (None, _) => OTHER.into(),
        }
    }

    /// The model that answered, as the catalogue has it, else as its provider does.
    fn served_model(&self) -> &str {
        match (&self.card, &self.uncatalogued) {
            (Some(card), _) => &card.id,
            (None, Some(model)) => model,
            (None, None) => &self.plan.ledger_name,
        }
    }

    /// Counts what is odd about the tokens that the provider reports.
    fn count_usage_anomalies(&self, end: StreamEnd<'_>) {
        if let Some(CacheStatus::Hit { .. }) = self.cache {
            return;
        }
        let usage = self.usage.unwrap_or_default();
        let is_empty = usage.prompt() == 0 && usage.completion() == 0;
        for (anomaly, is_so) in [
            ("missing", is_empty && matches!(end, StreamEnd::Complete)),
            ("count", usage.is_odd),
            ("total", usage.stated_total.is_some()),
        ] {
            if is_so {
                self.engine.metrics.usage_anomaly(&self.provider, anomaly);
            }
        }
    }

    /// Shows the end to the observers.
    fn report(
        &mut self,
        end: StreamEnd<'_>,
        used: &AccountedUsage,
        (duration, first_output): (Duration, Option<Duration>),
    ) {
        let progress = mem::take(&mut self.progress);
        let summary = RequestSummary {
            request_id: &self.request_id,
            trace_id: self.traceparent.as_deref().and_then(|it| it.get(3..35)),
            path: self.path,
            client: &self.client.name,
            tenant: &self.client.tenant,
            attribution: self.attribution.as_deref(),
            provider: &self.provider,
            requested_model: &self.plan.name,
            model: self.card.as_ref().map_or(OTHER, |card| &card.id),
            served_model: self.served_model(),
            assumed: self.card.as_ref().and_then(|card| card.assumed_from.as_deref()),
            rule: self.plan.route.rule,
            stream: self.stream,
            generation: self.engine.generation,
            outcome: outcome(end),
            finish: self.finish,
            attempts: self.attempts,
            failed_attempts: &self.failed_attempts,
            dropped: &self.dropped,
            tools: &self.tools,
            cache: self.cache,
            usage: used.usage,
            reported_usage: self.usage,
            usage_estimated: used.is_estimated,
            cost: used.cost,
            prepared: self.prepared,
            first_output,
            duration,
            upstream_request_id: self.upstream_request_id.as_deref(),
            error: if let StreamEnd::Failed(error) = end { Some(error) } else { None },
        };
        for observer in progress {
            observer.finished(&summary);
        }
        for observer in &self.engine.observers {
            observer.finished(&summary);
        }
    }
}

/// The end of a response, as logs, metrics and the ledger name it.
fn outcome(end: StreamEnd<'_>) -> &'static str {
    match end {
        StreamEnd::Complete => "ok",
        StreamEnd::Failed(error) if error.is_panic() => PANICKED_OUTCOME,
        StreamEnd::Failed(error) => error.kind().as_str(),
        StreamEnd::Cancelled => "client_cancelled",
    }
}

impl StreamObserver for RequestAccounting {
    fn on_chunk(&mut self, chunk: &Chunk) {
        for progress in &self.progress {
            progress.chunk(chunk);
        }
        let room = MAX_TOOLS.saturating_sub(self.tools.len());
        self.tools.extend(chunk.started_tool_calls.iter().take(room).map(|it| it.name.clone()));
        if let Some(meta) = &chunk.meta {
            self.record_upstream(meta);
        }
        if chunk.output {
            self.outputs = self.outputs.saturating_add(chunk.output_count());
            if self.first_output.is_none() {
                self.first_output = Some(Instant::now());
            }
        }
        for event in &chunk.events {
            if let StreamEvent::Usage(usage) = event {
                self.usage = Some(*usage);
            } else if let StreamEvent::Finished(finish) = event {
                self.finish = Some(finish.reason.as_str());
            }
        }
    }

    fn on_end(mut self: Box<Self>, end: StreamEnd<'_>) {
        if matches!(end, StreamEnd::Complete | StreamEnd::Failed(_)) {
            self.finalize(end);
        }
        // A dropped stream is closed by the drop, which knows a panic from a caller that left.
    }
}

impl Drop for RequestAccounting {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        if thread::panicking() {
            self.finalize(StreamEnd::Failed(&GatewayError::panicked()));
        } else {
            self.finalize(StreamEnd::Cancelled);
        }
    }
}
