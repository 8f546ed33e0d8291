//! The platform's services that have to do with local models.

use crate::{
    config::{Config, Url},
    live::Live,
};
use anyhow::anyhow;
use gateway_core::ContextService;
use gateway_engine::ContextWindows;
use gateway_providers::Through;
use gateway_tools::{ClientSettings, ContextManagementClient, ServiceClient};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time;

/// The providers whose models are those of the inference service.
const LOCAL: [&str; 2] = ["inference", "llamacpp"];
/// How often the service is asked for its models.
const REFRESH: Duration = Duration::from_mins(1);

/// The service that fits conversations into windows, if it is used.
///
/// # Errors
///
/// If no HTTP client can be made.
pub(crate) fn context_service(config: &Config) -> anyhow::Result<Option<Arc<dyn ContextService>>> {
    let Some(url) = config.cms.address() else { return Ok(None) };
    let (timeout, client) = (config.cms.timeout, client()?);
    let service =
        ContextManagementClient::new(url.as_str(), timeout, client, gateway_engine::random_unit);
    Ok(Some(Arc::new(service)))
}

/// The way to local models that leads through that service.
pub(crate) fn through(
    config: &Config,
    service: Option<&Arc<dyn ContextService>>,
) -> Option<Through> {
    let base_url = config.cms.address()?.as_str().to_owned();
    Some(Through { base_url, service: Arc::clone(service?) })
}

/// The windows of local models, none of which is known yet.
pub(crate) fn windows() -> Arc<ContextWindows> {
    Arc::new(ContextWindows::of(LOCAL.map(Into::into)))
}

/// Keeps the windows of local models as the inference service tells them, if its address is
/// configured. While it is away, what it told last counts. The future never ends.
///
/// # Errors
///
/// If no HTTP client can be made.
pub(crate) fn refresh(live: &Live) -> anyhow::Result<impl Future<Output = Infallible>> {
    let client = client()?;
    Ok(async move {
        loop {
            if let Some(url) = inference_service(&live.config()) {
                match gateway_tools::windows(&client, url.as_str()).await {
                    Ok(windows) => live.app().engine.context_windows.update(windows),
                    Err(why) => tracing::debug!(why, "the windows of local models are not told"),
                }
            }
            time::sleep(REFRESH).await;
        }
    })
}

fn inference_service(config: &Config) -> Option<Url> {
    let configured = LOCAL.iter().filter_map(|name| config.providers.get(*name));
    configured.filter(|it| it.enabled).find_map(|it| it.base_url.clone())
}

fn client() -> anyhow::Result<ServiceClient> {
    ServiceClient::new(&ClientSettings::default()).map_err(|error| anyhow!(error))
}
