//! A span for each operation on the store that a request waits for.

use super::{Tracing, attributes, current};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _},
};

/// An operation under way; a span only if it works for one.
#[derive(Debug)]
pub struct StoreSpan(Option<Context>);

impl Tracing {
    /// Begins an operation on such a `system`. What happens on nobody's behalf has no span.
    pub fn store(&self, operation: &'static str, system: &'static str) -> StoreSpan {
        StoreSpan(current().map(|within| {
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
    /// The operation has ended, perhaps with a failure of this code.
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
