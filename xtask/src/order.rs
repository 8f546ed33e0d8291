//! Functions in the order of their use, for the linker.
//!
//! The kernel maps a page of a program together with its neighbours. Linked in the order in which
//! crates were compiled, the functions of a request are spread over the whole program, and an idle
//! gateway holds most of its code in memory. In the order of their use, functions of requests and of
//! the idle process come first, then those of the start, then the rest.

mod symbols;

use self::symbols::{SymbolOrder, SymbolTable};
use crate::{
    bench::instructions::{CountedRun, SCENARIOS},
    clock::pause,
    gateway::Binary,
    needs,
    terminal::say,
    workspace::Workspace,
};
use anyhow::ensure;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The arguments of `order`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OrderArguments {
    /// The profile to build and to link in order
    #[arg(long, default_value = "release")]
    profile: String,
}

/// The time for which the idle process is profiled: longer than the period of any of its tickers.
const IDLE: Duration = Duration::from_secs(7);

/// The share of the named functions, of 1, that must be in their order in the program.
const IN_ORDER: f64 = 0.95;

/// Builds the server, and builds it again with its functions in order.
pub(crate) fn run(workspace: &Workspace, arguments: &OrderArguments) -> anyhow::Result<()> {
    let program = build(workspace, &arguments.profile, &[])?;
    say(format!("order: {}", program.display()));
    Ok(())
}

/// Builds the server with its functions in order and returns the path of the program.
///
/// # Errors
///
/// If the linker did not keep the order.
pub(crate) fn build(
    workspace: &Workspace,
    profile: &str,
    features: &[&str],
) -> anyhow::Result<PathBuf> {
    needs::valgrind(&workspace.shell)?;
    let program = Binary::default().built(workspace, profile, features)?;
    let order = record(workspace, &program)?;
    let file = workspace.scratch("order")?.join("symbols.txt");
    fs::write(&file, order.text())?;
    let feature_flags = features.iter().map(|name| format!("--features={name}"));
    let build = workspace.cargo("rustc --locked -p gateway-server --bin gateway-server --profile");
    // A function that was inlined everywhere is in the file and not in the program.
    let linking =
        ["--no-warn-symbol-ordering", &format!("--symbol-ordering-file={}", file.display())]
            .map(|argument| format!("-Clink-arg=-Wl,{argument}"));
    build.arg(profile).args(feature_flags).arg("--").args(linking).run()?;
    check(workspace, &program, &order)?;
    Ok(program)
}

/// Runs the program under callgrind and returns the functions of requests, of the idle process and of the
/// start, in this order.
fn record(workspace: &Workspace, program: &Path) -> anyhow::Result<SymbolOrder> {
    let folder = workspace.scratch("order")?;
    let known = SymbolTable::of(workspace, program)?;
    let mut order = SymbolOrder::default();
    for store in ["memory", "embedded"] {
        let mut run = CountedRun::start_mangled(program, &folder, store)?;
        for scenario in SCENARIOS {
            order.add(&known, &run.profile(scenario)?);
        }
        order.add(
            &known,
            &run.profile_of(|| {
                pause(IDLE);
                Ok(())
            })?,
        );
    }
    let requests = order.len();
    order.add(&known, &CountedRun::profile_of_start(program, &folder)?);
    say(format!(
        "order: {requests} functions of requests and the idle process, {} of the start, {} in all",
        order.len() - requests,
        known.len()
    ));
    ensure!(requests > 1_000, "too few functions: does the program have its symbols?");
    Ok(order)
}

fn check(workspace: &Workspace, program: &Path, order: &SymbolOrder) -> anyhow::Result<()> {
    let share = SymbolTable::of(workspace, program)?.share_in_order(order);
    say(format!("order: {:.1} % of the functions are in order", share * 100.0));
    ensure!(share >= IN_ORDER, "the linker did not keep the order of functions");
    Ok(())
}
