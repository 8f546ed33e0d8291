//! The resilient provider: everything that protects the calls of an upstream, in one order and one
//! future.
//!
//! ```text
//! shutdown > concurrency > retry > circuit breaker > deadlines > the provider
//! ```
//!
//! Each stage is a part that may be absent; none is a provider of its own, so that a request costs
//! one future and one stream, however many stages it passes. What stands between two of them (the
//! credentials of a provider in turn, instrumentation) is a provider between two such providers.

use crate::{
    CircuitBreakerConfig, DeadlineLimits, RetryObserver, RetryPolicy,
    attempt::{RepeatedCall, Stages},
    bulkhead::{Bulkhead, Slot},
    circuit_breaker::ModelCircuits,
    replay::RetryStream,
    retry::{Retries, RetryState},
    shutdown::{ShutdownWatch, until_shutdown},
};
use async_trait::async_trait;
use futures_util::{Stream, StreamExt as _};
use gateway_core::{
    Chunk, EmbeddingCall, EmbeddingResult, PlannedAttempt, Provider, ProviderLayer,
    ProviderRequest, ProviderResponse, Result, Target, UnavailableReason,
};
use gateway_tasks::failpoint;
use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio_util::sync::CancellationToken;

/// A provider with the stages that protect its calls. Without any it adds nothing.
pub struct ResilientProvider {
    stages: Arc<Stages>,
    shutdown: Option<CancellationToken>,
    bulkhead: Option<Bulkhead>,
    retries: Option<Arc<Retries>>,
}

impl ResilientProvider {
    /// Wraps `inner`, for now without a stage.
    pub fn new(inner: Arc<dyn Provider>) -> Self {
        let stages = Stages { inner, circuits: None, deadlines: None };
        Self { stages: Arc::new(stages), shutdown: None, bulkhead: None, retries: None }
    }

    /// Ends open responses with an error when `shutdown` is cancelled.
    #[must_use]
    pub fn ending_with(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Limits the requests at one time to `slots`; a few more wait briefly in a queue. A slot is
    /// held until the response has ended.
    #[must_use]
    pub fn with_concurrency(mut self, slots: usize) -> Self {
        self.bulkhead = Some(Bulkhead::new(slots));
        self
    }

    /// Retries requests that fail before their first output. `random` returns numbers from 0 to 1;
    /// `observer` is called for every attempt after the first.
    #[must_use]
    pub fn with_retries(
        mut self,
        policy: RetryPolicy,
        random: fn() -> f64,
        observer: Option<RetryObserver>,
    ) -> Self {
        self.retries = Some(Arc::new(Retries::new(policy, random, observer)));
        self
    }

    /// Rejects requests while the circuit of their model is open or cooling down.
    #[must_use]
    pub fn with_circuit_breaker(self, config: CircuitBreakerConfig) -> Self {
        let circuits = Some(ModelCircuits::new(self.stages.inner.id(), config));
        self.with_stages(|stages| Stages { circuits, ..stages })
    }

    /// Enforces deadlines: when one passes, the upstream request is cancelled.
    #[must_use]
    pub fn with_deadlines(self, limits: DeadlineLimits) -> Self {
        self.with_stages(|stages| Stages { deadlines: Some(limits), ..stages })
    }

    fn with_stages(self, change: impl FnOnce(Stages) -> Stages) -> Self {
        let Self { stages, shutdown, bulkhead, retries } = self;
        // No request holds them yet.
        let stages = match Arc::try_unwrap(stages) {
            Ok(stages) => Arc::new(change(stages)),
            Err(stages) => stages,
        };
        Self { stages, shutdown, bulkhead, retries }
    }

    async fn slot(&self) -> Result<Option<Slot>> {
        match &self.bulkhead {
            Some(bulkhead) => Ok(Some(bulkhead.acquire(self.stages.inner.id()).await?)),
            None => Ok(None),
        }
    }

    /// Waits for the response to begin, at most as long as its stages let it.
    async fn begin(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let slot = self.slot().await?;
        let (meta, chunks) = if let Some(retries) = &self.retries {
            let state = RetryState::new(retries, call.context.attempts, false);
            let stages = Arc::clone(&self.stages);
            let mut repeated = Box::new(RepeatedCall::new(stages, state, call));
            let (meta, chunks) = repeated.send().await?;
            (meta, RetryStream::new(chunks, repeated))
        } else {
            let (meta, chunks) = self.stages.call(call).await?;
            (meta, RetryStream::without_retries(chunks))
        };
        let shutdown = self.shutdown.clone().map(ShutdownWatch::new);
        let chunks = ResilientStream { chunks: Some(chunks), shutdown, _slot: slot };
        Ok(ProviderResponse { meta, chunks: Box::pin(chunks) })
    }

    async fn count(&self, mut call: ProviderRequest) -> Result<Option<u64>> {
        let _slot = self.slot().await?;
        let Some(retries) = &self.retries else { return self.stages.count_tokens(call).await };
        let mut state = RetryState::new(retries, call.context.attempts, true);
        loop {
            call.context.attempts = state.calls_left();
            match self.stages.count_tokens(call.clone()).await {
                Ok(counted) => return Ok(counted),
                Err(error) => state.backoff(error).await?,
            }
        }
    }

    async fn compute(&self, mut call: EmbeddingCall) -> Result<EmbeddingResult> {
        let _slot = self.slot().await?;
        let Some(retries) = &self.retries else { return self.stages.embed(call).await };
        let mut state = RetryState::new(retries, call.context.attempts, true);
        loop {
            call.context.attempts = state.calls_left();
            match self.stages.embed(call.clone()).await {
                Ok(embedded) => {
                    let meta = state.attempt_log.attach_to_meta(embedded.meta);
                    return Ok(EmbeddingResult { meta, ..embedded });
                }
                Err(error) => state.backoff(error).await?,
            }
        }
    }
}

#[async_trait]
impl ProviderLayer for ResilientProvider {
    fn inner(&self) -> &dyn Provider {
        self.stages.inner.as_ref()
    }

