//! OTLP over HTTP, sent with the gateway's own HTTP client.

use async_trait::async_trait;
use bytes::Bytes;
use gateway_net::client::{ClientSettings, HttpClient};
use http::{Request, Response};
use opentelemetry_http::HttpError;
use tokio::runtime::Handle;

/// An HTTP client for the OTLP exporters. They call it from threads without a runtime, so each
/// request is spawned on the runtime that created the client.
#[derive(Debug)]
pub(super) struct OtlpHttpClient {
    client: HttpClient,
    runtime: Handle,
}

impl OtlpHttpClient {
    /// Creates a client on the current runtime.
    pub(super) fn new() -> anyhow::Result<Self> {
        let client = HttpClient::new(&ClientSettings::default())?;
        Ok(Self { client, runtime: Handle::try_current()? })
    }
}

#[async_trait]
impl opentelemetry_http::HttpClient for OtlpHttpClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move { client.exchange(request).await });
        Ok(sending.await??)
    }
}
