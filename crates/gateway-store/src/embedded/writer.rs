//! The one that writes.

use super::{
    file::{Command, Shared},
    job::{Job, Trouble},
    opening,
    view::{self, STATE, Shown},
};
use crate::{clock::Clock, kv::Wait, settings::Durability};
use redb::Database;
use std::{sync::Arc, thread, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// How many operations are written in one transaction.
const BATCH: usize = 256;

/// How long operations may gather before those that came first are written.
const GATHER: Duration = Duration::from_millis(2);

/// How often a full disk is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How long readers may keep a file that is to be closed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes what it is given.
pub(super) struct Writer {
    shared: Arc<Shared>,
    clock: Clock,
    /// Whether something was written that is not synchronised.
    unsynced: bool,
    /// When the disk was last found full.
    tried: Option<Instant>,
}

/// Writes until nobody is left who could ask for it, then closes the file.
///
/// Operations that come while others are synchronised wait together, and are synchronised together:
/// a lone caller does not wait for company, and many share the cost.
pub(super) fn run(mut writer: Writer, mut commands: mpsc::Receiver<Command>) {
    let mut closing: Option<oneshot::Sender<()>> = None;
    while closing.is_none()
        && let Some(first) = commands.blocking_recv()
    {
        let started = Instant::now();
        let (mut jobs, mut flush, mut next) = (Vec::new(), false, Some(first));
        while let Some(command) = next {
            match command {
                Command::Write(job) => jobs.push(job),
                Command::Flush => flush = true,
                Command::Close(done) => closing = Some(done),
            }
            let more = jobs.len() < BATCH && started.elapsed() < GATHER && closing.is_none();
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
    /// One that has written nothing yet.
    pub(super) fn new(shared: Arc<Shared>, clock: Clock) -> Self {
        Self { shared, clock, unsynced: false, tried: None }
    }

    /// Writes `jobs` together, and tells their callers.
    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>, flush: bool) {
        let safe = jobs.iter().any(|job| job.wait() == Wait::Safe);
        let sync = match self.shared.settings.durability {
            Durability::Fsync => safe || (flush && self.unsynced),
            Durability::EverySecond | Durability::Off => flush && self.unsynced,
        };
        if jobs.is_empty() && !sync {
            return;
        }
        let written = self.try_write(&mut jobs, sync);
        for job in jobs {
            job.end(written.clone());
        }
    }

    fn try_write(&mut self, jobs: &mut [Box<dyn Job>], sync: bool) -> Result<(), Trouble> {
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
                Err(self.failed(Trouble::from(error)))
            }
        }
    }

    /// Whether it is any use to try.
    fn may_write(&self) -> Result<(), Trouble> {
        let trouble = self.shared.trouble().clone();
        match trouble {
            Some(Trouble::DiskFull) if self.tried.is_some_and(|at| at.elapsed() < RETRY) => {
                Err(Trouble::DiskFull)
            }
            Some(Trouble::Failed(why)) => Err(Trouble::Failed(why)),
            Some(Trouble::DiskFull) | None => Ok(()),
        }
    }

    fn recovered(&mut self) {
        if self.tried.take().is_some() {
            *self.shared.set_trouble() = None;
            tracing::info!("the state file can be written again");
        }
    }

    /// After a failed write the library refuses even to read, until the file is opened again.
    fn failed(&mut self, trouble: Trouble) -> Trouble {
        let known = self.shared.set_trouble().replace(trouble.clone());
        if known.as_ref() != Some(&trouble) {
            tracing::error!(?trouble, "the state file cannot be written");
        }
        self.tried = Some(Instant::now());
        self.unsynced = false;
        self.close();
        // Without a file, reads fail too; the next write tries again.
        drop(self.open_again());
        trouble
    }

    fn open_again(&mut self) -> Result<Arc<Database>, Trouble> {
        let database = opening::reopen(&self.shared.settings).map_err(|error| {
            tracing::warn!(%error, "the state file cannot be opened again");
            Trouble::DiskFull
        })?;
        self.shared.give(database);
        self.shared.database().map_err(|_| Trouble::DiskFull)
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
        tracing::warn!("a reader keeps the state file open");
    }
}

fn transact(
    database: &Database,
    jobs: &mut [Box<dyn Job>],
    now: u64,
    sync: bool,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    let durability = if sync { redb::Durability::Immediate } else { redb::Durability::None };
    transaction.set_durability(durability)?;
    {
        let mut table = Shown(transaction.open_table(STATE)?);
        for job in jobs {
            if let Some(changes) = job.run(&table, now) {
                view::apply(&mut table.0, &changes)?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}
