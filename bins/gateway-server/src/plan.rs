//! What a reload would change.

use crate::config::{Loaded, Problems, Source, changes, last_good};
use std::fmt::Write as _;

/// What would change of what last counted under the data directory, if the file counted now.
///
/// # Errors
///
/// Everything that is wrong with the file.
pub fn of(source: &Source) -> Result<String, Problems> {
    let Loaded { config, .. } = source.load()?;
    let Some(before) = last_good::load(source, &config.server.data_dir) else {
        return Ok("nothing has counted yet: all of the file is new\n".to_owned());
    };
    let before = match before {
        Ok(before) => before.config,
        Err(problems) => {
            return Ok(format!("what last counted would be refused today:\n{problems}"));
        }
    };
    let changes = changes::between(&before, &config);
    let mut told = String::new();
    for change in &changes {
        let _ = writeln!(told, "{change}");
    }
    if changes.is_empty() {
        told.push_str("no changes\n");
    }
    Ok(told)
}
