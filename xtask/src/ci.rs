//! Everything that must pass before a commit, in the order in which it tends to fail.

use crate::{
    clock::Stopwatch,
    console, embed, package,
    tally::Tally,
    terminal::{say, table},
    test, tidy,
    workspace::{Workspace, program},
};
use anyhow::Context as _;

/// Runs the steps, up to the first that fails, and prints what each took.
///
/// The last line is the count of the tests.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut times = Vec::new();
    let tally = steps(workspace, &mut times);
    say(format!("\n{}\n", table(&times)));
    let tally = tally?;
    say(tally.to_string());
    test::judge(tally)
}

fn steps(workspace: &Workspace, times: &mut Vec<Vec<String>>) -> anyhow::Result<Tally> {
    let mut step = CiSteps { times };
    step.run("tidy", || tidy::run(workspace, &tidy::Arguments::default()))?;
    step.run("fmt", || formatted(workspace))?;
    step.run("clippy", || linted(workspace))?;
    step.run("doc", || documented(workspace))?;
    step.run("deny", || permitted(workspace))?;
    step.run("features", || featureless(workspace))?;
    step.run("package", || package::run(workspace, &package::Arguments::default()))?;
    step.run("embed", || embed::run(workspace, &embed::EmbedArguments::default()))?;
    let tally = step.run("test", || test::count(workspace))?;
    step.run("console", || console::in_ci(workspace))?;
    Ok(tally)
}

/// The steps taken so far, and their times.
struct CiSteps<'a> {
    times: &'a mut Vec<Vec<String>>,
}

impl CiSteps<'_> {
    fn run<T>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        say(format!("ci: {name}"));
        let watch = Stopwatch::start();
        let done = work().with_context(|| format!("{name} failed"));
        let seconds = watch.elapsed().as_secs_f64();
        self.times.push(vec![name.to_owned(), format!("{seconds:.1} s")]);
        done
    }
}

fn formatted(workspace: &Workspace) -> anyhow::Result<()> {
    Ok(workspace.cargo("fmt --all --check").run()?)
}

fn linted(workspace: &Workspace) -> anyhow::Result<()> {
    Ok(workspace.cargo("clippy --workspace --all-targets --locked -- -D warnings").run()?)
}

fn documented(workspace: &Workspace) -> anyhow::Result<()> {
    let doc = workspace.cargo("doc --workspace --no-deps --locked");
    Ok(doc.env("RUSTDOCFLAGS", "-D warnings").run()?)
}

/// The server without its optional parts.
fn featureless(workspace: &Workspace) -> anyhow::Result<()> {
    let check = workspace.cargo("check --package gateway-server --no-default-features --locked");
    Ok(check.run()?)
}

/// Licences, bans and sources. Advisories change without us, and are asked for when we release.
fn permitted(workspace: &Workspace) -> anyhow::Result<()> {
    if program("cargo-deny").is_none() {
        say("cargo-deny is not installed: left out");
        return Ok(());
    }
    Ok(workspace.cargo("deny --offline check bans licenses sources").run()?)
}

#[cfg(test)]
mod tests {
    use super::CiSteps;

    #[test]
    fn failed_step_reports_name_and_time() {
        let mut times = Vec::new();
        let mut steps = CiSteps { times: &mut times };
        assert_eq!(steps.run("first", || Ok(1)).unwrap(), 1);
        let error = steps.run("second", || anyhow::bail!("no") as anyhow::Result<()>).unwrap_err();
        assert_eq!(format!("{error:#}"), "second failed: no");
        let names: Vec<&str> = times.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(names, ["first", "second"]);
    }
}
