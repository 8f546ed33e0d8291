//! What became of a request: told exactly once, to the log and to the meters.

use crate::{
    App,
    console::{self, EndedRequest, LiveRequest, StartedRequest},
    meters::{InFlight, Took},
};
use gateway_core::{
    Attempt, Cached, Chunk, GatewayError, ModelCard, NanoDollars, Price, ResponseMeta, Rule,
    StreamEnd, StreamEvent, StreamObserver, Usage,
};
use gateway_limits::{
    AdmissionPermit, QuotaReservation, RequestLabels, RequestResult, TokenEstimate, UsageRecord,
};
use std::{error::Error as _, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Accounts for one request to a model, from its acceptance to its end.
///
/// If it is dropped untold, the caller has gone before the answer began.
pub(crate) struct Outcome {
    app: Arc<App>,
    path: &'static str,
    request_id: Arc<str>,
    client: Arc<str>,
    rule: Rule,
    began: Instant,
    provider: Arc<str>,
    model: Arc<str>,
    card: Option<Arc<ModelCard>>,
    upstream_request_id: Option<String>,
    stream: bool,
    trace: Option<Arc<str>>,
    attempts: u32,
    steps: Vec<Attempt>,
    cache: Option<Cached>,
    first_output: Option<Instant>,
    usage: Option<Usage>,
    finish: Option<&'static str>,
    /// How large the request is.
    input: TokenEstimate,
    /// How often output came: roughly a token each.
    outputs: u64,
    has_begun: bool,
    taken: Option<QuotaReservation>,
    row: Option<Arc<UsageRecord>>,
    told: bool,
    /// Where it is shown, if somebody looks.
    live: Option<LiveRequest>,
    _permit: Option<AdmissionPermit>,
    _in_flight: InFlight,
}

/// What is known of a request when it is sent to its provider.
pub(crate) struct Accepted {
    pub(crate) path: &'static str,
    pub(crate) request_id: Arc<str>,
    pub(crate) client: Arc<str>,
    pub(crate) provider: Arc<str>,
    pub(crate) rule: Rule,
    pub(crate) card: Option<Arc<ModelCard>>,
    /// The model, as its provider names it.
    pub(crate) asked: Arc<str>,
    pub(crate) stream: bool,
    /// How large it is.
    pub(crate) input: TokenEstimate,
    /// What it holds of its client's limits.
    pub(crate) taken: Option<QuotaReservation>,
    /// The `traceparent` that upstreams are sent.
    pub(crate) trace: Option<Arc<str>>,
    /// Its place among those that run.
    pub(crate) permit: Option<AdmissionPermit>,
}

impl Outcome {
    pub(crate) fn new(app: &Arc<App>, accepted: Accepted, in_flight: InFlight) -> Self {
        let Accepted { path, request_id, client, provider, rule, trace, .. } = accepted;
        let Accepted { card, asked, stream, input, taken, permit, .. } = accepted;
        let model = label(card.as_ref());
        app.meters.called(&provider);
        let is_catalogued = card.is_some();
        let who =
            RequestLabels { client: &client, provider: &provider, model: &asked, is_catalogued };
        let row = app.control.usage.open(who);
        Self {
            app: Arc::clone(app),
            path,
            request_id,
            client,
            rule,
            began: Instant::now(),
            provider,
            model,
            card,
            upstream_request_id: None,
            stream,
            trace,
            attempts: 0,
            steps: Vec::new(),
            cache: None,
            first_output: None,
            usage: None,
            finish: None,
            input,
            outputs: 0,
            has_begun: false,
            taken,
            row,
            told: false,
            live: None,
            _permit: permit,
            _in_flight: in_flight,
        }
    }

    /// Learns what is known of the answer before it begins.
    pub(crate) fn begun(&mut self, meta: &ResponseMeta) {
        self.has_begun = true;
        if self.stream {
            self.input.settle();
        }
        self.learn(meta);
    }

    /// Learns who answers, or who failed to.
    fn learn(&mut self, meta: &ResponseMeta) {
        self.attempts = meta.attempts;
        self.upstream_request_id.clone_from(&meta.upstream_request_id);
        self.app.meters.lost(&meta.dropped);
        self.steps.clone_from(&meta.attempts_log);
        self.cache = meta.cache;
        let is_another = meta.provider != self.provider && !meta.provider.is_empty();
        if is_another {
            self.provider = Arc::clone(&meta.provider);
            self.app.meters.called(&self.provider);
        }
        // What is paid is the price of the model that answers.
        let is_same = match (&meta.card, &self.card) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, _) => !is_another,
            (Some(_), None) => false,
        };
        if !is_same {
            self.card.clone_from(&meta.card);
            self.model = label(self.card.as_ref());
        }
    }

    /// Shows the request to those who watch `tenant`, if there are any.
    pub(crate) fn shown(mut self, tenant: &Arc<str>, model: &Arc<str>) -> Self {
        let Some(feed) = &self.app.console else { return self };
        self.live = feed.start(|| StartedRequest {
            request_id: Arc::clone(&self.request_id),
            at: console::now(),
            path: self.path,
            client: Arc::clone(&self.client),
            provider: Arc::clone(&self.provider),
            model: Arc::clone(model),
            stream: self.stream,
            tenant: Arc::clone(tenant),
        });
        self
    }

    /// The request came in at `began`: it is told of only now.
    pub(crate) fn since(mut self, began: Instant) -> Self {
        self.began = began;
        self
    }

    /// The answer was there at once, and took this.
    pub(crate) fn answered(mut self, usage: Option<Usage>) {
        self.usage = usage;
        self.tell(StreamEnd::Complete);
    }

    /// The request failed before an answer began.
    pub(crate) fn failed(mut self, error: &GatewayError) {
        self.tell(StreamEnd::Failed(error));
    }

    /// What the answer cost, as far as prices are known. What is remembered costs nothing.
    fn cost(&self, usage: &Usage) -> Option<NanoDollars> {
        if let Some(Cached::Hit { .. }) = self.cache {
            return Some(NanoDollars::default());
        }
        self.price().map(|price| price.cost(usage))
    }

    fn count(
        &self,
        end: StreamEnd<'_>,
        outcome: &'static str,
        took: Took,
        cost: Option<NanoDollars>,
    ) {
        let meters = &self.app.meters;
        meters.ended(self.path, outcome);
        meters.answered(&self.provider, took);
        if self.stream {
            meters.streamed(&self.provider, outcome);
        }
        if let Some(usage) = &self.usage {
            meters.used(&self.provider, &self.model, usage, cost);
        }
        if let StreamEnd::Failed(error) = end {
            meters.failed(&self.provider, error.kind().as_str());
        }
    }

    /// Counts what is odd about what the provider says of tokens.
    fn doubt(&self, end: StreamEnd<'_>, used: &Used) {
        if let Some(Cached::Hit { .. }) = self.cache {
            return;
        }
        let usage = self.usage.unwrap_or_default();
        for (anomaly, is_so) in [
            ("missing", used.is_estimated && matches!(end, StreamEnd::Complete)),
            ("count", usage.is_odd),
            ("total", usage.stated_total.is_some()),
        ] {
            if is_so {
                self.app.meters.odd(&self.provider, anomaly);
            }
        }
    }

    fn tell(&mut self, end: StreamEnd<'_>) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let outcome = word(end);
        let error = if let StreamEnd::Failed(error) = end { Some(error) } else { None };
        if let Some(meta) = error.and_then(GatewayError::meta) {
            self.learn(meta);
        }
        let took = self.began.elapsed();
        let first = self.first_output.map(|at| at.duration_since(self.began));
        let used = self.used(end);
        let cost = self.cost(&used.usage);
        self.account(outcome, &used, cost);
        let error = if let StreamEnd::Failed(error) = end { Some(error) } else { None };
        let streamed = self.stream.then(|| self.usage.map_or(0, |usage| usage.completion()));
        self.doubt(end, &used);
        self.count(end, outcome, Took { whole: took, first, streamed }, cost);
        if let Some(live) = self.live.take() {
            live.ended(self.ended(end, cost, (took, first)));
        }
        let usage = used.usage;
        tracing::info!(
            target: "gateway::outcome",
            request_id = &*self.request_id,
            trace_id = self.trace.as_deref().and_then(|it| it.get(3..35)),
            path = self.path,
            client = &*self.client,
            provider = &*self.provider,
            model = &*self.model,
            rule = self.rule.as_str(),
            stream = self.stream,
            epoch = self.app.epoch,
            outcome,
            finish = self.finish,
            attempts = self.attempts,
            cache = self.cache.map(Cached::as_str),
            passed_by = steps(&self.steps),
            prompt_tokens = usage.prompt(),
            completion_tokens = usage.completion(),
            usage_known = self.usage.is_some(),
            usage_estimated = used.is_estimated,
            cost_nano_dollars = cost.map(|cost| cost.0),
            first_output_ms = first.map(console::milliseconds),
            duration_ms = console::milliseconds(took),
            upstream_request_id = self.upstream_request_id.as_deref(),
            upstream_status = error.and_then(GatewayError::upstream_status),
            error = error.map(tracing::field::display),
            cause = error.and_then(|error| error.source()).map(tracing::field::display),
        );
    }

    /// Settles what was taken of limits, and writes down what was used.
    fn account(&mut self, outcome: &'static str, used: &Used, cost: Option<NanoDollars>) {
        if let Some(taken) = self.taken.take() {
            taken.settle(used.usage.total(), cost.unwrap_or_default());
        }
        if let Some(row) = self.row.take() {
            let (usage, estimated) = (used.usage, used.is_estimated);
            self.app.control.usage.close(row, RequestResult { outcome, usage, cost, estimated });
        }
    }

    /// The end, as those who watch see it.
    fn ended(
        &self,
        end: StreamEnd<'_>,
        cost: Option<NanoDollars>,
        (took, first): (Duration, Option<Duration>),
    ) -> EndedRequest {
        let error = if let StreamEnd::Failed(error) = end { Some(error) } else { None };
        EndedRequest {
            outcome: word(end),
            finish: self.finish,
            attempts: self.attempts,
            prompt_tokens: self.usage.as_ref().map(Usage::prompt),
            completion_tokens: self.usage.as_ref().map(Usage::completion),
            cost_usd: cost.map(NanoDollars::dollars),
            first_output_ms: first.map(console::milliseconds),
            duration_ms: console::milliseconds(took),
            error: error.map(|error| error.message().into()),
        }
    }

    /// What the answer took, as its provider says, or as far as it was seen.
    fn used(&self, end: StreamEnd<'_>) -> Used {
        let is_complete = matches!(end, StreamEnd::Complete);
        // That an answer took nothing is no answer to what it took.
        match self.usage.filter(|usage| usage.prompt() > 0 || usage.completion() > 0) {
            Some(usage) if is_complete => Used { usage, is_estimated: false },
            // What the provider said before the end is what it knew then.
            Some(usage) => {
                let unseen = self.outputs.saturating_sub(usage.completion());
                let output = usage.output.saturating_add(unseen);
                Used { usage: Usage { output, ..usage }, is_estimated: true }
            }
            None if self.has_begun => {
                let input = self.input.tokens();
                let usage = Usage { input, output: self.outputs, ..Usage::default() };
                Used { usage, is_estimated: true }
            }
            None => Used { usage: Usage::default(), is_estimated: false },
        }
    }

    fn price(&self) -> Option<Price> {
        self.app.control.price(&self.provider, self.card.as_deref())
    }
}

