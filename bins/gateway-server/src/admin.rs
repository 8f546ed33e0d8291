//! The listener for operators.

use crate::{connections, drain::Drain, live::Live};
use anyhow::Context as _;
use gateway_http::Admin;
use gateway_net::server;
use hyper::service::service_fn;
use std::{convert::Infallible, net::SocketAddr, sync::Arc};
use tokio::task::JoinSet;

/// Serves operators until `drain` says that it is over, or what is returned is dropped, if the
/// configuration says where.
///
/// # Errors
///
/// If the address is taken.
pub fn serve(live: &Arc<Live>, drain: &Drain) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    let config = live.config();
    let Some(address) = config.admin.listen else { return Ok(tasks) };
    let listener = server::bind(address)
        .with_context(|| format!("operators cannot be listened to on {address}"))?;
    tracing::info!(%address, "listening to operators");
    let live = Arc::clone(live);
    let make = move |caller: SocketAddr| {
        let live = Arc::clone(&live);
        service_fn(move |request| {
            let admin = Admin::new(live.app(), live.config().admin.token());
            async move { Ok::<_, Infallible>(admin.handle(caller.ip(), request).await) }
        })
    };
    let (limits, drain) = (connections::limits(&config), drain.listener());
    tasks.spawn(async move { server::serve(listener, make, limits, &drain).await });
    Ok(tasks)
}
