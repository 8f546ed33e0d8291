//! Starts the gateway, or says what is wrong with its configuration.

use clap::{Parser, Subcommand};
use gateway_core::state::StoreError;
use gateway_server::{
    config::{self, Config, Environment, Problems, Source, last_good},
    health, instrumentation, plan,
    serve::{self, Logging},
    settings,
};
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// A small request costs a fifth less processor time than with glibc's allocator, and an idle
/// process 2 MiB more memory; mimalloc is as quick, and costs 20 MiB.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// `EX_CONFIG` of `sysexits.h`.
const MISCONFIGURED: u8 = 78;

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
    /// Tells what of the configuration that last counted a reload would change; secrets are hidden.
    Plan,
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
    /// What each dialect carries.
    Providers,
    /// The table of metrics.
    Metrics,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let source = Source::new(arguments.config.as_deref(), Environment::of_process());
    let source = source.checked_by(settings::check);
    let load = || source.load().map(|loaded| loaded.config);
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Docs(Docs::Configuration) => print(&config::docs::markdown()),
        Command::Docs(Docs::Providers) => print(&gateway_wire::feature_matrix::table()),
        Command::Docs(Docs::Metrics) => print(&gateway_engine::metric_names::markdown()),
        Command::Check => load().map_or_else(|problems| refuse(&problems), |config| fine(&config)),
        Command::Config => {
            load().map_or_else(|problems| refuse(&problems), |config| print(&config.show()))
        }
        Command::Healthcheck => load().map_or_else(|problems| refuse(&problems), |it| ask(&it)),
        Command::Plan => {
            plan::of(&source).map_or_else(|problems| refuse(&problems), |it| print(&it))
        }
        Command::Serve => serve(&source),
    }
}

/// Serves what `source` says; if that has mistakes and an operator wants it, what it said before.
fn serve(source: &Source) -> anyhow::Result<ExitCode> {
    let (loaded, problems) = match source.load() {
        Ok(loaded) => (loaded, None),
        Err(problems) => match last_good::instead(source) {
            Some(loaded) => (loaded, Some(problems)),
            None => return refuse(&problems),
        },
    };
    let telemetry = instrumentation::log(&loaded.config.log)?;
    for problem in problems.iter().flat_map(Problems::iter) {
        tracing::error!(target: "gateway::config", %problem, "starting with what last counted");
    }
    let log = Logging { dial: telemetry.level.clone(), losses: telemetry.dropped_lines() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve::serve(source, loaded, log));
    served.or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "the gateway cannot run");
        // A store that cannot be opened will not be better for a restart.
        let hopeless = error.downcast_ref::<StoreError>().is_some();
        Ok(if hopeless { ExitCode::from(MISCONFIGURED) } else { ExitCode::FAILURE })
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
