//! The life of the process: build, serve, reload, drain, close.

use crate::{
    admin,
    config::{Config, ConfigSource, LoadedConfig},
    instrumentation,
    reload::{Reloader, save_last_good},
    signals::{self, Shutdown, ShutdownSignals},
};
use anyhow::Context as _;
use futures_util::FutureExt as _;
use gateway_assembly::{
    ActiveConfig, DrainSchedule, ProcessHandles, SharedResources, ShutdownStages, answer,
    connection_limits, drain, listener_shutdown, websocket_host,
};
use gateway_net::server::{self, HealthServer, Listener, ServerTls};
use gateway_telemetry::log::{DroppedLines, LevelHandle};
use hyper::service::service_fn;
use std::{
    convert::Infallible,
    fmt,
    io::{self, IsTerminal as _, Write as _},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
};

/// The cause of a failed start that only another configuration can mend.
#[derive(Clone, Copy, Debug)]
pub struct InvalidConfig;

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid configuration")
    }
}

/// The log, as far as serving changes or reports it.
#[derive(Debug)]
pub struct LogHandles {
    /// The handle to the level.
    pub level: LevelHandle,
    /// The counts of dropped lines.
    pub dropped: Arc<DroppedLines>,
}

/// Serves the `loaded` configuration, and what `source` holds after each reload, until a signal
/// stops the process.
///
/// # Errors
///
/// If a part cannot be built, or an address is taken.
pub async fn serve(
    source: &ConfigSource,
    loaded: LoadedConfig,
    log: LogHandles,
) -> anyhow::Result<ExitCode> {
    let LoadedConfig { config, text } = loaded;
    for warning in &config.warnings {
        tracing::warn!(target: "gateway::config", "{warning}");
    }
    let mut signals = ShutdownSignals::install().context("failed to install signal handlers")?;
    let mut reloads = signals::reload_signal().context("failed to install signal handlers")?;
    let process = process_handles(&config, log.dropped)?;
    let shared = SharedResources::open(&config, process).await?;
    let app = gateway_assembly::service(&config, &shared, None).context(InvalidConfig)?;
    for warning in gateway_assembly::unpriced_names(&config, &app.engine.directory) {
        tracing::warn!(target: "gateway::config", "{warning}");
    }
    let active = Arc::new(ActiveConfig::new(config, app));
    save_last_good(&active, text.as_deref());
    let tls = gateway_assembly::server_tls(&active.config()).context(InvalidConfig)?;
    let reloader =
        Reloader { source, shared: &shared, active: &active, level: log.level, tls: tls.as_ref() };
    let refreshing = gateway_assembly::refresh_local_models(&active)?;
    let served = tokio::select! {
        served = listen(&active, &shared, tls.as_ref()) => served,
        never = stop(&mut signals, &shared.process.shutdown, &active) => match never {},
        never = reloader.run(&mut reloads) => match never {},
        never = gateway_assembly::watch_certificate(tls.as_ref()) => match never {},
        never = refreshing => match never {},
        never = gateway_tasks::supervise("idle_memory", gateway_memory::release_while_idle) => match never {},
    };
    shared.close(&active.app()).await;
    served?;
    tracing::info!("shutdown complete");
    Ok(ExitCode::SUCCESS)
}

/// Installs the metrics recorder and starts tracing.
fn process_handles(config: &Config, dropped: Arc<DroppedLines>) -> anyhow::Result<ProcessHandles> {
    Ok(ProcessHandles {
        version: env!("CARGO_PKG_VERSION"),
        metrics: Some(instrumentation::metrics(dropped)?),
        tracing: instrumentation::tracing(config).context(InvalidConfig)?,
        shutdown: ShutdownStages::default(),
    })
}

/// Opens the ports and serves until the shutdown is complete.
async fn listen(
    active: &Arc<ActiveConfig>,
    shared: &SharedResources,
    tls: Option<&ServerTls>,
) -> anyhow::Result<()> {
    let config = active.config();
    let _lane =
        config.server.health_port.map(|port| health_lane(&config, port, active)).transpose()?;
    let address = SocketAddr::new(config.server.host, config.server.port);
    let (socket, limits) = (bind(address)?, connection_limits(&config));
    tracing::info!(%address, connections = limits.connections, tls = tls.is_some(), "listening");
    let _operators = admin::serve(active, &shared.process.shutdown, tls)?;
    if config.log.banner.unwrap_or_else(|| io::stderr().is_terminal()) {
        let banner = gateway_assembly::start_banner(&config, shared, &active.app()).await;
        // Without a standard error, nothing is missing.
        let _ = io::stderr().write_all(banner.as_bytes());
    }
    let websockets = websocket_host(active, &shared.process.shutdown);
    let make = |caller: SocketAddr| {
        let (active, tracing) = (Arc::clone(active), shared.process.tracing.clone());
        let websockets = websockets.clone();
        service_fn(move |mut request| {
            let (app, tracing) = (active.app(), tracing.clone());
            websockets.offer(&mut request);
            answer(app, tracing, caller.ip(), request).map(Ok::<_, Infallible>)
        })
    };
    let listener = Listener { name: "listener", socket, tls: tls.cloned(), limits };
    server::serve(listener, make, &listener_shutdown(&shared.process.shutdown)).await;
    websockets.close().await;
    shared.finish_background(&active.app()).await;
    Ok(())
}

/// Serves health checks on a port and a thread of their own.
fn health_lane(
    config: &Config,
    port: u16,
    active: &Arc<ActiveConfig>,
) -> anyhow::Result<HealthServer> {
    let address = SocketAddr::new(config.server.host, port);
    let listener = bind(address)?;
    tracing::info!(%address, "health checks listening");
    let active = Arc::clone(active);
    let make = move |caller: SocketAddr| {
        let active = Arc::clone(&active);
        service_fn(move |request| {
            // Boxed: the future is large, the server moves it, and an idle connection needs none.
            let answering = Box::pin(gateway_http::probe(active.app(), caller.ip(), request));
            async { Ok::<_, Infallible>(answering.await) }
        })
    };
    server::serve_health(listener, connection_limits(config), make)
        .with_context(|| format!("cannot serve health checks on {address}"))
}

/// Binds a listener. An address that this machine has not, or a port that needs privileges, is a wrong
/// configuration; a port that is in use is not.
fn bind(address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    let bound = server::bind(address);
    let kind = bound.as_ref().err().map(io::Error::kind);
    let bound = bound.with_context(|| format!("cannot listen on {address}"));
    match kind {
        Some(io::ErrorKind::AddrNotAvailable | io::ErrorKind::PermissionDenied) => {
            bound.context(InvalidConfig)
        }
        _ => bound,
    }
}

/// Waits for a signal, then runs the shutdown. Never returns.
async fn stop(
    signals: &mut ShutdownSignals,
    stages: &ShutdownStages,
    active: &ActiveConfig,
) -> Infallible {
    let schedule = match signals.next().await {
        Shutdown::Graceful => DrainSchedule::of(&active.config()),
        Shutdown::Immediate => DrainSchedule::immediate(),
    };
    tracing::info!(seconds = schedule.total.as_secs(), "shutting down");
    let second_signal = async {
        signals.next().await;
    };
    drain(stages, schedule, second_signal).await;
    std::future::pending().await
}
