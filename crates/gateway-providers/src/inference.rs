//! The platform's inference service, asked through its context service while that is well.

use crate::{Credential, Descriptor, Settings, compatible, llamacpp};
use async_trait::async_trait;
use gateway_core::{
    ContextService, ErrorKind, Provider, ProviderLayer, ProviderRequest, ProviderResponse, Result,
};
use gateway_wire::chat::Quirks;
use std::{fmt, sync::Arc};

/// The service that `llamacpp` asks directly.
pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "inference",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "http://localhost:8085",
    credential: Credential::Optional,
    thinking: None,
    build,
};

/// A service that conversations are sent through, on their way to local models.
#[derive(Clone)]
pub struct ContextServiceRoute {
    /// The base URL, without a trailing slash.
    pub base_url: String,
    /// It, as far as its health is concerned.
    pub service: Arc<dyn ContextService>,
}

/// Asks a service for answers through another, which keeps conversations within their windows.
///
/// What that one cannot pass on is asked directly, and so is everything while it is unwell. What it
/// asks itself is never sent back to it.
struct ContextServiceProvider {
    direct: Arc<dyn Provider>,
    proxy: Arc<dyn Provider>,
    service: Arc<dyn ContextService>,
}

fn build(mut settings: Settings) -> Result<Arc<dyn Provider>> {
    let Some(ContextServiceRoute { base_url, service }) = settings.through.take() else {
        return llamacpp::build(settings);
    };
    let mut proxy = settings.clone().base_url(format!("{base_url}/v1/proxy"));
    // By this it knows that the gateway is not to be asked in turn.
    proxy.headers.push(("x-cms-origin".to_owned(), "gateway".to_owned()));
    let proxy = compatible::openai(proxy, Quirks::LLAMACPP)?;
    Ok(Arc::new(ContextServiceProvider { direct: llamacpp::build(settings)?, proxy, service }))
}

#[async_trait]
impl ProviderLayer for ContextServiceProvider {
    fn inner(&self) -> &dyn Provider {
        self.direct.as_ref()
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let is_direct = call.context.from_context_service || call.relayed().is_some();
        if is_direct || !self.service.is_healthy().await {
            return self.direct.generate(call).await;
        }
        match self.proxy.generate(call.clone()).await {
            Err(error) if did_nothing(error.kind()) => self.direct.generate(call).await,
            answer => answer,
        }
    }
}

/// Whether a failure of this kind means that no response was generated: no connection, or an
/// unknown path. Any other may come from the service behind.
fn did_nothing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UpstreamUnreachable | ErrorKind::NotFound)
}

impl fmt::Debug for ContextServiceRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextServiceRoute")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}
