//! A span for each request, from its head to the last byte of its response.

use super::{OtelPipeline, attributes, parent, traceparent};
use bytes::Bytes;
use gateway_core::BoxError;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use opentelemetry::{
    Context, KeyValue,
    context::FutureExt as _,
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

impl OtelPipeline {
    /// Calls `service` within a span named after `route`; the span ends with the response body.
    pub async fn answer<B, S, F>(
        self: Arc<Self>,
        route: Option<&'static str>,
        mut request: Request<B>,
        service: S,
    ) -> Response<TracedBody>
    where
        S: FnOnce(Request<B>) -> F,
        F: Future<Output = Response<TracedBody>>,
    {
        let (method, path) = (request.method().clone(), path(request.uri()));
        let span = self.request_span(&method, path, route, request.headers_mut());
        let answering = service(request);
        let reply = answering.with_context(span.clone()).await;
        let status = reply.status();
        span.span()
            .set_attribute(KeyValue::new(attributes::HTTP_STATUS, i64::from(status.as_u16())));
        if status.is_server_error() {
            span.span()
                .set_attribute(KeyValue::new(attributes::ERROR_TYPE, status.as_str().to_owned()));
            span.span().set_status(Status::error(""));
        }
        reply.map(|inner| SpanBody { inner, span }.boxed_unsync())
    }

    /// Starts the span and replaces the parent in `headers` by it, so that everything below becomes
    /// its child.
    fn request_span(
        &self,
        method: &Method,
        path: String,
        route: Option<&'static str>,
        headers: &mut HeaderMap,
    ) -> Context {
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        let caller = parent(text("traceparent"), text("tracestate"));
        let method = if method.as_str().len() > 10 { "_OTHER" } else { method.as_str() };
        let mut attributes = vec![
            KeyValue::new(attributes::HTTP_METHOD, method.to_owned()),
            KeyValue::new(attributes::URL_PATH, path),
            // A proxy that terminates TLS records it in a span of its own.
            KeyValue::new(attributes::URL_SCHEME, "http"),
        ];
        attributes.extend(route.map(|route| KeyValue::new(attributes::HTTP_ROUTE, route)));
        let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let span =
            self.tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(attributes);
        let span = Context::new().with_span(self.tracer.build_with_context(span, &caller));
        if let Ok(value) = HeaderValue::from_str(&traceparent(span.span().span_context())) {
            headers.insert(HeaderName::from_static("traceparent"), value);
        }
        span
    }
}

/// Returns the path of `uri`, truncated: known paths are shorter.
fn path(uri: &Uri) -> String {
    uri.path().chars().take(256).collect()
}

/// The body of a response.
pub type TracedBody = UnsyncBoxBody<Bytes, BoxError>;

/// A response body that ends the span when it is dropped.
struct SpanBody {
    inner: TracedBody,
    span: Context,
}

impl HttpBody for SpanBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Work for the stream belongs to the span.
        let _within = self.span.clone().attach();
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for SpanBody {
    fn drop(&mut self) {
        self.span.span().end();
    }
}
