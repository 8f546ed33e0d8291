//! All tests, with what they need.
//!
//! The last line is `N passed, N failed`, over all runs.

use crate::{
    needs,
    process::tee,
    tally::Tally,
    terminal::say,
    workspace::{Workspace, program},
};
use anyhow::ensure;
use std::process::Command;

/// Runs all tests, and says how many there were.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let tally = count(workspace)?;
    say(tally.to_string());
    judge(tally)
}

/// Installs what is missing; runs every test, and every example in the documentation.
pub(crate) fn count(workspace: &Workspace) -> anyhow::Result<Tally> {
    needs::redis_server(&workspace.shell)?;
    needs::postgres_server(&workspace.shell)?;
    needs::strace(&workspace.shell);
    let mut tally = Tally::default();
    for arguments in runs(program("cargo-nextest").is_some()) {
        let mut cargo = Command::from(workspace.cargo("").args(arguments));
        let (status, output) = tee(&mut cargo)?;
        tally = tally + Tally::of(&output).ended(status.success());
    }
    Ok(tally)
}

/// An error, unless there were tests and all passed.
pub(crate) fn judge(tally: Tally) -> anyhow::Result<()> {
    ensure!(tally.failed == 0, "tests failed");
    ensure!(tally.passed > 0, "no test ran");
    Ok(())
}

/// Returns the test commands. Nextest is faster and isolates tests, but cannot run doc tests.
fn runs(nextest: bool) -> Vec<&'static [&'static str]> {
    if nextest {
        vec![
            &["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--no-tests=pass"],
            &["test", "--doc", "--workspace", "--locked", "--no-fail-fast"],
        ]
    } else {
        vec![&["test", "--workspace", "--locked", "--no-fail-fast"]]
    }
}

#[cfg(test)]
mod tests {
    use super::{judge, runs};
    use crate::tally::Tally;

    #[test]
    fn documentation_is_tested_either_way() {
        let plain = runs(false).concat();
        assert!(!plain.contains(&"--lib") && !plain.contains(&"--tests"), "{plain:?}");
        assert!(runs(true).concat().contains(&"--doc"));
    }

    #[test]
    fn no_test_at_all_is_a_failure() {
        assert!(judge(Tally { passed: 0, failed: 0 }).is_err());
        assert!(judge(Tally { passed: 2, failed: 1 }).is_err());
        judge(Tally { passed: 2, failed: 0 }).unwrap();
    }
}
