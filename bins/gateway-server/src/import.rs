//! `gateway-server import`: the configuration of another gateway as `gateway.toml`.

use anyhow::Context as _;
use gateway_config::{Config, Environment};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

/// Converts `file`, and writes the configuration to `output`, which must not exist, or to the standard
/// output. The report goes to the standard error, with what `check` finds wrong.
///
/// # Errors
///
/// If the file cannot be read or is of no known program, or the output cannot be written.
pub fn import(file: &Path, output: Option<&Path>, env: &Environment) -> anyhow::Result<ExitCode> {
    let shown = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let imported = gateway_import::import(&text, &|name| env.get(name).map(str::to_owned))
        .with_context(|| format!("cannot import {shown}"))?;
    match output {
        Some(path) => write(path, &imported.toml)?,
        None => io::stdout().write_all(imported.toml.as_bytes())?,
    }
    let mut report = imported.report.to_string();
    let name = output.map_or_else(|| "gateway.toml".to_owned(), |path| path.display().to_string());
    let parsed = Config::parse_checked(Some((&name, &imported.toml)), env, gateway_assembly::check);
    match parsed {
        Ok(_) => report += "check: ok\n",
        Err(errors) => report += &format!("check:\n{errors}"),
    }
    io::stderr().write_all(report.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a new file, which only its owner can read: it may hold keys.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file =
        options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file.write_all(text.as_bytes())?)
}
