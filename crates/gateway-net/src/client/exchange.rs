//! A request and its response: which connection it takes, and what becomes of it.

use super::{
    body::{BufferedBody, ResponseBody},
    connector::{Connector, NewConnection},
    error::{ExchangeError, SettingsError},
    h1::{ConnectionLost, HeadParser, Http1Body, Http1Connection},
    host::Origin,
    http2::{Http2Failure, Http2Sender},
    pool::Pool,
    request::{BodyLength, RequestTemplate},
    response::UpstreamResponse,
    settings::ClientSettings,
    stream::UpstreamStream,
    upload::UploadBody,
};
use bytes::Bytes;
use gateway_core::MemoryBudget;
use http::{HeaderMap, Method, Request, Response, Uri};
use std::{fmt, future::poll_fn, sync::Arc, time::Duration};

/// The maximum size of a response that [`HttpClient::exchange`] reads.
const MAX_EXCHANGE_BYTES: usize = 64 << 10;

/// A client with connections of its own. Clones share them.
#[derive(Clone)]
pub struct HttpClient(Arc<Client>);

/// A request to be written: what is the same for its endpoint, its body, and what is called when it
/// begins to be written.
#[derive(Clone, Copy)]
struct OutgoingRequest<'a> {
    template: &'a RequestTemplate,
    body: &'a [Bytes],
    on_write: &'a (dyn Fn(WriteAttempt) + Sync),
    attempt: WriteAttempt,
}

/// The attempt at which a request begins to be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteAttempt {
    /// No connection has taken the request before.
    First,
    /// A connection that had taken the request was closed without an answer.
    Repeated,
}

struct Client {
    pool: Arc<Pool>,
    connector: Connector,
    /// The time for the head of a response, from its first byte to its last.
    head_limit: Duration,
    memory: Arc<MemoryBudget>,
}

impl HttpClient {
    /// Returns a client without connections.
    ///
    /// # Errors
    ///
    /// If one of the extra roots is not a certificate.
    pub fn new(settings: &ClientSettings) -> Result<Self, SettingsError> {
        Ok(Self(Arc::new(Client {
            pool: Pool::new(settings),
            connector: Connector::new(settings)?,
            head_limit: settings.connect_timeout,
            memory: Arc::clone(&settings.memory),
        })))
    }

    /// Returns the memory for responses that are held whole.
    pub fn memory(&self) -> &Arc<MemoryBudget> {
        &self.0.memory
    }

    /// Prepares what is the same in every request of `method` to `uri`.
    ///
    /// # Errors
    ///
    /// If `uri` is not an absolute address of HTTP.
    pub fn prepare(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
    ) -> Result<RequestTemplate, ExchangeError> {
        let origin = Origin::of(&uri).ok_or(ExchangeError::Address)?;
        Ok(RequestTemplate::new(self.0.pool.host(origin), method, uri, headers))
    }

