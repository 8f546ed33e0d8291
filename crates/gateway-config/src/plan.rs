//! The changes that a reload would make.

use crate::{ConfigErrors, ConfigSource, LoadedConfig, changes, last_good};
use std::fmt::Write as _;

/// Returns the differences between the last known good configuration and the present one.
///
/// # Errors
///
/// All errors of the present configuration.
pub fn planned_changes(source: &ConfigSource) -> Result<String, ConfigErrors> {
    let LoadedConfig { config, .. } = source.load()?;
    let Some(previous) = last_good::load(source, &config.server.data_dir) else {
        return Ok("no configuration has been active yet: everything is new\n".to_owned());
    };
    let previous = match previous {
        Ok(previous) => previous.config,
        Err(errors) => {
            return Ok(format!("the last known good configuration is invalid today:\n{errors}"));
        }
    };
    let changes = changes::between(&previous, &config);
    let mut plan = String::new();
    for change in &changes {
        let _ = writeln!(plan, "{change}");
    }
    Ok(if changes.is_empty() { "no changes\n".to_owned() } else { plan })
}
