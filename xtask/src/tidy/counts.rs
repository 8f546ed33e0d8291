//! The rules that the code does not keep everywhere yet: how often each crate breaks them.

use super::{
    Source,
    code::{RustFile, import_circles, long_functions, rust_files, unread_settings},
    language,
    ratchet::{self, Allowances, Finding, Measurement},
};
use crate::{terminal::say, workspace::Workspace};
use anyhow::Context as _;
use std::{collections::BTreeMap, fs};

/// The program that puts the crates together, and no more.
const BINARY: &str = "gateway-server";

/// Compares the counts with what is allowed, after lowering that if `write`.
pub(super) fn check(
    workspace: &Workspace,
    files: &[Source],
    write: bool,
) -> anyhow::Result<Vec<String>> {
    let measurements = measure(workspace, files);
    let mut allowances = allowances(files);
    if write {
        allowances = ratchet::lowered(&measurements, &allowances);
        fs::write(workspace.root.join(ratchet::FILE), allowances.text())?;
    }
    Ok(ratchet::check(&measurements, &allowances))
}

/// Counts every rule in every crate.
fn measure(workspace: &Workspace, files: &[Source]) -> Vec<Measurement> {
    let code = rust_files(&workspace.root, &workspace.packages, files);
    let mut measurements = language::measure(&code, files);
    measurements.push(circles(&code));
    measurements.push(functions(&code));
    measurements.push(binary_lines(&code));
    measurements.push(settings(&code));
    measurements
}

/// Reads what is allowed.
fn allowances(files: &[Source]) -> Allowances {
    let file = files.iter().find(|file| file.path == ratchet::FILE);
    Allowances::parse(file.map_or("", |file| &file.text))
}

/// Prints every place where a rule is broken.
pub(super) fn show(workspace: &Workspace, files: &[Source], rule: &str) -> anyhow::Result<()> {
    let measurements = measure(workspace, files);
    let names: Vec<&str> = measurements.iter().map(|it| it.rule).collect();
    let measurement = measurements.iter().find(|it| it.rule == rule);
    let measurement = measurement.with_context(|| format!("rules are {}", names.join(", ")))?;
    for (package, count) in &measurement.crates {
        count.found.iter().for_each(|finding| say(format!("{package}: {finding}")));
    }
    Ok(())
}

fn circles(code: &[RustFile<'_>]) -> Measurement {
    let mut crates: BTreeMap<&str, Vec<&RustFile<'_>>> = BTreeMap::new();
    for file in code {
        crates.entry(file.package).or_default().push(file);
    }
    let mut measurement = Measurement::new("files-in-import-circles", 0);
    for (package, files) in crates {
        measurement.add(package, files.len(), import_circles(&files));
    }
    measurement
}

fn functions(code: &[RustFile<'_>]) -> Measurement {
    let mut measurement = Measurement::new("long-functions", 0);
    for file in code {
        measurement.add(file.package, 0, long_functions(file));
    }
    measurement
}

fn settings(code: &[RustFile<'_>]) -> Measurement {
    let mut measurement = Measurement::new("unread-settings", 0);
    measurement.add("gateway-config", 0, unread_settings(code));
    measurement
}

/// The lines of the binary; a line of the file of counts stands for one line of code.
fn binary_lines(code: &[RustFile<'_>]) -> Measurement {
    let mut measurement = Measurement::new("binary-lines", 0);
    for file in code.iter().filter(|file| file.package == BINARY && !file.is_test()) {
        let lines = file.code.lines().count();
        let finding = |line| Finding { path: file.path.to_owned(), line, what: String::new() };
        measurement.add(BINARY, lines, (1..=lines).map(finding).collect());
    }
    measurement
}
