//! A call of an upstream, behind a circuit and within deadlines, and the calls after it.

use crate::{
    attempt_log::StartedResponse,
    circuit_breaker::ModelCircuits,
    deadlines::{self, DeadlineLimits, StreamDeadlines},
    model_circuit::CircuitPermit,
    replay::{AttemptFuture, NextAttempt, StartedAttempt},
    retry::RetryState,
};
use futures_util::Stream;
use gateway_core::{
    Chunk, ChunkStream, Context as RequestContext, EmbeddingCall, EmbeddingResult, GatewayError,
    Provider, ProviderRequest, ProviderResponse, ResponseMeta, Result, StreamEnd, Target,
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{self, Instant};

/// The stages that each call passes anew.
pub(crate) struct Stages {
    pub(crate) inner: Arc<dyn Provider>,
    pub(crate) circuits: Option<ModelCircuits>,
    pub(crate) deadlines: Option<DeadlineLimits>,
}

/// The chunks of one call; the first failure or deadline ends them.
pub(crate) struct AttemptStream {
    /// Absent once the end has come, one way or the other.
    chunks: Option<ChunkStream>,
    deadlines: Option<StreamDeadlines>,
    permit: Option<CircuitPermit>,
}

impl Stages {
    /// Calls the provider once.
    pub(crate) async fn call(
        &self,
        mut call: ProviderRequest,
    ) -> Result<(ResponseMeta, AttemptStream)> {
        let now = Instant::now();
        let permit = self.admit(&call.target, &call.context, now)?;
        if let Some(permit) = &permit {
            call.context.breaker.half_open_probe |= permit.probe;
        }
        match self.begin(call, now).await {
            Ok((ProviderResponse { meta, chunks }, deadlines)) => {
                Ok((meta, AttemptStream { chunks: Some(chunks), deadlines, permit }))
            }
            Err(error) => Err(match permit {
                Some(permit) => permit.failed(error),
                None => error,
            }),
        }
    }

    /// Waits for the response to begin, as long as the deadlines say.
    async fn begin(
        &self,
        call: ProviderRequest,
        now: Instant,
    ) -> Result<(ProviderResponse, Option<StreamDeadlines>)> {
        let Some(limits) = self.deadlines else {
            return Ok((self.inner.generate(call).await?, None));
        };
        let (head, total) = limits.of(&call);
        let model = Arc::clone(&call.target.model);
        match time::timeout_at(now + head, self.inner.generate(call)).await {
            Ok(response) => Ok((response?, Some(StreamDeadlines::new(limits, now + total)))),
            Err(_) => Err(deadlines::missing_head(self.inner.id(), model)),
        }
    }
}

impl Stages {
    /// Counts the tokens of a request once, with the deadline of a response head. A provider without
    /// token counting does not affect its circuit.
    pub(crate) async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        let permit = self.admit(&call.target, &call.context, Instant::now())?;
        let model = Arc::clone(&call.target.model);
        let limit = self.deadlines.map(|limits| limits.first_byte);
        let counted = self.within(limit, model, self.inner.count_tokens(call)).await;
        match (counted, permit) {
            (Err(error), Some(permit)) => Err(permit.failed(error)),
            (Ok(Some(tokens)), Some(permit)) => {
                permit.succeeded();
                Ok(Some(tokens))
            }
            (counted, _) => counted,
        }
    }

    /// Computes embeddings once.
    pub(crate) async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        let permit = self.admit(&call.target, &call.context, Instant::now())?;
        let model = Arc::clone(&call.target.model);
        let limit = self.deadlines.map(|limits| limits.total);
        let embedded = self.within(limit, model, self.inner.embed(call)).await;
        match (embedded, permit) {
            (Err(error), Some(permit)) => Err(permit.failed(error)),
            (Ok(embedded), Some(permit)) => {
                permit.succeeded();
                Ok(embedded)
            }
            (embedded, None) => embedded,
        }
    }

    fn admit(
        &self,
        target: &Target,
        context: &RequestContext,
        now: Instant,
    ) -> Result<Option<CircuitPermit>> {
        match &self.circuits {
            Some(circuits) => circuits.admit(target, context, now),
            None => Ok(None),
        }
    }

    async fn within<T>(
        &self,
        limit: Option<Duration>,
        model: Arc<str>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(limit) = limit else { return work.await };
        let done = time::timeout(limit, work).await;
        done.unwrap_or_else(|_| Err(deadlines::missing_head(self.inner.id(), model)))
    }
}

impl AttemptStream {
    /// Ends the stream, and records what that says of the upstream.
    fn end(&mut self, end: StreamEnd<'_>) {
        self.chunks = None;
        if let Some(permit) = self.permit.take() {
            permit.ended(end);
        }
    }
}

impl Stream for AttemptStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let Some(chunks) = &mut self.chunks else { return Poll::Ready(None) };
        let error = match chunks.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                if let Some(deadlines) = &mut self.deadlines {
                    deadlines.record(&chunk);
                }
                return Poll::Ready(Some(Ok(chunk)));
            }
            Poll::Ready(Some(Err(error))) => error,
            Poll::Ready(None) => {
                self.end(StreamEnd::Complete);
                return Poll::Ready(None);
            }
            Poll::Pending => {
                let Some(deadlines) = &mut self.deadlines else { return Poll::Pending };
                ready!(deadlines.poll(cx))
            }
        };
        self.end(StreamEnd::Failed(&error));
        Poll::Ready(Some(Err(error)))
    }
}

/// A request whose response has produced no output yet, and may be sent again.
pub(crate) struct RepeatedCall {
    stages: Arc<Stages>,
    state: RetryState,
    call: ProviderRequest,
    started: StartedResponse,
}

impl RepeatedCall {
    pub(crate) fn new(stages: Arc<Stages>, state: RetryState, call: ProviderRequest) -> Self {
        Self { stages, state, call, started: StartedResponse::default() }
    }

    /// Sends the request until a response begins or no attempt is left.
    pub(crate) async fn send(&mut self) -> Result<(ResponseMeta, AttemptStream)> {
        loop {
            self.call.context.attempts = self.state.calls_left();
            match self.stages.call(self.call.clone()).await {
                Ok((meta, chunks)) => {
                    self.started = StartedResponse::of(&meta);
                    return Ok((self.state.attempt_log.attach_to_meta(meta), chunks));
                }
                Err(error) if !self.call.is_repeatable() => return Err(self.state.give_up(error)),
                Err(error) => self.state.backoff(error).await?,
            }
        }
    }
}

impl NextAttempt for Box<RepeatedCall> {
    type Chunks = AttemptStream;

    fn next_attempt(mut self, error: GatewayError) -> AttemptFuture<Self> {
        Box::pin(async move {
            let error = self.started.attribute(error);
            if !self.call.is_repeatable() {
                return Err(self.state.give_up(error));
            }
            self.state.backoff(error).await?;
            let (meta, chunks) = self.send().await?;
            Ok(StartedAttempt { next: self, meta, chunks })
        })
    }
}
