//! The one that writes.

use super::{
    file::{FileShared, WriterCommand},
    open,
    table_view::{self, STATE_TABLE, TableView},
    write_error::WriteError,
};
use crate::{
    clock::StoreClock,
    kv::{Durable, WriteJob},
    settings::Durability,
};
use gateway_tasks::failpoint;
use redb::Database;
use std::{mem, sync::Arc, thread, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// Maximum operations of a transaction (group commit).
const BATCH: usize = 256;

/// Maximum time operations are collected for a transaction.
const MAX_BATCH_DELAY: Duration = Duration::from_millis(2);

/// Retry interval of a full disk.
const RETRY: Duration = Duration::from_secs(1);

/// Time readers may delay the closing of the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes what it is given.
pub(super) struct Writer {
    shared: Arc<FileShared>,
    clock: StoreClock,
    /// Whether something was written that is not synchronised.
    unsynced: bool,
    /// Time of the last attempt on a full disk.
    tried: Option<Instant>,
    /// Whether a transaction is being written.
    is_writing: bool,
}

/// Runs until every sender of commands is dropped, then closes the file.
///
/// Operations that arrive during an fsync wait together, and share the next one (group commit): a
/// lone caller does not wait.
///
/// Called again after a panic: the callers of the interrupted writes are answered with an error,
/// the others wait.
pub(super) fn run(writer: &mut Writer, commands: &mut mpsc::Receiver<WriterCommand>) {
    writer.recover_from_panic();
    let mut closing: Option<oneshot::Sender<()>> = None;
    while closing.is_none()
        && let Some(first) = commands.blocking_recv()
    {
        let started = Instant::now();
        let (mut jobs, mut flush, mut next) = (Vec::new(), false, Some(first));
        while let Some(command) = next {
            match command {
                WriterCommand::Write(job) => jobs.push(job),
                WriterCommand::Flush => flush = true,
                WriterCommand::Close(done) => closing = Some(done),
            }
            let more =
                jobs.len() < BATCH && started.elapsed() < MAX_BATCH_DELAY && closing.is_none();
            next = if more { commands.try_recv().ok() } else { None };
        }
        writer.write(jobs, flush);
    }
    commands.close();
    writer.write(Vec::new(), true);
    writer.close();
    if let Some(done) = closing {
        // Nobody waits any more: all the same.
        let _ = done.send(());
    }
}

impl Writer {
    /// Creates a writer.
    pub(super) fn new(shared: Arc<FileShared>, clock: StoreClock) -> Self {
        Self { shared, clock, unsynced: false, tried: None, is_writing: false }
    }

    /// Writes `jobs` in one transaction and answers their callers.
    fn write(&mut self, mut jobs: Vec<Box<dyn WriteJob>>, flush: bool) {
        let safe = jobs.iter().any(|job| job.wait() == Durable::Safe);
        let sync = match self.shared.settings.durability {
            Durability::Fsync => safe || (flush && self.unsynced),
            Durability::EverySecond | Durability::Off => flush && self.unsynced,
        };
        if jobs.is_empty() && !sync {
            return;
        }
        self.is_writing = true;
        failpoint("store_writer");
        let written = self.try_write(&mut jobs, sync);
        self.is_writing = false;
        for job in jobs {
            job.end(written.clone().map_err(Into::into));
        }
    }

    /// Opens the file again if a panic has interrupted a transaction, which is undone by that.
    fn recover_from_panic(&mut self) {
        if mem::take(&mut self.is_writing) {
            self.unsynced = false;
            self.close();
            drop(self.open_again());
        }
    }

    fn try_write(&mut self, jobs: &mut [Box<dyn WriteJob>], sync: bool) -> Result<(), WriteError> {
        self.may_write()?;
        let database = match self.shared.database() {
            Ok(database) => database,
            Err(_) => self.open_again()?,
        };
        match transact(&database, jobs, self.clock.now(), sync) {
            Ok(()) => {
                self.unsynced = !sync;
                self.recovered();
                Ok(())
            }
            Err(error) => {
                drop(database);
                Err(self.failed(WriteError::from(error)))
            }
        }
    }

    /// Whether it is any use to try.
    fn may_write(&self) -> Result<(), WriteError> {
        let trouble = self.shared.trouble().clone();
        match trouble {
            Some(WriteError::DiskFull) if self.tried.is_some_and(|at| at.elapsed() < RETRY) => {
                Err(WriteError::DiskFull)
            }
            Some(WriteError::Failed(why)) => Err(WriteError::Failed(why)),
            Some(WriteError::DiskFull) | None => Ok(()),
        }
    }

    fn recovered(&mut self) {
        if self.tried.take().is_some() {
            *self.shared.set_trouble() = None;
            tracing::info!("state file writable again");
        }
    }

    /// After a failed write the library refuses even to read, until the file is opened again.
    fn failed(&mut self, trouble: WriteError) -> WriteError {
        let known = self.shared.set_trouble().replace(trouble.clone());
        if known.as_ref() != Some(&trouble) {
            tracing::error!(?trouble, "writing the state file failed");
        }
        self.tried = Some(Instant::now());
        self.unsynced = false;
        self.close();
        // Without a file, reads fail too; the next write tries again.
        drop(self.open_again());
        trouble
    }

    fn open_again(&mut self) -> Result<Arc<Database>, WriteError> {
        let database = open::reopen(&self.shared.settings).map_err(|error| {
            tracing::warn!(%error, "reopening the state file failed");
            WriteError::DiskFull
        })?;
        self.shared.give(database);
        self.shared.database().map_err(|_| WriteError::DiskFull)
    }

    /// Closes the file, once its readers have done.
    fn close(&mut self) {
        let Some(mut database) = self.shared.take() else { return };
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            match Arc::try_unwrap(database) {
                Ok(last) => {
                    drop(last);
                    return;
                }
                Err(shared) => database = shared,
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        tracing::warn!("a reader still holds the state file open");
    }
}

fn transact(
    database: &Database,
    jobs: &mut [Box<dyn WriteJob>],
    now: u64,
    sync: bool,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    let durability = if sync { redb::Durability::Immediate } else { redb::Durability::None };
    transaction.set_durability(durability)?;
    {
        let mut table = TableView(transaction.open_table(STATE_TABLE)?);
        for job in jobs {
            if let Some(changes) = job.run(&table, now) {
                table_view::apply(&mut table.0, &changes)?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}
