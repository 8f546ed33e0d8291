//! Starts the gateway, or says what is wrong with its configuration.

use clap::{Parser, Subcommand};
use gateway_server::{
    compose,
    config::{self, Config, Environment, Problems},
    health, metrics, telemetry,
};
use hyper::service::service_fn;
use std::{
    convert::Infallible,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

/// `EX_CONFIG` of `sysexits.h`.
const MISCONFIGURED: u8 = 78;

/// How long turns of sessions and replies may take to be kept when all else has stopped.
const SETTLING: Duration = Duration::from_secs(3);

/// A gateway to language models.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The file to read; see `LLM_GATEWAY_CONFIG`.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Serves, until it is told to stop. What happens if nothing else is said.
    Serve,
    /// Tells everything that is wrong with the configuration.
    Check,
    /// Shows the configuration that counts, and where it comes from; secrets are hidden.
    Config,
    /// Asks the gateway of this configuration whether it is well.
    Healthcheck,
    /// Writes a part of the documentation.
    #[command(hide = true, subcommand)]
    Docs(Docs),
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Docs {
    /// The reference of the configuration.
    Configuration,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let load = || Config::load(arguments.config.as_deref(), &Environment::of_process());
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Docs(Docs::Configuration) => print(&config::docs::markdown()),
        Command::Check => load().map_or_else(|problems| refuse(&problems), |config| fine(&config)),
        Command::Config => {
            load().map_or_else(|problems| refuse(&problems), |config| print(&config.show()))
        }
        Command::Healthcheck => load().map_or_else(|problems| refuse(&problems), |it| ask(&it)),
        Command::Serve => load().map_or_else(|problems| refuse(&problems), serve),
    }
}

fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let _telemetry = telemetry::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let mut made = None;
        let served = gateway_server::run(config, async |config, drain| {
            let stores = compose::stores(config).await?;
            let app = Arc::new(compose::build(config, &stores, Some(metrics::start()?), drain)?);
            made = Some((Arc::clone(&app), stores));
            Ok(move |_| {
                let app = Arc::clone(&app);
                service_fn(move |request| {
                    let answering = gateway_http::handle(Arc::clone(&app), request);
                    async { Ok::<_, Infallible>(answering.await) }
                })
            })
        });
        let served = served.await;
        if let Some((app, stores)) = made {
            app.responses.close().await;
            // What callers were told before they were cut off is still to be kept.
            let settling = async { tokio::join!(app.keeper.settled(), app.idempotency.settled()) };
            if tokio::time::timeout(SETTLING, settling).await.is_err() {
                tracing::warn!("turns of sessions, or replies, were still being kept at the end");
            }
            stores.close().await;
        }
        served
    });
    served.or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "the gateway cannot run");
        Ok(ExitCode::FAILURE)
    })
}

fn ask(config: &Config) -> anyhow::Result<ExitCode> {
    if let Err(error) = health::check(config) {
        writeln!(io::stderr(), "{error}")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn fine(config: &Config) -> anyhow::Result<ExitCode> {
    let warnings = config.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    print(&(warnings.collect::<String>() + "ok\n"))
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Tells all problems, on the standard error.
fn refuse(problems: &Problems) -> anyhow::Result<ExitCode> {
    write!(io::stderr(), "{problems}")?;
    Ok(ExitCode::from(MISCONFIGURED))
}
