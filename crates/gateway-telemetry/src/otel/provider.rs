//! A span and measurements for each attempt at a provider.

use super::{
    OtelPipeline, attributes, content, instruments::CallMeasurements, parent, traceparent,
};
use async_trait::async_trait;
use gateway_core::{
    Chunk, Collector, Context as RequestContext, EmbeddingCall, EmbeddingResult, GatewayError,
    Inspection, Provider, ProviderLayer, ProviderRequest, ProviderResponse, Result, StreamEnd,
    StreamEvent, StreamObserver, Target, Usage, observe,
};
use opentelemetry::{
    Array, Context, KeyValue, StringValue, Value,
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use std::sync::Arc;
use tokio::time::Instant;

/// A provider layer that records each attempt as a span.
pub(super) struct TracedProvider {
    inner: Arc<dyn Provider>,
    tracing: Arc<OtelPipeline>,
}

impl TracedProvider {
    pub(super) fn new(inner: Arc<dyn Provider>, tracing: Arc<OtelPipeline>) -> Self {
        Self { inner, tracing }
    }

    /// Starts the span of an attempt and passes its context to the provider.
    fn begin(
        &self,
        operation: &'static str,
        target: &Target,
        context: &mut RequestContext,
    ) -> AttemptSpan {
        let parent_context = parent(context.traceparent.as_deref(), context.tracestate.as_deref());
        // The name of an uncatalogued model is the caller's text: it goes into the span, and never
        // into the labels of metrics.
        let known = target.card.as_ref().map_or("other", |card| &card.id);
        let provider = attributes::provider(self.inner.id()).to_owned();
        let mut attributes = vec![
            KeyValue::new(attributes::OPERATION, operation),
            KeyValue::new(attributes::PROVIDER, provider),
        ];
        let mut labels = attributes.clone();
        labels.push(KeyValue::new(attributes::REQUEST_MODEL, known.to_owned()));
        attributes.push(KeyValue::new(attributes::REQUEST_MODEL, target.model.to_string()));
        let tracer = &self.tracing.tracer;
        let span = tracer
            .span_builder(format!("{operation} {}", target.model))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        let span = parent_context.with_span(tracer.build_with_context(span, &parent_context));
        context.traceparent = Some(traceparent(span.span().span_context()).into());
        AttemptSpan {
            tracing: Arc::clone(&self.tracing),
            span,
            labels,
            began: Instant::now(),
            stream: false,
            first: None,
            usage: None,
            finishes: Vec::new(),
            finished: false,
            content: None,
        }
    }
}

#[async_trait]
impl ProviderLayer for TracedProvider {
    fn inner(&self) -> &dyn Provider {
        self.inner.as_ref()
    }

    async fn generate(&self, mut call: ProviderRequest) -> Result<ProviderResponse> {
        let target = call.target.clone();
        let operation = if call.relayed().is_some() { "passthrough" } else { "chat" };
        let mut attempt = self.begin(operation, &target, &mut call.context);
        attempt.stream = call.stream;
        if self.tracing.content {
            call.inspection = Inspection::Full;
            if let Ok(request) = call.request() {
                let input_messages =
                    KeyValue::new(attributes::INPUT, content::input_messages(request));
                attempt.span.span().add_event(attributes::DETAILS, vec![input_messages]);
            }
            attempt.content = Some(Box::default());
        }
        match self.inner.generate(call).await {
            Ok(mut answer) => {
                answer.chunks = observe(answer.chunks, Box::new(attempt));
                Ok(answer)
            }
            Err(error) => {
                attempt.finish(StreamEnd::Failed(&error));
                Err(error)
            }
        }
    }

    async fn count_tokens(&self, mut call: ProviderRequest) -> Result<Option<u64>> {
        let target = call.target.clone();
        let mut attempt = self.begin("count_tokens", &target, &mut call.context);
        let counted = self.inner.count_tokens(call).await;
        attempt.finish(counted.as_ref().err().map_or(StreamEnd::Complete, StreamEnd::Failed));
        counted
    }

    async fn embed(&self, mut call: EmbeddingCall) -> Result<EmbeddingResult> {
        let target = call.target.clone();
        let mut attempt = self.begin("embeddings", &target, &mut call.context);
        let embedded = self.inner.embed(call).await;
        attempt.finish(embedded.as_ref().err().map_or(StreamEnd::Complete, StreamEnd::Failed));
        embedded
    }
}

/// An attempt in progress. Dropping it unfinished records a cancellation.
struct AttemptSpan {
    tracing: Arc<OtelPipeline>,
    span: Context,
    labels: Vec<KeyValue>,
    began: Instant,
    stream: bool,
    first: Option<Instant>,
    usage: Option<Usage>,
    finishes: Vec<&'static str>,
    finished: bool,
    /// The collected output, if content is recorded.
    content: Option<Box<Collector>>,
}

impl AttemptSpan {
    fn finish(&mut self, end: StreamEnd<'_>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let error = match end {
            StreamEnd::Complete => None,
            StreamEnd::Failed(error) => Some(error.kind().as_str()),
            StreamEnd::Cancelled => Some("client_cancelled"),
        };
        let first = self.first.filter(|_| self.stream);
        let measured = CallMeasurements {
            took: self.began.elapsed(),
            first: first.map(|at| at.duration_since(self.began)),
            tokens: self.usage.map(|usage| (usage.prompt(), usage.completion())),
        };
        self.tracing.instruments.record(&self.labels, measured, error);
        self.set_attributes(measured, error);
        if let StreamEnd::Failed(error) = end {
            self.set_failure(error);
        }
        self.span.span().end();
    }

    fn set_attributes(&mut self, measured: CallMeasurements, error: Option<&'static str>) {
        let span = self.span.span();
        if let Some((read, written)) = measured.tokens {
            let number = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
            span.set_attribute(KeyValue::new(attributes::INPUT_TOKENS, number(read)));
            span.set_attribute(KeyValue::new(attributes::OUTPUT_TOKENS, number(written)));
        }
        if !self.finishes.is_empty() {
            let finishes: Vec<StringValue> = self.finishes.iter().map(|it| (*it).into()).collect();
            let finishes = Value::Array(Array::String(finishes));
            span.set_attribute(KeyValue::new(attributes::FINISH_REASONS, finishes));
        }
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(attributes::ERROR_TYPE, error));
        }
        if let Some(content) = self.content.take() {
            let content =
                KeyValue::new(attributes::OUTPUT, content::output_messages(&content.finish()));
            span.add_event(attributes::DETAILS, vec![content]);
        }
    }

    /// Marks the span as failed. A disconnected caller is no failure of the provider's.
    fn set_failure(&self, error: &GatewayError) {
        let span = self.span.span();
        if let Some(status) = error.upstream_status() {
            span.set_attribute(KeyValue::new(attributes::HTTP_STATUS, i64::from(status)));
        }
        span.set_status(Status::error(""));
    }
}

impl StreamObserver for AttemptSpan {
    fn on_chunk(&mut self, chunk: &Chunk) {
        if chunk.output && self.first.is_none() {
            self.first = Some(Instant::now());
        }
        if let Some(content) = &mut self.content {
            content.extend(chunk.events.iter().cloned());
        }
        for event in &chunk.events {
            if let StreamEvent::Usage(usage) = event {
                self.usage = Some(*usage);
            } else if let StreamEvent::Finished(finish) = event {
                self.finishes.push(finish.reason.as_str());
            } else if let StreamEvent::Started(started) = event {
                let span = self.span.span();
                let told = [
                    (attributes::RESPONSE_ID, &started.id),
                    (attributes::RESPONSE_MODEL, &started.model),
                ];
                for (name, value) in told {
                    if let Some(value) = value {
                        span.set_attribute(KeyValue::new(name, value.clone()));
                    }
                }
            }
        }
    }

    fn on_end(mut self: Box<Self>, end: StreamEnd<'_>) {
        self.finish(end);
    }
}

impl Drop for AttemptSpan {
    fn drop(&mut self) {
        self.finish(StreamEnd::Cancelled);
    }
}
