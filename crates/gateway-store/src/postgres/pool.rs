//! Connections to Postgres: bounded in number and in time, with a breaker in front.

use super::{
    connector::{Connection, Connector},
    errors,
};
use crate::{
    breaker::{BreakerTransition, ConnectionBreaker},
    settings::PostgresSettings,
};
use gateway_core::{state::StoreError, sync};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_postgres::{Error, Row, types::ToSql};

/// Probe interval of an unreachable Postgres.
const PROBE: Duration = Duration::from_millis(200);

/// The connections of this process.
pub(super) struct Pool {
    connector: Connector,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    breaker: ConnectionBreaker,
    timeout: Duration,
}

/// A connection in use. Dropping it gives it back, or closes it in the middle of a transaction.
pub(super) struct PooledConnection {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    /// The connection cannot be used again: a transaction is open, or a reply is still missing.
    is_spent: AtomicBool,
    #[expect(dead_code, reason = "held so that dropping it admits another")]
    permit: Option<OwnedSemaphorePermit>,
}

/// The kind of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum TransactionKind {
    /// Sees one moment.
    Read,
    /// Is safe once it is committed.
    Safe,
    /// Is visible once it is committed, and safe within a second.
    Visible,
}

impl Pool {
    /// A pool without connections yet.
    pub(super) fn new(settings: &PostgresSettings) -> Result<Arc<Self>, StoreError> {
        // The writer of the map has one that is not counted here.
        let permits = settings.connections.saturating_sub(1).max(1);
        Ok(Arc::new(Self {
            connector: Connector::new(settings)?,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(permits)),
            breaker: ConnectionBreaker::default(),
            timeout: settings.timeout,
        }))
    }

    /// Asks whether an unavailable Postgres is back.
    pub(super) async fn probe(self: Arc<Self>) {
        let mut ticks = time::interval(PROBE);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.breaker.is_open()
                && let Ok(connection) = self.take(None).await
            {
                drop(connection.query("SELECT 1", &[]).await);
            }
        }
    }

    /// Connects for the first time.
    pub(super) async fn attach(self: &Arc<Self>) -> Result<(), StoreError> {
        self.take(None).await.map(drop)
    }

    /// Takes a connection, waiting for one as long as for a reply.
    pub(super) async fn get(self: &Arc<Self>) -> Result<PooledConnection, StoreError> {
        self.guard()?;
        let waiting = time::timeout(self.timeout, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = waiting.await else { return Err(StoreError::Busy) };
        self.take(Some(permit)).await
    }

    /// Takes a connection for the writer of the map, which is the only one.
    pub(super) async fn get_for_writer(self: &Arc<Self>) -> Result<PooledConnection, StoreError> {
        self.guard()?;
        self.take(None).await
    }

    /// Spares the caller the wait if there is nothing to wait for.
    pub(super) fn guard(&self) -> Result<(), StoreError> {
        if !self.breaker.is_open() {
            return Ok(());
        }
        Err(StoreError::Unavailable("Postgres has not answered lately".into()))
    }

    /// Closes the connections that are not in use.
    pub(super) fn close(&self) {
        sync::lock(&self.idle).clear();
    }

    async fn take(
        self: &Arc<Self>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<PooledConnection, StoreError> {
        let idle = {
            let mut idle = sync::lock(&self.idle);
            idle.retain(|connection| !connection.client.is_closed());
            idle.pop()
        };
        let connection = match idle {
            Some(connection) => connection,
            None => self.track(self.connector.connect().await)?,
        };
        let (connection, pool) = (Some(connection), Arc::clone(self));
        Ok(PooledConnection { connection, pool, is_spent: AtomicBool::new(false), permit })
    }

    fn track<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let outage = result.as_ref().err();
        // Contention is not an outage: the server answers.
        let outage =
            outage.filter(|it| matches!(it, StoreError::Unavailable(_) | StoreError::Refused(_)));
        let change = match outage {
            Some(_) => self.breaker.failed(),
            None => self.breaker.succeeded(),
        };
        match (change, outage) {
            (BreakerTransition::Opened, Some(error)) => {
                tracing::error!(%error, "Postgres is unavailable");
            }
            (BreakerTransition::Closed, _) => tracing::info!("Postgres is available again"),
            (BreakerTransition::Opened | BreakerTransition::None, _) => {}
        }
        result
    }
}

impl PooledConnection {
    /// Runs a statement, and returns its rows.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let connection = self.connection()?;
        self.track(async {
            let statement = connection.statement(sql).await?;
            connection.client.query(&statement, parameters).await
        })
        .await
    }

    /// Runs a statement, and returns the number of rows that it changed.
    pub(super) async fn execute(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let connection = self.connection()?;
        self.track(async {
            let statement = connection.statement(sql).await?;
            connection.client.execute(&statement, parameters).await
        })
        .await
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, kind: TransactionKind) -> Result<(), StoreError> {
        self.is_spent.store(true, Ordering::Relaxed);
        let sql = match kind {
            TransactionKind::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            TransactionKind::Safe => "BEGIN",
            TransactionKind::Visible => "BEGIN; SET LOCAL synchronous_commit TO OFF",
        };
        self.track(self.connection()?.client.batch_execute(sql)).await
    }

    /// Commits the transaction. Never called after a statement of it has failed, upon which the
    /// server would undo it and report success.
    pub(super) async fn commit(&self) -> Result<(), StoreError> {
        self.track(self.connection()?.client.batch_execute("COMMIT")).await?;
        self.is_spent.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or_else(errors::timed_out)
    }

    /// Waits for a reply, and records how the server did.
    async fn track<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        let result = match time::timeout(self.pool.timeout, call).await {
            Ok(result) => result.map_err(errors::explain),
            Err(_) => Err(errors::timed_out()),
        };
        if matches!(result, Err(StoreError::Unavailable(_))) {
            self.is_spent.store(true, Ordering::Relaxed);
        }
        self.pool.track(result)
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if self.is_spent.load(Ordering::Relaxed) {
            return;
        }
        let usable = self.connection.take().filter(|connection| !connection.client.is_closed());
        sync::lock(&self.pool.idle).extend(usable);
    }
}
