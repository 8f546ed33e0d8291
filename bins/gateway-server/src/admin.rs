//! The admin listener.

use anyhow::Context as _;
use gateway_assembly::{ActiveConfig, ShutdownStages, connection_limits, listener_shutdown};
use gateway_http::AdminApi;
use gateway_net::server::{self, Listener, ServerTls};
use hyper::service::service_fn;
use std::{convert::Infallible, net::SocketAddr, sync::Arc};
use tokio::task::JoinSet;

/// Serves the admin API, if it has an address, until the shutdown or until the returned set is
/// dropped.
///
/// # Errors
///
/// If the address is taken.
pub(crate) fn serve(
    active: &Arc<ActiveConfig>,
    stages: &ShutdownStages,
    tls: Option<&ServerTls>,
) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    let config = active.config();
    let Some(address) = config.admin.listen else { return Ok(tasks) };
    let socket = server::bind(address)
        .with_context(|| format!("cannot listen on {address} for the admin API"))?;
    tracing::info!(%address, "admin API listening");
    let active = Arc::clone(active);
    let make = move |caller: SocketAddr| {
        let active = Arc::clone(&active);
        service_fn(move |request| {
            let admin = AdminApi::new(active.app(), active.config().admin.token());
            async move { Ok::<_, Infallible>(admin.handle(caller.ip(), request).await) }
        })
    };
    let (limits, drain) = (connection_limits(&config), listener_shutdown(stages));
    let listener = Listener { name: "admin_listener", socket, tls: tls.cloned(), limits };
    tasks.spawn(async move { server::serve(listener, make, &drain).await });
    Ok(tasks)
}