    /// Sends a request with `extra` fields, which replace those of the same name in the template,
    /// and waits for the head of the response.
    ///
    /// A reused connection that is closed before a byte of the response came is replaced once by a new
    /// one, on which the request is sent again. On a new connection nothing is sent twice.
    ///
    /// # Errors
    ///
    /// If there is no connection, it ends before the head of a response, or what comes is no HTTP.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection, or ends the stream of HTTP/2.
    pub async fn send<'a>(
        &self,
        template: &RequestTemplate,
        extra: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        body: &[Bytes],
    ) -> Result<UpstreamResponse, ExchangeError> {
        self.send_reporting(template, extra, body, &|_| {}).await
    }

    /// Sends a request as [`send`](Self::send) does, and calls `on_write` when it begins to be
    /// written: from then on the upstream may have it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_reporting<'a>(
        &self,
        template: &RequestTemplate,
        extra: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        body: &[Bytes],
        on_write: &(dyn Fn(WriteAttempt) + Sync),
    ) -> Result<UpstreamResponse, ExchangeError> {
        let host = template.host();
        let attempt = WriteAttempt::First;
        let mut request = OutgoingRequest { template, body, on_write, attempt };
        // What is boxed is rare, or large: it takes no room in the future of a request that goes over
        // a connection that is there.
        if let Some(sender) = host.http2() {
            on_write(attempt);
            match Box::pin(send_http2(sender, template, extra.clone(), body.to_vec())).await {
                Err(Http2Failure::NotSent) => {}
                Err(Http2Failure::Failed(error)) => return Err(error),
                Ok(response) => return Ok(response),
            }
        } else if let Some(stream) = host.check_out() {
            match self.send_http1(stream, request, extra.clone()).await {
                Err(lost) if lost.is_unanswered() => request.attempt = WriteAttempt::Repeated,
                response => return response.map_err(Into::into),
            }
        }
        Box::pin(self.send_on_new_connection(request, extra)).await
    }

    async fn send_on_new_connection<'a>(
        &self,
        request: OutgoingRequest<'_>,
        extra: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<UpstreamResponse, ExchangeError> {
        let OutgoingRequest { template, body, on_write, attempt } = request;
        let host = template.host();
        match self.0.connector.connect(&host.origin).await? {
            NewConnection::Http1(stream) => {
                self.send_http1(stream, request, extra).await.map_err(Into::into)
            }
            NewConnection::Http2(stream) => {
                let sender = Http2Sender::handshake(stream).await?;
                host.share(sender.clone());
                on_write(attempt);
                let sent = send_http2(sender, template, extra, body.to_vec()).await;
                sent.map_err(Http2Failure::into_error)
            }
        }
    }

    /// Sends a request whose body is sent while it comes, over a connection of its own: what was sent of
    /// it cannot be sent again. Calls `on_write` when it begins to be written.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), or if the body fails.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_upload<'a>(
        &self,
        template: &RequestTemplate,
        extra: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        body: UploadBody,
        on_write: &(dyn Fn(WriteAttempt) + Sync),
    ) -> Result<UpstreamResponse, ExchangeError> {
        let host = template.host();
        let sender = match host.http2() {
            Some(sender) => sender,
            None => match self.0.connector.connect(&host.origin).await? {
                NewConnection::Http1(stream) => {
                    on_write(WriteAttempt::First);
                    let sent = self.upload_http1(stream, template, extra, body).await;
                    return sent.map_err(Into::into);
                }
                NewConnection::Http2(stream) => {
                    let sender = Http2Sender::handshake(stream).await?;
                    host.share(sender.clone());
                    sender
                }
            },
        };
        on_write(WriteAttempt::First);
        send_http2(sender, template, extra, body).await.map_err(Http2Failure::into_error)
    }

    async fn upload_http1<'a>(
        &self,
        stream: UpstreamStream,
        template: &RequestTemplate,
        extra: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        body: UploadBody,
    ) -> Result<UpstreamResponse, ConnectionLost> {
        let mut connection = Box::new(Http1Connection::new(stream, Arc::clone(template.host())));
        let mut parser = HeadParser::new(false, self.0.head_limit);
        let mut body = Some(body);
        let (parsed, start) = poll_fn(|cx| {
            if let Some(body) = body.take() {
                let chunked = BodyLength::Chunked;
                let write = |out: &mut Vec<u8>| template.write_head(out, extra.clone(), chunked);
                connection.start_upload(cx, write, body);
            }
            connection.poll_head(cx, &mut parser)
        })
        .await?;
        let body = Http1Body::new(connection, parsed.body, parsed.keep_alive, start);
        Ok(UpstreamResponse { head: parsed.head, body: ResponseBody::http1(body) })
    }

    async fn send_http1<'a>(
        &self,
        stream: UpstreamStream,
        request: OutgoingRequest<'_>,
        extra: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<UpstreamResponse, ConnectionLost> {
        let OutgoingRequest { template, body, on_write, attempt } = request;
        let mut connection = Box::new(Http1Connection::new(stream, Arc::clone(template.host())));
        let is_head = *template.method() == Method::HEAD;
        let mut parser = HeadParser::new(is_head, self.0.head_limit);
        let mut is_started = false;
        let (parsed, start) = poll_fn(|cx| {
            if !is_started {
                is_started = true;
                on_write(attempt);
                let length = BodyLength::of(body);
                let write = |out: &mut Vec<u8>| template.write_head(out, extra.clone(), length);
                connection.start(cx, write, body);
            }
            connection.poll_head(cx, &mut parser)
        })
        .await?;
        let head = parsed.head;
        let body = Http1Body::new(connection, parsed.body, parsed.keep_alive, start);
        Ok(UpstreamResponse { head, body: ResponseBody::http1(body) })
    }

    /// Gets `address` and returns the status of the response, whose body is not read.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, or is not an address.
    pub async fn status(&self, address: &str) -> Result<u16, ExchangeError> {
        let uri = address.parse().map_err(|_| ExchangeError::Address)?;
        let template = self.prepare(Method::GET, uri, HeaderMap::new())?;
        Ok(self.send(&template, std::iter::empty(), &[]).await?.head.status.as_u16())
    }

    /// Sends `request` and waits for the whole response, of which 64 KiB at most are read.
    ///
    /// # Errors
    ///
    /// If there is no response, or a longer one.
    pub async fn exchange(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, ExchangeError> {
        let (head, body) = request.into_parts();
        let template = self.prepare(head.method, head.uri, head.headers)?;
        let UpstreamResponse { head, body } =
            self.send(&template, std::iter::empty(), &[body]).await?;
        let mut response = Response::new(body.collect(MAX_EXCHANGE_BYTES).await?);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.to_map();
        Ok(response)
    }
}

async fn send_http2<'a>(
    mut sender: Http2Sender,
    template: &RequestTemplate,
    extra: impl Iterator<Item = (&'a str, &'a str)>,
    body: impl Into<BufferedBody>,
) -> Result<UpstreamResponse, Http2Failure> {
    let (head, body) = sender.send(template, extra, body.into()).await?;
    Ok(UpstreamResponse { head, body: ResponseBody::http2(body) })
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}
