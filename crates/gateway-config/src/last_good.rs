//! The configuration that last counted, kept beside the data.

use crate::{Loaded, Problems, Source};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Its name in the data directory.
const NAME: &str = "last-good.toml";

/// Keeps `text` as what last counted; without a text, forgets what did.
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
    // It may hold keys.
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

/// What last counted under `data_dir`, read together with the present variables; `None` if nothing
/// was kept.
pub fn load(source: &Source, data_dir: &Path) -> Option<Result<Loaded, Problems>> {
    let text = fs::read_to_string(data_dir.join(NAME)).ok()?;
    Some(source.parse(&text))
}

/// The data directory of a configuration that may have mistakes.
pub fn data_dir(source: &Source) -> PathBuf {
    let names = ["LLM_GATEWAY_DATA_DIR", "LLM_GATEWAY_SERVER__DATA_DIR"];
    source.glimpse("server", "data_dir", &names).map_or_else(|| "./data".into(), PathBuf::from)
}

/// What to start with although `source` has mistakes, if that is wanted and there is something.
pub fn instead(source: &Source) -> Option<Loaded> {
    let names = ["LLM_GATEWAY_START_FROM_LAST_GOOD", "LLM_GATEWAY_LIFECYCLE__START_FROM_LAST_GOOD"];
    let wanted = source.glimpse("lifecycle", "start_from_last_good", &names)?;
    if !["true", "1", "yes", "on"].contains(&wanted.to_lowercase().as_str()) {
        return None;
    }
    load(source, &data_dir(source))?.ok()
}
