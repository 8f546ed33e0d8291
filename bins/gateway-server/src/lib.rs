//! The LLM gateway as a process: its configuration, its listener and its end.

pub mod compose;
pub mod config;
pub mod drain;
pub mod health;
pub mod listen;
pub mod metrics;
mod signals;
pub mod telemetry;

use anyhow::Context;
use bytes::Bytes;
use config::Config;
use drain::{Drain, Schedule};
use gateway_core::BoxError;
use http::{Request, Response};
use http_body::Body;
use hyper::service::Service;
use listen::{Limits, RequestBody};
use signals::{Signals, Stop};
use std::{net::SocketAddr, process::ExitCode};

/// Serves until a signal says to stop. `make` makes, for the address of a caller, the service of its
/// connection; it is itself made once, by `compose`, before the port is opened.
///
/// # Errors
///
/// If the gateway cannot be composed, or its port not be opened.
pub async fn run<C, M, S, B>(config: Config, compose: C) -> anyhow::Result<ExitCode>
where
    C: AsyncFnOnce(&Config, &Drain) -> anyhow::Result<M>,
    M: Fn(SocketAddr) -> S,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut signals = Signals::listen().context("signals cannot be heard")?;
    let drain = Drain::default();
    let make = compose(&config, &drain).await?;
    let address = SocketAddr::new(config.server.host, config.server.port);
    let listener = listen::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let limits = Limits::of(&config);
    tracing::info!(%address, connections = limits.connections, "listening");
    tokio::select! {
        () = listen::serve(listener, make, limits, &drain) => {}
        () = stop(&mut signals, &drain, Schedule::of(&config)) => {}
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Waits for a signal, then conducts the end; never returns before all is over.
async fn stop(signals: &mut Signals, drain: &Drain, calm: Schedule) {
    let schedule = match signals.next().await {
        Stop::Calmly => calm,
        Stop::Hurried => Schedule::hurried(),
    };
    tracing::info!(seconds = schedule.total.as_secs(), "stopping");
    let again = async {
        signals.next().await;
    };
    drain.conduct(schedule, again).await;
    // The listener sees it, and ends when its connections have.
    std::future::pending::<()>().await;
}
