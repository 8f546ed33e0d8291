//! A table as a map with transactions.
//!
//! One transaction at a time writes the table: operations that arrive while it is committed wait
//! together, and share the next one (group commit). Replicas take turns by a lock in the database.
//! Readers wait for no writer.

use super::{
    errors,
    pool::{Pool, PooledConnection, TransactionKind},
    transaction_view::TransactionView,
};
use crate::kv::{Durable, KvEngine, PendingWrite, ReadView, WriteJob, WriteSet, WriteTxn};
use futures_util::future;
use gateway_core::state::StoreError;
use gateway_tasks::supervise;
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc, oneshot},
    task::{self, JoinSet},
    time,
};

/// Maximum number of queued writes.
const QUEUE: usize = 4_096;

/// Maximum operations of a transaction.
const BATCH: usize = 256;

/// Timeout of a write, with the time in the queue.
const DEADLINE: Duration = Duration::from_secs(10);

const NOW: &str = "SELECT now_ms()";

/// Waits for the turn to write; then the time is read.
const LOCK: &str = "SELECT now_ms() FROM (SELECT pg_advisory_xact_lock(\
     hashtext('llm_gateway state'), hashtext(current_setting('search_path'))) OFFSET 0) AS lock";

/// The map.
pub(super) struct PostgresMap {
    pool: Arc<Pool>,
    queue: mpsc::Sender<MapCommand>,
    #[expect(dead_code, reason = "held so that dropping it ends the writer")]
    writer: JoinSet<()>,
}

/// A command to the writer.
enum MapCommand {
    /// Runs a write job.
    Write(Box<dyn WriteJob>),
    /// Writes what waits, and says so.
    Close(oneshot::Sender<()>),
}

impl PostgresMap {
    /// The map in the tables that `pool` reaches.
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        let (queue, commands) = mpsc::channel(QUEUE);
        let (commands, mut writer) = (Arc::new(Mutex::new(commands)), JoinSet::new());
        let its_pool = Arc::clone(&pool);
        writer.spawn(supervise("store_writer", move || {
            run(Arc::clone(&its_pool), Arc::clone(&commands))
        }));
        Self { pool, queue, writer }
    }

    /// Writes what waits. What comes later is refused.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(MapCommand::Close(done)).await.is_ok() {
            drop(time::timeout(DEADLINE, closed).await);
        }
    }
}

impl KvEngine for PostgresMap {
    const IS_SHARED: bool = true;

    /// Each takes some round trips.
    const SWEEP: usize = 50;

    async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&dyn ReadView, u64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (connection, now) = begin(&self.pool, TransactionKind::Read).await?;
        let runtime = Handle::current();
        let read = move || {
            let view = TransactionView::new(connection, runtime);
            let result = operation(&view, now);
            if !view.has_failed() {
                // A transaction that has only read ends as well either way.
                drop(view.commit(&WriteSet::new()));
            }
            result
        };
        let read = task::spawn_blocking(read).await;
        read.map_err(|error| StoreError::Unavailable(error.into()))?
    }

    async fn write<T: Send + 'static>(
        &self,
        wait: Durable,
        operation: impl FnOnce(&mut WriteTxn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pool.guard()?;
        let (reply, result) = oneshot::channel();
        let job = MapCommand::Write(Box::new(PendingWrite::new(wait, operation, reply)));
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed_map_error(),
        })?;
        let result = time::timeout(DEADLINE, result).await.map_err(|_| StoreError::Busy)?;
        result.map_err(|_| closed_map_error())?
    }
}

fn closed_map_error() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

/// Writes until every sender of commands is dropped, or the map is closed.
async fn run(pool: Arc<Pool>, commands: Arc<Mutex<mpsc::Receiver<MapCommand>>>) {
    let (mut commands, mut closing) = (commands.lock().await, None);
    let mut received = Vec::new();
    while commands.recv_many(&mut received, BATCH).await > 0 {
        let mut jobs = Vec::with_capacity(received.len());
        for command in received.drain(..) {
            match command {
                MapCommand::Write(job) => jobs.push(job),
                MapCommand::Close(done) => {
                    commands.close();
                    closing = Some(done);
                }
            }
        }
        if !jobs.is_empty() {
            write(&pool, jobs).await;
        }
    }
    if let Some(done) = closing {
        // The caller may have stopped waiting.
        let _ = done.send(());
    }
}

/// Writes `jobs` in one transaction and answers their callers.
async fn write(pool: &Arc<Pool>, jobs: Vec<Box<dyn WriteJob>>) {
    let is_safe = jobs.iter().any(|job| job.wait() == Durable::Safe);
    let kind = if is_safe { TransactionKind::Safe } else { TransactionKind::Visible };
    let mut begun = begin(pool, kind).await;
    if matches!(begun, Err(StoreError::Unavailable(_))) {
        // The connection may have been closed since it was used.
        begun = begin(pool, kind).await;
    }
    match begun {
        Ok((connection, now)) => {
            let runtime = Handle::current();
            let written = task::spawn_blocking(move || transact(connection, runtime, now, jobs));
            // After a panic the callers learn that their replies will not come.
            drop(written.await);
        }
        Err(error) => jobs.into_iter().for_each(|job| job.end(Err(errors::copy(&error)))),
    }
}

/// Begins a transaction, and returns the time in it.
async fn begin(
    pool: &Arc<Pool>,
    kind: TransactionKind,
) -> Result<(PooledConnection, u64), StoreError> {
    let (connection, sql) = match kind {
        TransactionKind::Read => (pool.get().await?, NOW),
        TransactionKind::Safe | TransactionKind::Visible => (pool.get_for_writer().await?, LOCK),
    };
    let reading = connection.query(sql, &[]);
    let ((), rows) = future::try_join(connection.begin(kind), reading).await?;
    let now: Option<i64> = rows.first().and_then(|row| row.try_get(0).ok());
    let now = now.ok_or_else(|| StoreError::corrupt("row", "the time is missing"))?;
    Ok((connection, u64::try_from(now).unwrap_or_default()))
}

fn transact(
    connection: PooledConnection,
    runtime: Handle,
    now: u64,
    mut jobs: Vec<Box<dyn WriteJob>>,
) {
    let view = TransactionView::new(connection, runtime);
    let mut changes = WriteTxn::new(&view, now);
    for job in &mut jobs {
        if view.has_failed() {
            break;
        }
        if let Some(more) = job.run(&changes, now) {
            changes.extend(more);
        }
    }
    let written = view.commit(&changes.into_changes());
    for job in jobs {
        job.end(written.as_ref().copied().map_err(errors::copy));
    }
}
