//! `cargo xtask`: what CI does, runnable here, in plain Rust instead of shell scripts.
//!
//! One module a task. `ci` is what has to pass before a commit; `cargo xtask --help` lists the rest.

mod bench;
mod catalogue;
mod ci;
mod clients;
mod clock;
mod conformance;
mod console;
mod deploy_check;
mod dialect;
mod dist;
mod embed;
mod field_names;
mod fuzz;
mod gateway;
mod http;
mod kit;
mod needs;
mod order;
mod package;
mod process;
mod release;
mod smoke;
mod tally;
mod terminal;
mod test;
mod tidy;
mod tool_loops;
mod workspace;

use crate::workspace::Workspace;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Maintenance tasks of the LLM gateway.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything that must pass before a commit: tidy, fmt, clippy, doc, test
    Ci,
    /// Check the rules that the compiler cannot
    Tidy(tidy::Arguments),
    /// Run all tests, after installing what they need
    Test,
    /// Start the release program without any configuration and ask it things
    Smoke(smoke::Arguments),
    /// Measure the gateway next to a bare proxy
    Bench(bench::Arguments),
    /// Generate the model catalogue from public data sets
    Catalogue(catalogue::CatalogueArguments),
    /// Replay recorded provider traffic to the gateway and compare its answers
    Conformance(conformance::Arguments),
    /// Build and run a program outside of the workspace that embeds the engine
    Embed(embed::EmbedArguments),
    /// Reduce a schema of a dialect to the names of its fields, for tests
    FieldNames(field_names::FieldNamesArguments),
    /// Use the console in a real browser
    Console(console::Arguments),
    /// Try the manifests: schemas, and the program's own reading of them
    DeployCheck(deploy_check::Arguments),
    /// Pack the release program with what belongs to it
    Dist(dist::Arguments),
    /// Build the server with its functions in the order of their use
    Order(order::OrderArguments),
    /// Pack every crate as it would be published
    Package(package::Arguments),
    /// Make a release, or say why there can be none
    Release(release::Arguments),
    /// Give the decoders odd inputs for a time
    Fuzz(fuzz::Arguments),
    /// Run real SDKs and command-line clients against the gateway
    Clients(clients::Arguments),
    /// Run the loops of real SDKs around models with tools against the gateway
    ToolLoops(tool_loops::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Ci => ci::run(&workspace),
        Task::Tidy(arguments) => tidy::run(&workspace, arguments),
        Task::Test => test::run(&workspace),
        Task::Smoke(arguments) => smoke::run(&workspace, arguments),
        Task::Bench(arguments) => bench::run(&workspace, arguments),
        Task::Catalogue(arguments) => catalogue::run(&workspace, arguments),
        Task::Conformance(arguments) => conformance::run(&workspace, arguments),
        Task::FieldNames(arguments) => field_names::run(&workspace, arguments),
        Task::Console(arguments) => console::run(&workspace, arguments),
        Task::DeployCheck(arguments) => deploy_check::run(&workspace, arguments),
        Task::Dist(arguments) => dist::run(&workspace, arguments),
        Task::Embed(arguments) => embed::run(&workspace, arguments),
        Task::Order(arguments) => order::run(&workspace, arguments),
        Task::Package(arguments) => package::run(&workspace, arguments),
        Task::Release(arguments) => release::run(&workspace, arguments),
        Task::Fuzz(arguments) => fuzz::run(&workspace, arguments),
        Task::Clients(arguments) => clients::run(&workspace, arguments),
        Task::ToolLoops(arguments) => tool_loops::run(&workspace, arguments),
    }
}
