//! The usage journal in files: a directory for each process run.
//!
//! ```text
//! usage-journal/{run}/lock          locked as long as the process runs
//! usage-journal/{run}/00000001.log  lines; the file after it follows once this one is large
//! ```
//!
//! A line is written by one call, into the page cache of the operating system: no line waits for
//! the disk, and a killed process loses none. What a power cut may take is on the disk within the
//! system's own write-back time.

use gateway_core::{
    state::{AbandonedJournal, StoreError, UsageJournal},
    sync,
};
use gateway_tasks::run_name;
use metrics::counter;
use std::{
    collections::{HashMap, VecDeque},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};
use tokio::time::Instant;

/// The size from which on a new file is begun, in bytes.
const LARGE: u64 = 512 << 10;

/// The time after which a write counts as stuck: the disk is in trouble.
const STUCK: Duration = Duration::from_millis(100);

/// The time without a journal after a write that failed or was stuck.
const PAUSE: Duration = Duration::from_secs(1);

/// The name of the lock.
const LOCK: &str = "lock";

/// The usage journal of this process.
#[derive(Debug)]
pub struct FileJournal {
    root: PathBuf,
    run: String,
    active: Mutex<ActiveFile>,
    /// The locks of journals that were taken over.
    taken: Mutex<HashMap<String, File>>,
    _lock: File,
}

/// The file that is written to, and those before it.
#[derive(Debug)]
struct ActiveFile {
    file: File,
    path: PathBuf,
    number: u32,
    bytes: u64,
    /// The batch that the lines now are part of.
    batch: u64,
    /// Full files, each with the last batch that it has lines of.
    full: VecDeque<(PathBuf, u64)>,
    /// The end of the time without a journal.
    paused_until: Option<Instant>,
}

impl FileJournal {
    /// Begins a journal in the directory `root`, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written.
    pub fn open(root: &Path) -> io::Result<Self> {
        let run = run_name();
        let directory = root.join(&run);
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let lock = create(&directory.join(LOCK))?;
        lock.try_lock()?;
        let path = log_path(&directory, 1);
        let active = ActiveFile {
            file: create(&path)?,
            path,
            number: 1,
            bytes: 0,
            batch: 1,
            full: VecDeque::new(),
            paused_until: None,
        };
        let (active, taken) = (Mutex::new(active), Mutex::default());
        Ok(Self { root: root.to_owned(), run, active, taken, _lock: lock })
    }

    /// Begins a new file if the present one is large.
    fn rotate(&self) -> io::Result<()> {
        let number = {
            let active = sync::lock(&self.active);
            if active.bytes < LARGE {
                return Ok(());
            }
            active.number + 1
        };
        // Not under the lock: requests append meanwhile.
        let path = log_path(&self.root.join(&self.run), number);
        let file = create(&path)?;
        let mut active = sync::lock(&self.active);
        let (batch, full) = (active.batch, std::mem::replace(&mut active.path, path));
        active.full.push_back((full, batch));
        (active.file, active.number, active.bytes) = (file, number, 0);
        Ok(())
    }

    /// Reads the journal of `run` if its process has ended.
    fn take(&self, run: &str) -> io::Result<Option<AbandonedJournal>> {
        let directory = self.root.join(run);
        let lock = OpenOptions::new().read(true).write(true).open(directory.join(LOCK))?;
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "log") {
                paths.push(path);
            }
        }
        // Their numbers have leading zeros.
        paths.sort_unstable();
        let mut lines = Vec::new();
        for path in paths {
            lines.extend(fs::read(path)?);
        }
        sync::lock(&self.taken).insert(run.to_owned(), lock);
        Ok(Some(AbandonedJournal { run: run.to_owned(), lines }))
    }
}

impl ActiveFile {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let began = Instant::now();
        if let Some(until) = self.paused_until {
            if began < until {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            self.paused_until = None;
        }
        let written = self.file.write_all(line);
        if let Err(error) = written {
            // A line that is cut must not spoil the next one.
            let _ = self.file.set_len(self.bytes);
            self.pause(began, &error);
            return Err(error);
        }
        self.bytes += line.len() as u64;
        if began.elapsed() > STUCK {
            self.pause(began, &"the disk is slow");
        }
        Ok(())
    }

