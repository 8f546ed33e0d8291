//! The output of the commands about the catalogue of models and prices.

use crate::{catalogue_age, load_catalogue};
use anyhow::Context as _;
use gateway_catalogue::{TextCatalogue, catalogue_differences};
use gateway_core::Date;
use gateway_limits::DAY;
use gateway_tasks::unix_time;
use std::{fmt::Write as _, fs, path::Path};

/// Describes a model: facts, rules, prices with their sources, and their age. `configured` is the file
/// of the configured catalogue.
///
/// # Errors
///
/// If the file cannot be read, or nothing is known of the model.
pub fn show_model(configured: Option<&Path>, model: &str) -> anyhow::Result<String> {
    show(&load_catalogue(configured)?, model)
}

/// Lists the models and prices in which `file` differs from the configured catalogue, or `newer` from
/// `file`.
///
/// # Errors
///
/// If a file cannot be read.
pub fn diff_catalogues(
    configured: Option<&Path>,
    file: &Path,
    newer: Option<&Path>,
) -> anyhow::Result<String> {
    match newer {
        None => diff(&load_catalogue(configured)?, &load_catalogue(Some(file))?),
        Some(newer) => diff(&load_catalogue(Some(file))?, &load_catalogue(Some(newer))?),
    }
}

/// Converts a file of any known form to our own: written to `output`, or returned.
///
/// # Errors
///
/// If a file cannot be read or written.
pub fn import_catalogue(file: &Path, output: Option<&Path>) -> anyhow::Result<String> {
    let catalogue = load_catalogue(Some(file))?;
    let Some(output) = output else { return Ok(catalogue.text().to_owned()) };
    fs::write(output, catalogue.text()).with_context(|| output.display().to_string())?;
    Ok(format!("{} models written\n", catalogue.rows().count()))
}

fn show(catalogue: &TextCatalogue, model: &str) -> anyhow::Result<String> {
    let today = Date::from_days_since_epoch(unix_time().as_secs() / DAY);
    let providers = catalogue.providers();
    let of_provider = model.split_once('/').filter(|(it, _)| providers.iter().any(|id| id == it));
    let mut out = String::new();
    if let Some((provider, name)) = of_provider {
        out.extend(catalogue.describe(provider, name, today));
    }
    if out.is_empty() {
        let has = |provider: &&String| catalogue.row(provider, model).is_some();
        let known: Vec<_> = providers.iter().filter(has).collect();
        // Without a row of exactly this name, what its family says.
        let providers = if known.is_empty() { providers.iter().collect() } else { known };
        for provider in providers {
            out.extend(catalogue.describe(provider, model, today));
        }
    }
    anyhow::ensure!(!out.is_empty(), "nothing is known of the model `{}`", model.escape_debug());
    let day = catalogue.generated().map_or_else(|| "unknown".to_owned(), Date::text);
    let age = catalogue_age(catalogue).map(|days| format!(", {days} days old")).unwrap_or_default();
    let _ = writeln!(out, "prices as of {day}{age}; US dollars per million tokens");
    for source in catalogue.sources() {
        let _ = writeln!(out, "source {source}");
    }
    Ok(out)
}

fn diff(old: &TextCatalogue, new: &TextCatalogue) -> anyhow::Result<String> {
    let differences = catalogue_differences(old, new);
    if differences.is_empty() {
        return Ok("no differences\n".to_owned());
    }
    let day = |it: &TextCatalogue| it.generated().map_or_else(|| "unknown".to_owned(), Date::text);
    let mut out = format!("prices as of {} -> {}\n", day(old), day(new));
    for difference in &differences {
        write!(out, "{difference}")?;
    }
    writeln!(out, "{} models differ", differences.len())?;
    Ok(out)
}
