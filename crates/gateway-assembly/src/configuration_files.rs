//! The commands that write a configuration file: to begin with, or from another gateway's.

use anyhow::Context as _;
use gateway_config::{Config, Environment, template};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

/// Writes a configuration file with every setting as a comment, unless there is one.
///
/// # Errors
///
/// If the file exists or cannot be written.
pub fn init_configuration(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let file = File::create_new(path).with_context(|| format!("cannot create {shown}"));
    file?
        .write_all(template::text().as_bytes())
        .with_context(|| format!("cannot write {shown}"))?;
    Ok(format!("wrote {shown}; `gateway-server check` validates it\n"))
}

/// Converts `file`: the configuration is written to `output`, which must not exist, or returned.
/// The report goes to the standard error, with what `check` finds wrong.
///
/// # Errors
///
/// If the file cannot be read or is of no known program, or the output cannot be written.
pub fn import_configuration(
    file: &Path,
    output: Option<&Path>,
    env: &Environment,
) -> anyhow::Result<String> {
    let shown = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let imported = gateway_import::import(&text, &|name| env.get(name).map(str::to_owned))
        .with_context(|| format!("cannot import {shown}"))?;
    if let Some(path) = output {
        write_private(path, &imported.toml)?;
    }
    let name = output.map_or_else(|| "gateway.toml".to_owned(), |path| path.display().to_string());
    let report = imported.report;
    let report = match Config::parse_checked(Some((&name, &imported.toml)), env, crate::check) {
        Ok(_) => format!("{report}check: ok\n"),
        Err(errors) => format!("{report}check:\n{errors}"),
    };
    io::stderr().write_all(report.as_bytes())?;
    Ok(if output.is_some() { String::new() } else { imported.toml })
}

/// Writes a new file, which only its owner can read: it may hold keys.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file =
        options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file.write_all(text.as_bytes())?)
}
