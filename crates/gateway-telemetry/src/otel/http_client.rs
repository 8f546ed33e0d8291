//! Carries OTLP over HTTP, with the client that carries everything else.

use async_trait::async_trait;
use bytes::Bytes;
use gateway_net::client::{ClientSettings, HttpClient};
use http::{Request, Response};
use opentelemetry_http::HttpError;
use tokio::runtime::Handle;

/// Sends batches. Whoever sends is a thread without a runtime, so the work is done in ours.
#[derive(Debug)]
pub(super) struct Courier {
    client: HttpClient,
    runtime: Handle,
}

impl Courier {
    /// In the present runtime.
    pub(super) fn new() -> anyhow::Result<Self> {
        let client = HttpClient::new(&ClientSettings::default())?;
        Ok(Self { client, runtime: Handle::try_current()? })
    }
}

#[async_trait]
impl opentelemetry_http::HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move { client.exchange(request).await });
        Ok(sending.await??)
    }
}