    fn unavailability(&self, target: &Target) -> Option<UnavailableReason> {
        match &self.stages.circuits {
            Some(circuits) => circuits.unavailability(target),
            None => self.inner().unavailability(target),
        }
    }

    async fn plan(&self, call: &ProviderRequest) -> Vec<PlannedAttempt> {
        let mut planned = self.inner().plan(call).await;
        if let Some(circuits) = &self.stages.circuits {
            circuits.annotate(&mut planned, &call.target, &call.context);
        }
        planned
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        until_shutdown(self.shutdown.as_ref(), pin!(self.begin(call))).await
    }

    async fn count_tokens(&self, call: ProviderRequest) -> Result<Option<u64>> {
        until_shutdown(self.shutdown.as_ref(), pin!(self.count(call))).await
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        until_shutdown(self.shutdown.as_ref(), pin!(self.compute(call))).await
    }
}

impl fmt::Debug for ResilientProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResilientProvider")
            .field("inner", &self.inner().id())
            .field("deadlines", &self.stages.deadlines)
            .finish_non_exhaustive()
    }
}

/// The chunks of a response that holds its slot and ends at shutdown.
struct ResilientStream {
    /// Absent once the end has come, one way or the other.
    chunks: Option<RetryStream<Box<RepeatedCall>>>,
    shutdown: Option<ShutdownWatch>,
    _slot: Option<Slot>,
}

impl Stream for ResilientStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let this = &mut *self;
        let Some(chunks) = &mut this.chunks else { return Poll::Ready(None) };
        failpoint("model_stream");
        let polled = chunks.poll_next_unpin(cx);
        if polled.is_ready() {
            return polled;
        }
        let Some(shutdown) = &mut this.shutdown else { return Poll::Pending };
        let error = ready!(shutdown.poll(cx));
        this.chunks = None;
        Poll::Ready(Some(Err(error)))
    }
}
