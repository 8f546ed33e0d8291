//! The HTTP client for services of the platform.
//!
//! It follows no redirects, uses no proxy variables, retries nothing and decompresses nothing: none
//! of these was asked for by the caller.

use crate::tool_config_error::ServiceClientError;
use bytes::{Bytes, BytesMut};
use gateway_core::{ToolContext, ToolError, ToolErrorCode};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Connection settings for platform services.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Connect timeout, TLS included. Default: see [`Default`].
    pub connect_timeout: Duration,
    /// Idle timeout of a connection: less than the five seconds of uvicorn, on which the services
    /// run, as a request sent to a closing connection is lost.
    pub idle_timeout: Duration,
    /// Certificate authorities to trust besides the public ones, in DER.
    pub extra_roots: Vec<Vec<u8>>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(4),
            extra_roots: Vec::new(),
        }
    }
}

/// Talks to services. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct ServiceClient(reqwest::Client);

/// A request to a service.
#[derive(Clone, Debug)]
pub(crate) struct ServiceRequest {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) body: Option<Vec<u8>>,
    /// The most that is read of its answer.
    pub(crate) max_bytes: usize,
}

/// A reply of a service.
#[derive(Clone, Debug)]
pub(crate) struct ServiceReply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl ServiceClient {
    /// A client of its own connections.
    ///
    /// # Errors
    ///
    /// If one of the extra roots is no certificate.
    pub fn new(settings: &ClientSettings) -> Result<Self, ServiceClientError> {
        #[expect(clippy::disallowed_methods, reason = "this is the crate's one factory")]
        let builder = reqwest::Client::builder();
        builder
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(settings.idle_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(15))
            .user_agent(concat!("llm-gateway/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls(&settings.extra_roots)?)
            .build()
            .map(Self)
            .map_err(ServiceClientError::Http)
    }

    /// The client itself, for protocols of their own.
    pub(crate) fn inner(&self) -> reqwest::Client {
        self.0.clone()
    }

    /// Asks, and reads the whole answer. Dropping the future closes the connection.
    pub(crate) async fn ask(
        &self,
        question: ServiceRequest,
        context: &ToolContext,
    ) -> Result<ServiceReply, ToolError> {
        let ServiceRequest { method, url, body, max_bytes } = question;
        let mut request = self.0.request(method, url).headers(headers(context));
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > max_bytes) {
            return Err(too_large(max_bytes));
        }
        let mut body = BytesMut::with_capacity(announced.unwrap_or(4096));
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > max_bytes {
                return Err(too_large(max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(ServiceReply { status, body: body.freeze() })
    }
}

/// The one message for results that are too large.
pub(crate) fn too_large(limit: usize) -> ToolError {
    ToolError::new(ToolErrorCode::TooLarge, format!("the result is larger than {limit} bytes"))
}

/// Returns the headers that forward the request context to a service.
pub(crate) fn headers(context: &ToolContext) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value)
            && !value.is_empty()
        {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    add("accept", "application/json");
    add("x-request-id", &context.request_id);
    for (name, value) in [
        ("traceparent", &context.traceparent),
        ("tracestate", &context.tracestate),
        ("idempotency-key", &context.idempotency_key),
    ] {
        add(name, value.as_deref().unwrap_or_default());
    }
    if let Some(deadline) = context.deadline {
        let left = Instant::from_std(deadline).saturating_duration_since(Instant::now());
        add("x-request-timeout-ms", &left.as_millis().to_string());
    }
    headers
}

fn failed(error: &reqwest::Error) -> ToolError {
    tracing::debug!(target: "gateway::tool", error = format!("{error:?}"));
    if error.is_connect() {
        ToolError::new(ToolErrorCode::Unavailable, "the service is unreachable")
    } else {
        // It may have done its work.
        ToolError::new(ToolErrorCode::UpstreamInvalid, "the service closed the connection")
    }
}

fn tls(extra_roots: &[Vec<u8>]) -> Result<ClientConfig, ServiceClientError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots
            .add(CertificateDer::from(root.as_slice()))
            .map_err(ServiceClientError::RootCertificate)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ServiceClientError::Tls)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
