//! The cost of the gateway, compared with a proxy that only forwards bytes.
//!
//! Every round measures every scenario directly, through the bare proxy and through the gateway, so
//! that other load of the machine affects all three. The figure to trust is the median of the
//! processor time per request, or per chunk of a stream, and its ratio to the bare proxy.

pub(crate) mod instructions;
mod load;
mod memory;
mod programs;
mod scenarios;
mod summary;

use self::{
    load::{Load, Sample},
    programs::{LoadTarget, Programs},
    scenarios::Scenario,
};
use crate::{gateway::Binary, terminal::say, workspace::Workspace};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The arguments of `bench`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the measuring programs' sources [default: ../shared/bench]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Number of rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// One round of one second: a functional check, not a measurement
    #[arg(long)]
    quick: bool,
    /// Scenarios whose names contain this
    #[arg(long)]
    only: Option<String>,
    /// Leave out the memory
    #[arg(long)]
    no_memory: bool,
    #[command(flatten)]
    gate: GateArguments,
    #[command(flatten)]
    binary: Binary,
}

/// Whether and how to count instructions.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct GateArguments {
    /// Count instructions and hold them against the committed counts; needs valgrind only
    #[arg(long)]
    gate: bool,
    /// Commit the counts instead of comparing them
    #[arg(long, requires = "gate")]
    write: bool,
}

/// The samples of a scenario at a target.
type Samples = BTreeMap<(&'static str, LoadTarget), Vec<Sample>>;

/// Measures, and prints tables.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.gate.gate {
        let binary = arguments.binary.path(workspace)?;
        return instructions::gate(workspace, &binary, arguments.gate.write);
    }
    let sources = workspace.tools(arguments.dir.as_deref(), "bench")?;
    let folder = workspace.scratch("bench")?;
    let programs = Programs::build(workspace, &sources)?;
    let gateway = arguments.binary.path(workspace)?;
    let samples = time(&programs, &gateway, &folder, arguments)?;
    say(format!("\nprocessor time, in microseconds\n{}", summary::cpu(&samples)));
    say(format!("\nlatency, p50 in microseconds\n{}", summary::latency(&samples)));
    if !arguments.no_memory {
        let rows = memory::measure(&programs, &gateway, &folder, arguments.quick)?;
        say(format!("\nmemory\n{}", crate::terminal::table(&rows)));
    }
    Ok(())
}

fn time(
    programs: &Programs,
    gateway: &Path,
    folder: &Path,
    arguments: &Arguments,
) -> anyhow::Result<Samples> {
    let running = programs.start(gateway, folder)?;
    say(format!("the gateway answered after {:?}", running.gateway.started_in));
    let (rounds, seconds) =
        if arguments.quick { (1, 1.0) } else { (arguments.rounds, arguments.seconds) };
    let chosen: Vec<&Scenario> =
        scenarios::ALL.iter().filter(|it| it.is_called(arguments.only.as_deref())).collect();
    let mut samples = Samples::new();
    for round in 1..=rounds {
        for scenario in &chosen {
            say(format!("round {round} of {rounds}: {}", scenario.name));
            running.set_mock(scenario.mock())?;
            for target in LoadTarget::ALL {
                let load = Load { seconds, ..scenario.load(folder)? };
                let sample = load.run(programs, &running, target)?;
                samples.entry((scenario.name, target)).or_default().push(sample);
            }
        }
    }
    Ok(samples)
}
