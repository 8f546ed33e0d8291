//! The life of the process: composed, served, reloaded, drained, closed.

use crate::{
    admin, compose,
    config::{Config, Loaded, Source},
    connections,
    drain::{Drain, Schedule},
    lasting::Lasting,
    live::Live,
    local,
    reload::{Reloader, keep},
    signals::{Signals, Stop},
};
use anyhow::Context as _;
use gateway_http::Endpoint;
use gateway_net::server::{self, HealthServer};
use gateway_telemetry::log::{DroppedLines, LevelHandle};
use hyper::service::service_fn;
use std::{convert::Infallible, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

/// How long turns of sessions and replies may take to be kept when all else has stopped.
const SETTLING: Duration = Duration::from_secs(3);

/// The log, as far as the life of the process has to do with it.
#[derive(Debug)]
pub struct Logging {
    /// How much is logged.
    pub dial: LevelHandle,
    /// What was not.
    pub losses: Arc<DroppedLines>,
}

/// Serves what `source` said when it was `loaded`, and what it says later, until a signal says to
/// stop.
///
/// # Errors
///
/// If the gateway cannot be composed, or its port not be opened.
pub async fn serve(source: &Source, loaded: Loaded, log: Logging) -> anyhow::Result<ExitCode> {
    let Loaded { config, text } = loaded;
    for warning in &config.warnings {
        tracing::warn!(target: "gateway::config", "{warning}");
    }
    let mut signals = Signals::listen().context("signals cannot be heard")?;
    let mut hangups = crate::signals::hangups().context("signals cannot be heard")?;
    let lasting = Lasting::begin(&config, log.losses).await?;
    let app = compose::build(&config, &lasting, None)?;
    let live = Arc::new(Live::new(config, app));
    keep(&live, text.as_deref());
    let reloader = Reloader { source, lasting: &lasting, live: &live, dial: log.dial };
    let listening = listen(&live, &lasting);
    let refreshing = local::refresh(&live)?;
    let served = tokio::select! {
        served = listening => served,
        never = stop(&mut signals, &lasting.drain, &live) => match never {},
        never = reloader.run(&mut hangups) => match never {},
        never = refreshing => match never {},
    };
    close(&live, lasting).await;
    served?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Opens the ports and serves until `drain` says that it is over.
async fn listen(live: &Arc<Live>, lasting: &Lasting) -> anyhow::Result<()> {
    let config = live.config();
    let _lane =
        config.server.health_port.map(|port| health_lane(&config, port, live)).transpose()?;
    let address = SocketAddr::new(config.server.host, config.server.port);
    let listener = bind(address)?;
    let limits = connections::limits(&config);
    tracing::info!(%address, connections = limits.connections, "listening");
    let _operators = admin::serve(live, &lasting.drain)?;
    let make = |caller: SocketAddr| {
        let (live, tracing) = (Arc::clone(live), lasting.tracing.clone());
        service_fn(move |request| {
            let (app, tracing) = (live.app(), tracing.clone());
            // Boxed: it is large, the server moves it, and a connection that waits needs none.
            Box::pin(async move {
                let endpoint = Endpoint::at(request.uri().path());
                // Probes have no spans.
                let is_probed = endpoint.is_some_and(|it| it.is_probed() || it == Endpoint::Root);
                let route = endpoint.map(Endpoint::label);
                let handle = |request| gateway_http::handle(app, caller.ip(), request);
                Ok::<_, Infallible>(match tracing.filter(|_| !is_probed) {
                    Some(tracing) => tracing.answer(route, request, handle).await,
                    None => handle(request).await,
                })
            })
        })
    };
    server::serve(listener, make, limits, &lasting.drain.listener()).await;
    Ok(())
}

/// Answers probes on a port, and by a thread, of their own.
fn health_lane(config: &Config, port: u16, live: &Arc<Live>) -> anyhow::Result<HealthServer> {
    let address = SocketAddr::new(config.server.host, port);
    let listener = bind(address)?;
    tracing::info!(%address, "listening to probes");
    let live = Arc::clone(live);
    let make = move |caller: SocketAddr| {
        let live = Arc::clone(&live);
        service_fn(move |request| {
            // Boxed: it is large, the server moves it, and a connection that waits needs none.
            let answering = Box::pin(gateway_http::probe(live.app(), caller.ip(), request));
            async { Ok::<_, Infallible>(answering.await) }
        })
    };
    server::serve_health(listener, connections::limits(config), make)
        .with_context(|| format!("cannot serve probes on {address}"))
}

fn bind(address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    server::bind(address).with_context(|| format!("cannot listen on {address}"))
}

/// Waits for a signal, then conducts the end, which the listener sees. Never returns.
async fn stop(signals: &mut Signals, drain: &Drain, live: &Live) -> Infallible {
    let schedule = match signals.next().await {
        Stop::Calmly => Schedule::of(&live.config()),
        Stop::Hurried => Schedule::hurried(),
    };
    tracing::info!(seconds = schedule.total.as_secs(), "stopping");
    let again = async {
        signals.next().await;
    };
    drain.conduct(schedule, again).await;
    std::future::pending().await
}

/// Sees to it that what callers were told is kept.
async fn close(live: &Live, lasting: Lasting) {
    let app = live.app();
    app.engine.responses.close().await;
    let settling = async { tokio::join!(app.engine.sessions.settled(), app.idempotency.settled()) };
    if tokio::time::timeout(SETTLING, settling).await.is_err() {
        tracing::warn!("turns of sessions, or replies, were still being kept at the end");
    }
    app.engine.limits.close().await;
    lasting.stores.close().await;
    if let Some(tracing) = lasting.tracing {
        tracing.close().await;
    }
}
