//! A span for each tool call.

use super::{OtelPipeline, attributes, parent, traceparent};
use async_trait::async_trait;
use gateway_core::{Json, ToolCall, ToolContext, ToolError, ToolSpec, Tools};
use opentelemetry::{
    Context, KeyValue,
    context::FutureExt as _,
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use std::sync::Arc;

/// A wrapper around tools that records each call as a span.
pub(super) struct TracedTools {
    inner: Arc<dyn Tools>,
    tracing: Arc<OtelPipeline>,
}

impl TracedTools {
    pub(super) fn new(inner: Arc<dyn Tools>, tracing: Arc<OtelPipeline>) -> Self {
        Self { inner, tracing }
    }

    fn begin(&self, call: &ToolCall, context: &ToolContext) -> Context {
        // An unknown name is the model's text and must not become a span name.
        let known = self.inner.spec(&call.name).is_some();
        let name = if known { call.name.clone() } else { "unknown".to_owned() };
        let within = parent(context.traceparent.as_deref(), context.tracestate.as_deref());
        let tracer = &self.tracing.tracer;
        let span =
            tracer.span_builder(format!("execute_tool {name}")).with_kind(SpanKind::Internal);
        let facts = [
            KeyValue::new(attributes::OPERATION, "execute_tool"),
            KeyValue::new(attributes::TOOL_NAME, name),
            KeyValue::new(attributes::TOOL_TYPE, "extension"),
        ];
        // Calls made through the tools endpoint may have no id.
        let id = Some(call.id.clone()).filter(|id| !id.is_empty());
        let id = id.map(|id| KeyValue::new(attributes::TOOL_CALL, id));
        let span = span.with_attributes(facts.into_iter().chain(id));
        within.with_span(tracer.build_with_context(span, &within))
    }
}

#[async_trait]
impl Tools for TracedTools {
    fn specs(&self) -> Vec<Arc<ToolSpec>> {
        self.inner.specs()
    }

    fn spec(&self, name: &str) -> Option<Arc<ToolSpec>> {
        self.inner.spec(name)
    }

    fn recognizes(&self, described: &ToolSpec) -> bool {
        self.inner.recognizes(described)
    }

    async fn run(&self, call: &ToolCall, context: &ToolContext) -> Result<Json, ToolError> {
        let span = self.begin(call, context);
        let mut context = context.clone();
        context.traceparent = Some(traceparent(span.span().span_context()).into());
        let result = self.inner.run(call, &context).with_context(span.clone()).await;
        if let Err(error) = &result {
            span.span().set_attribute(KeyValue::new(attributes::ERROR_TYPE, error.code.as_str()));
            span.span().set_status(Status::error(""));
        }
        span.span().end();
        result
    }
}
