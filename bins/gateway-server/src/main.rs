//! The command line of the gateway.

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use gateway_assembly::{
    TerminalChat, check_health, diff_catalogues, import_catalogue, import_configuration,
    init_configuration, show_model, terminal_chat,
};
use gateway_core::state::StoreError;
use gateway_server::{
    config::{self, Config, ConfigErrors, ConfigSource, Environment, last_good},
    instrumentation,
    serve::{self, InvalidConfig, LogHandles},
};
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A tenth fewer instructions for a small request than with glibc's allocator, unless it is replaced.
#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
#[global_allocator]
static ALLOCATOR: gateway_memory::MimallocAllocator = gateway_memory::MimallocAllocator;

/// The exit code of a wrong configuration: `EX_CONFIG` of `sysexits.h`.
const EX_CONFIG: u8 = 78;

/// One API for many LLM providers.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The configuration file; default: `LLM_GATEWAY_CONFIG`, else `gateway.toml` if it exists.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Run the gateway (default).
    Serve,
    /// Validate the configuration and print all errors.
    Check,
    /// Print the effective configuration and the source of each value; secrets are hidden.
    Config,
    /// Print the changes that a reload would make; secrets are hidden.
    Plan,
    /// Inspect the catalogue of models and prices, and convert data sets for it.
    #[command(subcommand)]
    Catalogue(CatalogueCommand),
    /// Query /health of the gateway with this configuration; exit code 0 if it is healthy.
    Healthcheck,
    /// Convert the configuration of `LiteLLM`, Bifrost or Portkey, and report what has no counterpart.
    Import {
        /// `LiteLLM`'s config.yaml or exported keys, Bifrost's config.json, or a config of Portkey.
        file: PathBuf,
        /// The file to write instead of the standard output.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Write a configuration file with every setting as a comment; an existing one is left alone.
    Init,
    /// Ask a model through the running gateway.
    Chat {
        /// The model, such as `fake/echo`.
        model: String,
        /// The message; without one, each line of the standard input is a turn of one conversation.
        message: Vec<String>,
        /// The address of the gateway; default: that of this configuration.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// The environment variable with the API key of the caller.
        #[arg(long, value_name = "VARIABLE", default_value = "GATEWAY_KEY")]
        key_env: String,
    },
    /// Print the completions of a shell.
    Completions {
        /// The shell that reads the script.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
    /// Print a generated part of the documentation.
    #[command(hide = true, subcommand)]
    Docs(Docs),
}

#[derive(Clone, Debug, Subcommand)]
enum CatalogueCommand {
    /// Print what is known of a model: facts, prices with their sources, and their age.
    Show { model: String },
    /// Print in which models and prices FILE differs from the configured catalogue, or NEWER from FILE.
    Diff { file: PathBuf, newer: Option<PathBuf> },
    /// Convert FILE of litellm, genai-prices or models.dev to our own form, for `[catalogue] file`.
    Import {
        file: PathBuf,
        /// The file to write instead of the standard output
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
}

impl CatalogueCommand {
    fn run(&self, config: &Config) -> anyhow::Result<String> {
        let configured = config.catalogue.file.as_deref();
        match self {
            Self::Show { model } => show_model(configured, model),
            Self::Diff { file, newer } => diff_catalogues(configured, file, newer.as_deref()),
            Self::Import { file, output } => import_catalogue(file, output.as_deref()),
        }
    }
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Docs {
    /// The configuration reference.
    Configuration,
    /// The features that each dialect supports.
    Providers,
    /// The metrics.
    Metrics,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let source = ConfigSource::new(arguments.config.as_deref(), Environment::of_process());
    let source = source.checked_by(gateway_assembly::check);
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => run(&source),
        Command::Check => with_config(&source, print_ok),
        Command::Config => with_config(&source, |config| print(&config.show())),
        Command::Healthcheck => with_config(&source, healthcheck),
        Command::Plan => {
            config::planned_changes(&source).map_or_else(|it| print_errors(&it), |it| print(&it))
        }
        Command::Catalogue(command) => with_config(&source, |config| print(&command.run(config)?)),
        Command::Import { file, output } => {
            print(&import_configuration(&file, output.as_deref(), &Environment::of_process())?)
        }
        Command::Init => print(&init_configuration(source.path())?),
        Command::Chat { model, message, url, key_env } => {
            let message = Some(message.join(" ")).filter(|message| !message.is_empty());
            let key = Environment::of_process().get(&key_env).map(str::to_owned);
            let chat = TerminalChat { model, message, url, key };
            with_config(&source, |config| terminal_chat(config, &chat).map(|()| ExitCode::SUCCESS))
        }
        Command::Completions { shell } => completions(shell),
        Command::Man => manual(),
        Command::Docs(Docs::Configuration) => print(&config::docs::markdown()),
        Command::Docs(Docs::Providers) => print(&gateway_wire::feature_matrix::table()),
        Command::Docs(Docs::Metrics) => print(&gateway_engine::metric_names::markdown()),
    }
}

/// Runs a command on the configuration, or prints its errors.
fn with_config(
    source: &ConfigSource,
    command: impl FnOnce(&Config) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    source.load().map_or_else(|errors| print_errors(&errors), |loaded| command(&loaded.config))
}

/// Serves the configuration, or the last known good one if it is invalid and that is allowed.
fn run(source: &ConfigSource) -> anyhow::Result<ExitCode> {
    let (loaded, errors) = match source.load() {
        Ok(loaded) => (loaded, None),
        Err(errors) => match last_good::instead(source) {
            Some(loaded) => (loaded, Some(errors)),
            None => return print_errors(&errors),
        },
    };
    let log = instrumentation::log(&loaded.config.log)?;
    for error in errors.iter().flat_map(ConfigErrors::iter) {
        let message = "invalid configuration; starting with the last known good one";
        tracing::error!(target: "gateway::config", %error, message);
    }
    let logging = LogHandles { level: log.level.clone(), dropped: log.dropped_lines() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve::serve(source, loaded, logging));
    served.or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "gateway failed to start");
        // A restart mends neither a wrong configuration nor a store that cannot be opened.
        let is_config = error.downcast_ref::<InvalidConfig>().is_some()
            || error.downcast_ref::<StoreError>().is_some();
        Ok(if is_config { ExitCode::from(EX_CONFIG) } else { ExitCode::FAILURE })
    })
}

fn healthcheck(config: &Config) -> anyhow::Result<ExitCode> {
    let Err(error) = check_health(config) else { return Ok(ExitCode::SUCCESS) };
    writeln!(io::stderr(), "{error}")?;
    Ok(ExitCode::FAILURE)
}

fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "gateway-server", &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

fn manual() -> anyhow::Result<ExitCode> {
    clap_mangen::Man::new(Arguments::command()).render(&mut io::stdout())?;
    Ok(ExitCode::SUCCESS)
}

fn print_ok(config: &Config) -> anyhow::Result<ExitCode> {
    let unpriced = gateway_assembly::pricing_warnings(config);
    let warnings = config.warnings.iter().chain(&unpriced);
    let warnings = warnings.map(|warning| format!("warning: {warning}\n"));
    print(&(warnings.collect::<String>() + "ok\n"))
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints all errors of the configuration to the standard error.
fn print_errors(errors: &ConfigErrors) -> anyhow::Result<ExitCode> {
    write!(io::stderr(), "{errors}")?;
    Ok(ExitCode::from(EX_CONFIG))
}
