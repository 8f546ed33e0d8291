//! Fuzzing, with libFuzzer on a stable compiler.
//!
//! `cargo fuzz` wants a nightly one for its sanitizers. What libFuzzer itself needs, counters of the
//! edges that an input takes, a stable compiler can add; safe code has little use for the rest.

use crate::{process::tee, terminal::say, workspace::Workspace};
use anyhow::{Context as _, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The arguments of `fuzz`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// These targets only; all by default
    #[arg(long, value_delimiter = ',')]
    targets: Vec<String>,
    /// Time per target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Maximum input size
    #[arg(long, default_value_t = 4096)]
    max_len: u32,
}

/// The directory of the corpus.
const CORPUS: &str = "fuzz/corpus";
/// The package that is built for it.
const MANIFEST: &str = "fuzz/libfuzzer/Cargo.toml";
/// The compiler flags for coverage and comparison tracing.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Fuzzes one target after the other; fails at the first that fails.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    let program = build(workspace)?;
    let scratch = workspace.scratch("fuzz")?;
    for target in targets(workspace, arguments)? {
        say(format!("fuzz: {target} for {} s", arguments.seconds));
        let found = scratch.join(&target);
        fs::create_dir_all(&found)?;
        let kept = workspace.root.join(CORPUS).join(&target);
        let mut fuzzer = Command::new(&program);
        fuzzer.env("FUZZ_TARGET", &target).args(flags(arguments, &scratch, &target));
        let (status, output) = tee(fuzzer.arg(&found).arg(&kept))?;
        ensure!(status.success(), "{target} failed: see {}", scratch.display());
        say(format!("fuzz: {target}: {} executions", executions(&output).unwrap_or_default()));
    }
    Ok(())
}

/// Builds the fuzzer; the flags are for what is fuzzed, not for what builds it.
fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let version = Command::new("rustc").arg("-vV").output().context("rustc does not run")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say what it runs on")?;
    let folder = workspace.target.join("fuzz");
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "--release",
        "--target",
        host,
        "--bin",
        "any",
        "--manifest-path",
        MANIFEST,
    ]);
    cargo.arg("--target-dir").arg(&folder).env("RUSTFLAGS", FLAGS).current_dir(&workspace.root);
    ensure!(cargo.status()?.success(), "the fuzzer cannot be built");
    Ok(folder.join(host).join("release").join("any"))
}

/// The folders of inputs are the targets.
fn targets(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<Vec<String>> {
    if !arguments.targets.is_empty() {
        return Ok(arguments.targets.clone());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace.root.join(CORPUS)).context(CORPUS)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn flags(arguments: &Arguments, scratch: &Path, target: &str) -> Vec<String> {
    vec![
        format!("-max_total_time={}", arguments.seconds),
        format!("-max_len={}", arguments.max_len),
        format!("-artifact_prefix={}/{target}-", scratch.display()),
        "-print_final_stats=1".to_owned(),
        "-timeout=10".to_owned(),
        "-rss_limit_mb=1024".to_owned(),
        "-verbosity=1".to_owned(),
    ]
}

/// Parses `stat::number_of_executed_units: 1234`.
fn executions(output: &str) -> Option<u64> {
    let told = output.lines().find_map(|it| it.strip_prefix("stat::number_of_executed_units:"))?;
    told.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Arguments, executions, flags};
    use clap::Parser;
    use std::path::Path;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn time_and_size_limits_are_passed_on() {
        let line = Line::parse_from(["x", "--seconds", "600", "--targets", "a,b"]);
        assert_eq!(line.arguments.targets, ["a", "b"]);
        let flags = flags(&line.arguments, Path::new("/s"), "a").join(" ");
        assert!(flags.starts_with("-max_total_time=600 -max_len=4096 -artifact_prefix=/s/a-"));
    }

    #[test]
    fn executions_are_counted() {
        let output = "#2 DONE\nstat::number_of_executed_units: 1234\nstat::peak_rss_mb: 5\n";
        assert_eq!(executions(output), Some(1234));
        assert_eq!(executions("nothing"), None);
    }
}
