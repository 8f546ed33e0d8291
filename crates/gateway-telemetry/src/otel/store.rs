//! A span for each store operation that a request waits for.

use super::{OtelPipeline, attributes, current_context};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _},
};

/// The span of an operation; empty outside a traced request.
#[derive(Debug)]
pub struct StoreSpan(Option<Context>);

impl OtelPipeline {
    /// Starts the span of an operation on the backend `system`, if a traced request waits for it.
    pub fn store(&self, operation: &'static str, system: &'static str) -> StoreSpan {
        StoreSpan(current_context().map(|within| {
            let span = self
                .tracer
                .span_builder(format!("store.{operation}"))
                .with_kind(SpanKind::Client)
                .with_attributes([
                    KeyValue::new(attributes::DB_OPERATION, operation),
                    KeyValue::new(attributes::DB_SYSTEM, system),
                ]);
            within.with_span(self.tracer.build_with_context(span, &within))
        }))
    }
}

impl StoreSpan {
    /// Ends the span, with an error code if the operation failed.
    pub fn end(self, error: Option<&str>) {
        let Some(context) = self.0 else { return };
        let span = context.span();
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(attributes::ERROR_TYPE, error.to_owned()));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}
