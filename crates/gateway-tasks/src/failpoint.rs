//! Failpoints: panics that a test asks for.
//!
//! In debug builds, a file in the directory that is watched makes the failpoint of that name panic,
//! once. Other builds have none: the calls compile to nothing.

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
/// If the file `name` is in the directory; it is removed.
#[cfg(debug_assertions)]
pub fn failpoint(name: &str) {
    let Some(directory) = DIRECTORY.get() else { return };
    let is_asked_for = fs::remove_file(directory.join(name)).is_ok();
    assert!(!is_asked_for, "the failpoint {name} was reached");
}

/// Lets files in `directory` name failpoints that panic. In release builds, does nothing.
#[cfg(not(debug_assertions))]
pub fn watch_failpoints(_: PathBuf) {}

/// Panics if a test of a debug build has asked for it. In release builds, does nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn failpoint(_: &str) {}