    /// Stops writing for a moment, so that a disk in trouble delays few requests.
    fn pause(&mut self, now: Instant, cause: &dyn std::fmt::Display) {
        self.paused_until = Some(now + PAUSE);
        counter!("llm_gateway_usage_journal_pauses_total").increment(1);
        tracing::warn!(
            %cause,
            "usage journal paused; a crash now may lose the usage of the last second"
        );
    }
}

impl UsageJournal for FileJournal {
    fn run(&self) -> &str {
        &self.run
    }

    fn append(&self, line: &[u8]) -> Result<(), StoreError> {
        sync::lock(&self.active).append(line).map_err(unavailable)
    }

    fn end_batch(&self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        let mut active = sync::lock(&self.active);
        active.batch = number + 1;
        active.append(line).map_err(unavailable)
    }

    fn release(&self, number: u64) {
        if let Err(error) = self.rotate() {
            tracing::warn!(%error, "a new file of the usage journal cannot be created");
        }
        let mut released = Vec::new();
        {
            let mut active = sync::lock(&self.active);
            while active.full.front().is_some_and(|(_, last)| *last <= number) {
                released.extend(active.full.pop_front());
            }
        }
        for (path, _) in released {
            // Lines that stay are recorded again, which changes nothing.
            let _ = fs::remove_file(path);
        }
    }

    fn abandoned(&self) -> Vec<AbandonedJournal> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let others = names.filter(|name| *name != self.run);
        let read = others.filter_map(|name| match self.take(&name) {
            Ok(journal) => journal,
            Err(error) => {
                tracing::warn!(journal = name, %error, "a usage journal cannot be read");
                None
            }
        });
        read.collect()
    }

    fn remove(&self, run: &str) {
        if let Err(error) = fs::remove_dir_all(self.root.join(run)) {
            tracing::warn!(journal = run, %error, "a usage journal cannot be removed");
        }
        sync::lock(&self.taken).remove(run);
    }
}

/// Creates a file that only its owner may read.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn log_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08}.log"))
}

fn unavailable(error: io::Error) -> StoreError {
    StoreError::Unavailable(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory of its own, removed in the end.
    struct TempRoot(PathBuf);

    impl TempRoot {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            Self(std::env::temp_dir().join(format!("journal-{}-{number}", run_name())))
        }
    }

    impl Drop for TempRoot {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn abandoned_journal_is_taken_once() {
        let root = TempRoot::new();
        let first = FileJournal::open(&root.0).unwrap();
        first.append(b"one\n").unwrap();
        first.end_batch(1, b"end\n").unwrap();
        first.append(b"two\n").unwrap();
        let run = first.run().to_owned();
        let second = FileJournal::open(&root.0).unwrap();
        assert_eq!(second.abandoned(), [], "its process runs");
        drop(first);
        let lines = b"one\nend\ntwo\n".to_vec();
        assert_eq!(second.abandoned(), [AbandonedJournal { run: run.clone(), lines }]);
        let third = FileJournal::open(&root.0).unwrap();
        assert_eq!(third.abandoned(), [], "the second has it");
        second.remove(&run);
        assert!(!root.0.join(run).exists());
    }

    #[test]
    fn file_is_removed_once_its_batches_are_recorded() {
        let root = TempRoot::new();
        let journal = FileJournal::open(&root.0).unwrap();
        let count = || fs::read_dir(root.0.join(journal.run())).unwrap().count() - 1;
        let line = [b"x".repeat(1 << 20), b"\n".to_vec()].concat();
        journal.append(&line).unwrap();
        journal.end_batch(1, b"end\n").unwrap();
        journal.append(b"of batch 2\n").unwrap();
        journal.release(1);
        assert_eq!(count(), 2, "the first file has a line of batch 2");
        journal.append(b"of batch 2\n").unwrap();
        journal.end_batch(2, b"end\n").unwrap();
        journal.release(2);
        assert_eq!(count(), 1);
        let run = journal.run().to_owned();
        drop(journal);
        let next = FileJournal::open(&root.0).unwrap();
        let lines = b"of batch 2\nend\n".to_vec();
        assert_eq!(next.abandoned(), [AbandonedJournal { run, lines }]);
    }
}