/// How an answer ended, in the words of logs and metrics.
fn word(end: StreamEnd<'_>) -> &'static str {
    match end {
        StreamEnd::Complete => "ok",
        StreamEnd::Failed(error) => error.kind().as_str(),
        StreamEnd::Cancelled => "client_cancelled",
    }
}

/// What a request took.
#[derive(Clone, Copy)]
struct Used {
    usage: Usage,
    /// Nobody has said so.
    is_estimated: bool,
}

/// The model as a label: one that is not catalogued has whatever name the caller made up.
fn label(card: Option<&Arc<ModelCard>>) -> Arc<str> {
    card.map_or("other", |card| &card.id).into()
}

/// Who did not answer, and why, in one line; absent if there is nobody.
fn steps(steps: &[Attempt]) -> Option<String> {
    let told =
        steps.iter().map(|step| format!("{}/{}:{}", step.provider, step.model, step.outcome));
    (!steps.is_empty()).then(|| told.collect::<Vec<_>>().join(" "))
}

impl StreamObserver for Outcome {
    fn on_chunk(&mut self, chunk: &Chunk) {
        if let Some(live) = &self.live {
            live.chunk(chunk.output);
        }
        if let Some(meta) = &chunk.meta {
            self.learn(meta);
        }
        if chunk.output {
            self.outputs = self.outputs.saturating_add(1);
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
        self.tell(end);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.tell(StreamEnd::Cancelled);
    }
}
