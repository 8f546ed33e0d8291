//! A span for each request, from its head to the last byte of its reply.

use super::{Tracing, attributes, parent, traceparent};
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

impl Tracing {
    /// Answers `request` as `service` does, within a span that is named after `route`.
    pub async fn answer<B, S, F>(
        self: Arc<Self>,
        route: Option<&'static str>,
        mut request: Request<B>,
        service: S,
    ) -> Response<Body>
    where
        S: FnOnce(Request<B>) -> F,
        F: Future<Output = Response<Body>>,
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
        reply.map(|inner| Traced { inner, span }.boxed_unsync())
    }

    /// Begins the span, and puts it in the place of its parent in `headers`, where whatever works
    /// for the request finds it.
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
            // Whoever ends TLS before us tells of it in a span of its own.
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

/// The path of `uri` as far as it is worth telling: paths that mean something are shorter.
fn path(uri: &Uri) -> String {
    uri.path().chars().take(256).collect()
}

/// The body of a reply.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The body of a reply; with its end, the span ends.
struct Traced {
    inner: Body,
    span: Context,
}

impl HttpBody for Traced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // What is done for the stream is done within its span.
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

impl Drop for Traced {
    fn drop(&mut self) {
        self.span.span().end();
    }
}
