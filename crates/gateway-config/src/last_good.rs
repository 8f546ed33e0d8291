//! The last known good configuration, in the data directory.

use crate::{ConfigErrors, ConfigSource, LoadedConfig};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The file name in the data directory.
const NAME: &str = "last-good.toml";

/// Saves `text` as the last known good configuration; without a text, removes it.
///
/// # Errors
///
/// If the directory cannot be written to.
pub fn keep(data_dir: &Path, text: Option<&str>) -> io::Result<()> {
    let path = data_dir.join(NAME);
    let Some(text) = text else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
    };
    fs::create_dir_all(data_dir)?;
    let new = data_dir.join(format!("{NAME}.new"));
    // The file may contain keys.
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

/// Loads the last known good configuration with the present variables; `None` if there is none.
pub fn load(source: &ConfigSource, data_dir: &Path) -> Option<Result<LoadedConfig, ConfigErrors>> {
    let text = fs::read_to_string(data_dir.join(NAME)).ok()?;
    Some(source.parse(&text))
}

/// Returns the data directory of a configuration that may be invalid.
pub fn data_dir(source: &ConfigSource) -> PathBuf {
    let names = ["LLM_GATEWAY_DATA_DIR", "LLM_GATEWAY_SERVER__DATA_DIR"];
    source.glimpse("server", "data_dir", &names).map_or_else(|| "./data".into(), PathBuf::from)
}

/// Returns the last known good configuration to start with instead of the invalid `source`, if that
/// is allowed.
pub fn instead(source: &ConfigSource) -> Option<LoadedConfig> {
    let names = ["LLM_GATEWAY_START_FROM_LAST_GOOD", "LLM_GATEWAY_LIFECYCLE__START_FROM_LAST_GOOD"];
    let wanted = source.glimpse("lifecycle", "start_from_last_good", &names)?;
    if !["true", "1", "yes", "on"].contains(&wanted.to_lowercase().as_str()) {
        return None;
    }
    load(source, &data_dir(source))?.ok()
}
