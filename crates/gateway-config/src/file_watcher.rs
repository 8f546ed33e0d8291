//! Detection of file changes by polling, reported once the file is stable.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::sleep;

/// The interval between two polls.
const LOOK: Duration = Duration::from_secs(1);

/// A watched file, and another that it names. A changed symbolic link on a path, as of Kubernetes, is a
/// change.
#[derive(Debug)]
pub struct FileWatcher {
    file: WatchedFile,
    named: Option<WatchedFile>,
}

#[derive(Debug)]
struct WatchedFile {
    path: PathBuf,
    known: Option<FileStamp>,
    before: Option<FileStamp>,
}

/// The identity of a file's content: device, inode, length, modification time.
type FileStamp = (u64, u64, u64, i64, i64);

impl FileWatcher {
    /// Watches the file from its present state.
    pub fn new(path: &Path) -> Self {
        Self { file: WatchedFile::new(path), named: None }
    }

    /// Watches the file at `path` too, from now on if it was not watched; only the first if absent.
    pub fn follow(&mut self, path: Option<&Path>) {
        let known = self.named.take().filter(|named| Some(&*named.path) == path);
        self.named = known.or_else(|| path.map(WatchedFile::new));
    }

    /// Waits until a file has changed and stayed the same for a second, so that a write in several
    /// steps is complete. A missing file is no change.
    pub async fn changed(&mut self) {
        loop {
            sleep(LOOK).await;
            let is_named_changed = self.named.as_mut().is_some_and(WatchedFile::has_changed);
            if self.file.has_changed() || is_named_changed {
                return;
            }
        }
    }
}

impl WatchedFile {
    fn new(path: &Path) -> Self {
        let known = stamp(path);
        Self { path: path.to_owned(), known, before: known }
    }

    fn has_changed(&mut self) -> bool {
        let now = stamp(&self.path);
        let is_stable = now == std::mem::replace(&mut self.before, now);
        let has_changed = now.is_some() && is_stable && now != self.known;
        if has_changed {
            self.known = now;
        }
        has_changed
    }
}

fn stamp(path: &Path) -> Option<FileStamp> {
    let it = std::fs::metadata(path).ok()?;
    Some((it.dev(), it.ino(), it.len(), it.mtime(), it.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, timeout};

    #[tokio::test(start_paused = true)]
    async fn change_is_reported_once_stable() {
        let path = std::env::temp_dir().join(format!("gateway-watched-{}", std::process::id()));
        std::fs::write(&path, "a").unwrap();
        let mut watched = FileWatcher::new(&path);
        assert!(timeout(Duration::from_secs(10), watched.changed()).await.is_err());
        std::fs::write(&path, "ab").unwrap();
        let began = Instant::now();
        watched.changed().await;
        assert!(began.elapsed() >= 2 * LOOK, "it is looked at twice");
        assert!(timeout(Duration::from_secs(10), watched.changed()).await.is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(timeout(Duration::from_secs(10), watched.changed()).await.is_err());
    }
}
