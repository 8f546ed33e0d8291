//! The platform's services for local models: the inference service and context management.

use crate::{active_config::ActiveConfig, previous::PreviousGeneration};
use gateway_config::{Config, ServiceUrl};
use gateway_core::ContextService;
use gateway_engine::ContextWindows;
use gateway_providers::ContextServiceRoute;
use gateway_tasks::supervise;
use gateway_tools::{ClientSettings, ContextManagementClient, ServiceClient};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time;

/// The providers whose models are those of the inference service.
const LOCAL: [&str; 2] = ["inference", "llamacpp"];
/// The interval at which the inference service is asked for its models.
const REFRESH: Duration = Duration::from_mins(1);

/// Builds the client of the context-management service, if it is used, or reuses the previous one.
///
/// # Errors
///
/// If no HTTP client can be created.
pub(crate) fn context_service(
    config: &Config,
    previous: Option<PreviousGeneration<'_>>,
) -> anyhow::Result<Option<Arc<dyn ContextService>>> {
    if let Some(previous) = previous.filter(|it| it.config.cms == config.cms) {
        return Ok(previous.app.engine.context_service.clone());
    }
    let Some(url) = config.cms.address() else { return Ok(None) };
    let (timeout, client) = (config.cms.timeout, client()?);
    let service =
        ContextManagementClient::new(url.as_str(), timeout, client, gateway_engine::random_unit);
    Ok(Some(Arc::new(service)))
}

/// Returns the route to local models through that service.
pub(crate) fn through(
    config: &Config,
    service: Option<&Arc<dyn ContextService>>,
) -> Option<ContextServiceRoute> {
    let base_url = config.cms.address()?.as_str().to_owned();
    Some(ContextServiceRoute { base_url, service: Arc::clone(service?) })
}

/// Returns the context windows of local models, none of which is known yet.
pub(crate) fn windows() -> Arc<ContextWindows> {
    Arc::new(ContextWindows::of(LOCAL.map(Into::into)))
}

/// Refreshes the context windows of local models from the inference service, if its address is
/// configured. While it is unreachable, the last known windows stay. The future never ends.
///
/// # Errors
///
/// If no HTTP client can be created.
pub fn refresh_context_windows(
    active: &ActiveConfig,
) -> anyhow::Result<impl Future<Output = Infallible>> {
    let client = Arc::new(client()?);
    Ok(supervise("context_windows", move || refresh(active, Arc::clone(&client))))
}

async fn refresh(active: &ActiveConfig, client: Arc<ServiceClient>) -> Infallible {
    loop {
        if let Some(url) = inference_service(&active.config()) {
            match gateway_tools::windows(&client, url.as_str()).await {
                Ok(windows) => active.app().engine.context_windows.update(windows),
                Err(error) => tracing::debug!(
                    %error,
                    "could not refresh context windows from the inference service"
                ),
            }
        }
        time::sleep(REFRESH).await;
    }
}

fn inference_service(config: &Config) -> Option<ServiceUrl> {
    let configured = LOCAL.iter().filter_map(|name| config.providers.get(*name));
    configured.filter(|it| it.enabled).find_map(|it| it.base_url.clone())
}

fn client() -> anyhow::Result<ServiceClient> {
    Ok(ServiceClient::new(&ClientSettings::default())?)
}
