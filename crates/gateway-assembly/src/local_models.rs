//! The platform's services for local models: the inference service and context management.

use crate::{active_config::ActiveConfig, previous::PreviousGeneration};
use gateway_config::{Config, ServiceUrl};
use gateway_core::ContextService;
use gateway_engine::{ContextWindows, LocalModel};
use gateway_providers::ContextServiceRoute;
use gateway_tasks::supervise;
use gateway_tools::{ClientSettings, ContextManagementClient, ReportedModel, ServiceClient};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time;

/// The providers whose models are those of the inference service.
const LOCAL: [&str; 2] = ["inference", "llamacpp"];
/// The provider whose server has an API of its own for its models.
const OLLAMA: &str = "ollama";
/// The interval at which local servers are asked for their models.
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

/// Refreshes what local servers report at their configured addresses: their models, and the context
/// windows of those of the inference service. While one is unreachable, its last report stays. The
/// future never ends, and no request waits for it.
///
/// # Errors
///
/// If no HTTP client can be created.
pub fn refresh_local_models(
    active: &ActiveConfig,
) -> anyhow::Result<impl Future<Output = Infallible>> {
    let client = Arc::new(client()?);
    Ok(supervise("local_models", move || refresh(active, Arc::clone(&client))))
}

async fn refresh(active: &ActiveConfig, client: Arc<ServiceClient>) -> Infallible {
    loop {
        let config = active.config();
        let local_models = Arc::clone(&active.app().engine.local_models);
        for (provider, url) in local_servers(&config) {
            let is_ollama = provider == OLLAMA;
            if is_ollama && !local_models.is_wanted() {
                continue;
            }
            match gateway_tools::reported_models(&client, url.as_str(), is_ollama).await {
                Ok(models) => update(active, provider, models),
                Err(error) => tracing::debug!(
                    provider,
                    %error,
                    "could not refresh the models of a local server"
                ),
            }
        }
        drop(config);
        tokio::select! {
            () = time::sleep(REFRESH) => {}
            () = local_models.first_wanted() => {}
        }
    }
}

/// Applies the report of the server of `provider`.
fn update(active: &ActiveConfig, provider: &str, models: Vec<ReportedModel>) {
    let app = active.app();
    if LOCAL.contains(&provider) {
        let windows = models.iter().filter_map(|(name, window)| Some((name.clone(), (*window)?)));
        app.engine.context_windows.update(windows.collect());
    }
    let model = |(name, context_window)| LocalModel { name, context_window };
    app.engine.local_models.update(provider, models.into_iter().map(model).collect());
}

/// Returns the local providers whose address is configured.
fn local_servers(config: &Config) -> Vec<(&'static str, ServiceUrl)> {
    let server = |name: &'static str| {
        let provider = config.providers.get(name).filter(|it| it.enabled)?;
        Some((name, provider.base_url.clone()?))
    };
    LOCAL.into_iter().chain([OLLAMA]).filter_map(server).collect()
}

fn client() -> anyhow::Result<ServiceClient> {
    Ok(ServiceClient::new(&ClientSettings::default())?)
}
