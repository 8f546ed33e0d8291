//! The HTTP client for upstreams: one for all providers, so that they share its settings.
//!
//! It follows no redirect, obeys no proxy variable, keeps no cookie and undoes no compression: each
//! of these would send a key, or a bomb, somewhere nobody chose.

mod body;
mod connector;
mod heads;
mod names;
mod watched;

pub use self::body::Pieces;

use self::{
    connector::{Connector, is_handshake},
    heads::Unsound,
    names::Names,
};
use bytes::Bytes;
use gateway_core::{ErrorKind, GatewayError, Result};
use http::{Request, Response, StatusCode, uri::Scheme};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use std::{error::Error as _, fmt, io, sync::Arc, time::Duration};

/// How to connect to upstreams.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// How long a connection may take, TLS included, and the head of an answer once it has begun.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept that has TLS. The gates of clouds close theirs after a
    /// minute.
    pub idle_timeout: Duration,
    /// How long one without is kept. A server that runs by itself (Node's, uvicorn, llama.cpp's)
    /// closes it after five seconds, and what is sent at that moment is lost; to connect anew costs
    /// little nearby.
    pub plain_idle_timeout: Duration,
    /// How many unused connections are kept for each host.
    pub idle_per_host: usize,
    /// Certificate authorities to trust besides the public ones, in DER.
    pub extra_roots: Vec<Vec<u8>>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(50),
            plain_idle_timeout: Duration::from_secs(4),
            idle_per_host: 64,
            extra_roots: Vec::new(),
        }
    }
}

/// How long a name may take at most: then there is time left to connect to what it was before.
const NAME_LIMIT: Duration = Duration::from_secs(2);

/// How much of a head is looked at before more of it is read: one of twice the length is none.
const MAX_HEAD: usize = 64 << 10;

/// Talks to upstreams, over HTTP/1.1 or, where the upstream offers it under TLS, HTTP/2.
#[derive(Clone)]
pub struct HttpClient {
    secure: Client<Connector, Pieces>,
    plain: Client<Connector, Pieces>,
}

impl HttpClient {
    /// A client of its own connections.
    ///
    /// # Errors
    ///
    /// If one of the extra roots is no certificate.
    pub fn new(settings: &ClientSettings) -> Result<Self> {
        let names = Names::of_the_system(NAME_LIMIT.min(settings.connect_timeout / 2));
        let mut http = HttpConnector::new_with_resolver(names);
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(15)));
        http.set_connect_timeout(Some(settings.connect_timeout));
        #[cfg(target_os = "linux")]
        http.set_tcp_user_timeout(Some(Duration::from_secs(30)));
        let tls = tls(&settings.extra_roots)?;
        let connector = Connector::new(http, tls, settings.connect_timeout);
        let keeping = |idle_timeout| {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(idle_timeout)
                .pool_max_idle_per_host(settings.idle_per_host)
                .http1_max_headers(100)
                .http1_max_buf_size(MAX_HEAD)
                .http2_keep_alive_interval(Some(Duration::from_secs(20)))
                .http2_keep_alive_timeout(Duration::from_secs(10))
                .build(connector.clone())
        };
        let plain = keeping(settings.plain_idle_timeout);
        Ok(Self { secure: keeping(settings.idle_timeout), plain })
    }

    /// Gets `address` and tells the status of the answer, whose body is not read.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, or is no address.
    pub async fn status(&self, address: &str) -> Result<u16> {
        let request = Request::get(address).body(Pieces::default()).map_err(|error| {
            GatewayError::new(ErrorKind::Internal, "this is no address").with_source(error)
        })?;
        Ok(self.send(request).await?.status().as_u16())
    }

    /// Sends `request` and waits for the whole answer, of which 64 KiB at most are taken.
    ///
    /// # Errors
    ///
    /// If nobody answers, or at greater length.
    pub async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let request = request.map(|body| Pieces::from(vec![body]));
        let (head, body) = self.send(request).await?.into_parts();
        let body = Limited::new(body, 64 << 10).collect().await.map_err(|error| {
            GatewayError::new(ErrorKind::UpstreamCut, "the answer did not come whole")
                .with_source(error)
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// Sends `request` and waits for the head of the reply.
    ///
    /// A pooled connection that turns out to be closed is replaced as long as nothing of the
    /// request was sent; nothing is ever sent twice. Dropping the future closes the connection.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, or what it answers is not HTTP.
    pub async fn send(&self, request: Request<Pieces>) -> Result<Response<Incoming>> {
        let is_secure = request.uri().scheme() == Some(&Scheme::HTTPS);
        let client = if is_secure { &self.secure } else { &self.plain };
        let reply = client.request(request).await.map_err(unreachable)?;
        // Nobody has asked for another protocol.
        if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(no_http());
        }
        Ok(reply)
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

fn tls(extra_roots: &[Vec<u8>]) -> Result<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots.add(CertificateDer::from(root.as_slice())).map_err(|error| {
            GatewayError::new(ErrorKind::Internal, "a root certificate is unreadable")
                .with_source(error)
        })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| GatewayError::new(ErrorKind::Internal, "no TLS").with_source(error))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn unreachable(error: Error) -> GatewayError {
    if !error.is_connect() {
        return broken(error);
    }
    let code = if is_handshake(&error) {
        "upstream_tls"
    } else if describe(&error).contains("dns") {
        "upstream_dns"
    } else {
        ErrorKind::UpstreamUnreachable.as_str()
    };
    GatewayError::new(ErrorKind::UpstreamUnreachable, "the provider cannot be reached")
        .with_code(code)
        .with_source(error)
}

/// What was asked, and has no answer.
fn broken(error: Error) -> GatewayError {
    let hyper = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    if hyper.is_some_and(|error| error.is_parse() || is_unsound(error)) {
        return no_http().with_source(error);
    }
    let message = "the provider closed the connection without an answer";
    GatewayError::new(ErrorKind::UpstreamCut, message)
        .with_code("upstream_reset")
        .with_source(error)
}

/// Whether no answer was to be had from a head. What is within an error of I/O is not among its
/// sources.
fn is_unsound(error: &hyper::Error) -> bool {
    let inner = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    inner
        .and_then(io::Error::get_ref)
        .is_some_and(|error| error.downcast_ref::<Unsound>().is_some())
}

fn no_http() -> GatewayError {
    GatewayError::new(ErrorKind::UpstreamInvalid, "the provider's answer is none of HTTP")
        .with_code("upstream_protocol")
}

fn describe(error: &Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&error.to_string().to_lowercase());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
