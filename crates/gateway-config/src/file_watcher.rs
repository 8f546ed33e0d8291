//! Detection of file changes by polling, reported once the file is stable.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::sleep;

/// The interval between two polls.
const LOOK: Duration = Duration::from_secs(1);

/// A watched file. A changed symbolic link on its path, as of Kubernetes, is a change.
#[derive(Debug)]
pub struct FileWatcher {
    path: PathBuf,
    known: Option<Stamp>,
}

/// The identity of a file's content: device, inode, length, modification time.
type Stamp = (u64, u64, u64, i64, i64);

impl FileWatcher {
    /// Watches the file from its present state.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), known: stamp(path) }
    }

    /// Waits until the file has changed and stayed the same for a second, so that a write in several
    /// steps is complete. A missing file is no change.
    pub async fn changed(&mut self) {
        let mut before = self.known;
        loop {
            sleep(LOOK).await;
            let now = stamp(&self.path);
            if now.is_some() && now == before && now != self.known {
                self.known = now;
                return;
            }
            before = now;
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
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
