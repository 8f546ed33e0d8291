//! Failpoints: panics that a test asks for.
//!
//! In debug builds, a file in the directory that is watched makes the failpoint of that name panic,
//! once, or as often as the number in it says. Other builds have none: the calls compile to nothing.

use std::path::PathBuf;
#[cfg(debug_assertions)]
use std::{fs, sync::OnceLock};

#[cfg(debug_assertions)]
static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();

/// Lets files in `directory` name failpoints that panic. In release builds, does nothing.
#[cfg(debug_assertions)]
pub fn watch_failpoints(directory: PathBuf) {
    // The first one stays.
    drop(DIRECTORY.set(directory));
}

/// Panics if a test has asked for it: see [`watch_failpoints`].
///
/// # Panics
///
/// If the file `name` is in the directory. It is removed, or the number in it lowered.
#[cfg(debug_assertions)]
pub fn failpoint(name: &str) {
    let Some(directory) = DIRECTORY.get() else { return };
    let path = directory.join(name);
    let Ok(number) = fs::read_to_string(&path) else { return };
    let left = number.trim().parse::<u32>().unwrap_or(1).saturating_sub(1);
    let counted = if left == 0 { fs::remove_file(path) } else { fs::write(path, left.to_string()) };
    assert!(counted.is_err(), "the failpoint {name} was reached");
}

/// Lets files in `directory` name failpoints that panic. In release builds, does nothing.
#[cfg(not(debug_assertions))]
pub fn watch_failpoints(_: PathBuf) {}

/// Panics if a test of a debug build has asked for it. In release builds, does nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn failpoint(_: &str) {}
