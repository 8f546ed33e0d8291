//! HTTP/2, through hyper: requests share a connection, which a task of its own drives.

use super::{
    body::BufferedBody,
    error::{ConnectError, ExchangeError},
    request::RequestTemplate,
    response::ResponseHead,
    stream::UpstreamStream,
};
use http::{HeaderName, HeaderValue, Request};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
    rt::Executor as _,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::time::Duration;

/// The interval of HTTP/2 keep-alive pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// The timeout of a keep-alive ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A handle on a shared connection, which ends with its last handle and its last stream.
#[derive(Clone, Debug)]
pub(super) struct Http2Sender(SendRequest<BufferedBody>);

/// A request that was not sent because its connection had ended.
pub(super) enum Http2Failure {
    NotSent,
    Failed(ExchangeError),
}

impl Http2Failure {
    /// The error of a request that cannot be sent over another connection.
    pub(super) fn into_error(self) -> ExchangeError {
        match self {
            Self::NotSent => ExchangeError::Closed(None),
            Self::Failed(error) => error,
        }
    }
}

impl Http2Sender {
    /// Agrees on settings over `stream`, and begins to drive it.
    pub(super) async fn handshake(stream: UpstreamStream) -> Result<Self, ConnectError> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Http2)?;
        TokioExecutor::new().execute(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "HTTP/2 connection to an upstream failed");
            }
        });
        Ok(Self(sender))
    }

    /// Whether another request may be sent.
    pub(super) fn is_usable(&self) -> bool {
        self.0.is_ready()
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send<'a>(
        &mut self,
        template: &RequestTemplate,
        extra: impl Iterator<Item = (&'a str, &'a str)>,
        body: BufferedBody,
    ) -> Result<(ResponseHead, Incoming), Http2Failure> {
        let mut request = Request::new(body);
        *request.method_mut() = template.method().clone();
        *request.uri_mut() = template.uri().clone();
        request.headers_mut().clone_from(template.headers());
        for (name, value) in extra {
            let (name, value) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
            if let (Ok(name), Ok(value)) = (name, value) {
                request.headers_mut().insert(name, value);
            }
        }
        match self.0.try_send_request(request).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                Ok((ResponseHead::from_map(head.status, head.headers), body))
            }
            Err(mut error) => Err(match error.take_message() {
                Some(_) => Http2Failure::NotSent,
                None => Http2Failure::Failed(ExchangeError::Http2(error.into_error())),
            }),
        }
    }
}
