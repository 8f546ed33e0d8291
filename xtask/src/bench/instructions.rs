//! Instructions and allocations of single requests and chunks, counted by callgrind.
//!
//! They repeat to a fraction of a percent on one kind of machine, and need nothing beside this
//! repository and valgrind. On a machine that does something else as well, a body arrives in more
//! pieces and a thread waits more often: each scenario is counted several times, and the least counts. `bench --gate` holds them against the committed
//! ones.

mod answers;
mod callgrind;
mod client;
mod committed;
mod profile;
mod run;
mod scenarios;
mod upstream;

pub(crate) use self::{run::CountedRun, scenarios::SCENARIOS};

use self::{committed::CommittedCounts, profile::ProfileCounts, scenarios::CountedScenario};
use crate::{
    terminal::{say, table},
    workspace::Workspace,
};
use anyhow::ensure;
use std::{fs, path::Path};

/// The number of times that each scenario is counted.
const RUNS: usize = 5;

/// The instructions and allocations of one request, or of one chunk of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
struct UnitCounts {
    instructions: f64,
    allocations: f64,
}

/// Counts, and compares with the committed counts; or commits them if `write`.
///
/// # Errors
///
/// If a count has risen above the committed one by more than the tolerance.
pub(super) fn gate(workspace: &Workspace, binary: &Path, write: bool) -> anyhow::Result<()> {
    if !callgrind::is_available() {
        say("valgrind is not installed: the instruction counts are left out");
        return Ok(());
    }
    let counted = count(workspace, binary)?;
    let file = workspace.root.join(committed::FILE);
    let committed = CommittedCounts::parse(&fs::read_to_string(&file).unwrap_or_default());
    let rows = committed.compare(&counted);
    say(table(&rows.cells));
    if write {
        fs::write(&file, CommittedCounts::text(&counted))?;
        say(format!("wrote {}", committed::FILE));
        return Ok(());
    }
    let problems = rows.problems.len();
    rows.problems.iter().for_each(|problem| say(format!("bench: {problem}")));
    ensure!(
        problems == 0,
        "{problems} counts have risen: `cargo xtask bench --gate --write` if meant"
    );
    Ok(())
}

/// Counts every scenario, in one process of the gateway.
fn count(workspace: &Workspace, binary: &Path) -> anyhow::Result<Vec<(&'static str, UnitCounts)>> {
    let folder = workspace.scratch("callgrind")?;
    let mut run = CountedRun::start(binary, &folder, "memory")?;
    let mut counted = Vec::new();
    for scenario in SCENARIOS {
        let mut least = UnitCounts { instructions: f64::MAX, allocations: f64::MAX };
        for _ in 0..RUNS {
            let counts = ProfileCounts::parse(&run.profile(scenario)?);
            ensure!(counts.instructions > 0, "{}: nothing was counted", scenario.name);
            least = least.least(scenario.per_unit(counts));
        }
        counted.push((scenario.name, least));
    }
    Ok(counted)
}

impl UnitCounts {
    /// Returns the lower one of each count.
    const fn least(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.min(other.instructions),
            allocations: self.allocations.min(other.allocations),
        }
    }
}

impl CountedScenario {
    /// The counts of one request, or of one chunk.
    fn per_unit(&self, counts: ProfileCounts) -> UnitCounts {
        let units = f64::from(self.units());
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let share = |count: u64| count as f64 / units;
        UnitCounts {
            instructions: share(counts.instructions),
            allocations: share(counts.allocations),
        }
    }
}
