//! The file, as an engine.

use super::{
    open,
    table_view::{STATE_TABLE, TableView, unreadable},
    write_error::WriteError,
    writer::{self, Writer},
};
use crate::{
    clock::StoreClock,
    kv::{Durable, KvEngine, KvStore, PendingWrite, ReadView, WriteJob, WriteTxn},
    settings::{Durability, EmbeddedSettings},
    stores::{DurabilityClass, HealthProbe, StoreHealth},
};
use async_trait::async_trait;
use gateway_core::{state::StoreError, sync};
use gateway_tasks::{supervise, supervise_thread};
use redb::{Database, ReadableDatabase as _};
use std::{
    fs,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::{self, JoinSet},
    time,
};

/// Maximum number of queued writes.
const QUEUE: usize = 1_024;

/// Timeout of a write.
const DEADLINE: Duration = Duration::from_secs(10);

/// A file, and its writer.
pub(crate) struct FileStore {
    queue: mpsc::Sender<WriterCommand>,
    shared: Arc<FileShared>,
    clock: StoreClock,
    #[expect(dead_code, reason = "held so that dropping it ends the ticking")]
    ticking: JoinSet<()>,
}

/// A command to the writer thread.
pub(super) enum WriterCommand {
    /// Runs a write job.
    Write(Box<dyn WriteJob>),
    /// Syncs the file to disk.
    Flush,
    /// Synchronise the file, close it, and say so.
    Close(oneshot::Sender<()>),
}

/// The state shared by the writer and the readers.
pub(super) struct FileShared {
    pub(super) settings: EmbeddedSettings,
    /// Absent while the file is closed.
    database: RwLock<Option<Arc<Database>>>,
    trouble: RwLock<Option<WriteError>>,
}

impl FileStore {
    /// Opens the database file.
    pub(crate) async fn open(
        settings: EmbeddedSettings,
        clock: StoreClock,
    ) -> Result<Self, StoreError> {
        let (settings, database) =
            task::spawn_blocking(move || open::open(&settings).map(|it| (settings, it)))
                .await
                .map_err(|error| StoreError::Unavailable(error.into()))??;
        let period = match settings.durability {
            Durability::Fsync | Durability::EverySecond => Duration::from_secs(1),
            Durability::Off => Duration::from_mins(1),
        };
        let shared = Arc::new(FileShared {
            settings,
            database: RwLock::new(Some(Arc::new(database))),
            trouble: RwLock::new(None),
        });
        let (queue, mut commands) = mpsc::channel(QUEUE);
        let mut writer = Writer::new(Arc::clone(&shared), clock);
        supervise_thread("store_writer", move || writer::run(&mut writer, &mut commands))
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let (mut ticking, ticked) = (JoinSet::new(), queue.clone());
        ticking.spawn(supervise("store_sync", move || tick(ticked.clone(), period)));
        Ok(Self { queue, shared, clock, ticking })
    }

    /// Synchronises and closes the file. What comes later is refused.
    async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(WriterCommand::Close(done)).await.is_ok() {
            drop(closed.await);
        }
    }
}

async fn tick(queue: mpsc::Sender<WriterCommand>, period: Duration) {
    let mut ticks = time::interval(period);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if queue.send(WriterCommand::Flush).await.is_err() {
            return;
        }
    }
}

impl KvEngine for FileStore {
    async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&dyn ReadView, u64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (database, now) = (self.shared.database()?, self.clock.now());
        let read = move || {
            let transaction = database.begin_read().map_err(unreadable)?;
            let table = transaction.open_table(STATE_TABLE).map_err(unreadable)?;
            operation(&TableView(table), now)
        };
        let reading = time::timeout(DEADLINE, task::spawn_blocking(read));
        let read = reading.await.map_err(|_| StoreError::Busy)?;
        read.map_err(|error| StoreError::Unavailable(error.into()))?
    }

    async fn write<T: Send + 'static>(
        &self,
        wait: Durable,
        operation: impl FnOnce(&mut WriteTxn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = oneshot::channel();
        let job = WriterCommand::Write(Box::new(PendingWrite::new(wait, operation, reply)));
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed_file_error(),
        })?;
        let result = time::timeout(DEADLINE, result).await.map_err(|_| StoreError::Busy)?;
        result.map_err(|_| closed_file_error())?
    }
}

impl FileShared {
    /// Returns the open database.
    pub(super) fn database(&self) -> Result<Arc<Database>, StoreError> {
        let database = sync::read(&self.database);
        database.clone().ok_or_else(closed_file_error)
    }

    /// Takes the file away from the readers.
    pub(super) fn take(&self) -> Option<Arc<Database>> {
        sync::write(&self.database).take()
    }

    /// Gives the file to the readers.
    pub(super) fn give(&self, database: Database) {
        let mut place = sync::write(&self.database);
        *place = Some(Arc::new(database));
    }

    /// Returns the error that forbids writing, if any.
    pub(super) fn trouble(&self) -> RwLockReadGuard<'_, Option<WriteError>> {
        sync::read(&self.trouble)
    }

    /// Says what forbids writing.
    pub(super) fn set_trouble(&self) -> RwLockWriteGuard<'_, Option<WriteError>> {
        sync::write(&self.trouble)
    }
}

fn closed_file_error() -> StoreError {
    StoreError::Unavailable("the file is closed".into())
}

#[async_trait]
impl HealthProbe for KvStore<FileStore> {
    async fn health(&self) -> StoreHealth {
        let readable = self.engine().read(|_, _| Ok(())).await.is_ok();
        let shared = &self.engine().shared;
        let EmbeddedSettings { path, durability, .. } = &shared.settings;
        let trouble = shared.trouble().clone();
        let (class, word) = match durability {
            Durability::Fsync => (DurabilityClass::PowerSafe, "fsync"),
            Durability::EverySecond => (DurabilityClass::Volatile, "everysec"),
            Durability::Off => (DurabilityClass::Volatile, "off"),
        };
        let mut warnings = Vec::new();
        if class == DurabilityClass::Volatile {
            let lost = if *durability == Durability::Off { "minute" } else { "second" };
            warnings.push(format!("A crash loses up to the last {lost} of acknowledged writes."));
        }
        match &trouble {
            Some(WriteError::DiskFull) => warnings.push("The disk is full.".to_owned()),
            Some(WriteError::Failed(why)) => {
                warnings.push(format!("The file is read-only until a restart: {why}."));
            }
            None => {}
        }
        let bytes = fs::metadata(path).map_or(0, |file| file.len());
        StoreHealth {
            reachable: trouble.is_none() && readable,
            backend: "embedded",
            durability: class,
            latency: Duration::ZERO,
            details: vec![
                ("path", path.display().to_string()),
                ("durability", word.to_owned()),
                ("bytes", bytes.to_string()),
            ],
            warnings,
        }
    }

    async fn close(&self) {
        self.engine().close().await;
    }
}
