//! Notices that a file has changed: looked at every second, and only once it rests.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::sleep;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A file that may change. Kubernetes changes a link on the way to it, which counts.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    known: Option<Stamp>,
}

/// What differs when a file was written: device, file, length, and when.
type Stamp = (u64, u64, u64, i64, i64);

impl Watched {
    /// The file as it is now.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), known: stamp(path) }
    }

    /// Waits until the file differs from what is known of it, and has been so for a second: who
    /// writes in several steps has finished. A file that is gone is not read.
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
    async fn a_change_is_noticed_when_it_rests() {
        let path = std::env::temp_dir().join(format!("gateway-watched-{}", std::process::id()));
        std::fs::write(&path, "a").unwrap();
        let mut watched = Watched::new(&path);
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
