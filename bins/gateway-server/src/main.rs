//! Starts the gateway, or says what is wrong with its configuration.

use bytes::Bytes;
use clap::{Parser, Subcommand};
use gateway_server::{
    config::{self, Config, Environment, Problems},
    health,
    listen::RequestBody,
    telemetry,
};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::service::service_fn;
use std::{
    convert::Infallible,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

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
    let served = runtime.block_on(gateway_server::run(config, async |_, _| {
        Ok(|_| service_fn(async |request| Ok::<_, Infallible>(only_health(&request))))
    }));
    served.or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "the gateway cannot run");
        Ok(ExitCode::FAILURE)
    })
}

/// Answers as long as nothing else is composed: the process is well, and offers nothing.
fn only_health(request: &Request<RequestBody>) -> Response<Full<Bytes>> {
    let (status, body) = match request.uri().path() {
        "/health" => (StatusCode::OK, r#"{"status":"healthy"}"#),
        _ => (StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
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
