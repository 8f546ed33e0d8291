//! The HTTP client for upstreams: one for all providers, so that they share its settings.
//!
//! It follows no redirect, obeys no proxy variable, keeps no cookie and undoes no compression: each
//! of these would send a key, or a bomb, somewhere nobody chose.

use crate::body::Pieces;
use bytes::Bytes;
use gateway_core::{BoxError, ErrorKind, GatewayError, Result};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use std::{
    error::Error as _,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time;
use tower_service::Service;

/// How to connect to upstreams.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept for each host.
    pub idle_per_host: usize,
    /// Certificate authorities to trust besides the public ones, in DER.
    pub extra_roots: Vec<Vec<u8>>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_mins(1),
            idle_per_host: 64,
            extra_roots: Vec::new(),
        }
    }
}

/// Talks to upstreams, over HTTP/1.1 or, where the upstream offers it under TLS, HTTP/2.
#[derive(Clone)]
pub struct HttpClient(Client<Connector, Pieces>);

impl HttpClient {
    /// A client of its own connections.
    ///
    /// # Errors
    ///
    /// If one of the extra roots is no certificate.
    pub fn new(settings: &ClientSettings) -> Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(15)));
        http.set_connect_timeout(Some(settings.connect_timeout));
        #[cfg(target_os = "linux")]
        http.set_tcp_user_timeout(Some(Duration::from_secs(30)));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(&settings.extra_roots)?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(http);
        let connector = Connector { inner: https, limit: settings.connect_timeout };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.idle_per_host)
            .http1_max_headers(100)
            .http2_keep_alive_interval(Some(Duration::from_secs(20)))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .build(connector);
        Ok(Self(client))
    }

    /// Gets `address` and tells the status of the answer, whose body is not read.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, or is no address.
    pub async fn status(&self, address: &str) -> Result<u16> {
        let request = Request::get(address).body(Pieces::default()).map_err(|error| {
            GatewayError::new(ErrorKind::Internal, "this is no address").because(error)
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
                .because(error)
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// Sends `request` and waits for the head of the reply.
    ///
    /// A pooled connection that turns out to be closed is replaced as long as nothing of the
    /// request was sent; nothing is ever sent twice. Dropping the future closes the connection.
    pub(crate) async fn send(&self, request: Request<Pieces>) -> Result<Response<Incoming>> {
        self.0.request(request).await.map_err(unreachable)
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
                .because(error)
        })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| GatewayError::new(ErrorKind::Internal, "no TLS").because(error))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn unreachable(error: Error) -> GatewayError {
    let described = describe(&error);
    if !error.is_connect() {
        return GatewayError::new(
            ErrorKind::UpstreamCut,
            "the provider closed the connection without an answer",
        )
        .with_code("upstream_reset")
        .because(error);
    }
    let code = if described.contains("dns") {
        "upstream_dns"
    } else if described.contains("certificate") || described.contains("tls") {
        "upstream_tls"
    } else {
        ErrorKind::UpstreamUnreachable.as_str()
    };
    GatewayError::new(ErrorKind::UpstreamUnreachable, "the provider cannot be reached")
        .with_code(code)
        .because(error)
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

/// Bounds the whole of connecting: the HTTP connector's own limit leaves the TLS handshake out.
#[derive(Clone)]
struct Connector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

type Connection = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move { time::timeout(limit, connecting).await? })
    }
}
