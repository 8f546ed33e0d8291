//! The table of the map, as a transaction sees it.

use super::{errors, pool::PooledConnection};
use crate::kv::{KvPair, ReadView, WriteSet};
use futures_util::future;
use gateway_core::state::StoreError;
use std::{cell::RefCell, collections::BTreeMap, ops::Range};
use tokio::runtime::Handle;

const GET: &str = "SELECT value FROM state WHERE key = $1";
const SCAN: &str =
    "SELECT key, value FROM state WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3";
const PUT: &str = "INSERT INTO state (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
     ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const REMOVE: &str = "DELETE FROM state WHERE key = ANY($1)";

/// A view for operations that block: it belongs to a thread on which nothing else runs.
pub(super) struct TransactionView {
    connection: PooledConnection,
    runtime: Handle,
    /// The entries that were read, so that each is read once.
    known: RefCell<BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
    /// The first error, after which the server accepts nothing more.
    failure: RefCell<Option<StoreError>>,
}

impl TransactionView {
    /// The view of the transaction that `connection` has begun.
    pub(super) fn new(connection: PooledConnection, runtime: Handle) -> Self {
        Self { connection, runtime, known: RefCell::default(), failure: RefCell::default() }
    }

    /// Whether the transaction can no longer be committed.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Writes `changes`, and commits.
    pub(super) fn commit(&self, changes: &WriteSet) -> Result<(), StoreError> {
        let put = changes.iter().filter_map(|(key, value)| Some((&**key, &**value.as_ref()?)));
        let (keys, values): (Vec<&[u8]>, Vec<&[u8]>) = put.unzip();
        let removed = changes.iter().filter(|(_, value)| value.is_none());
        let removed: Vec<&[u8]> = removed.map(|(key, _)| &**key).collect();
        self.block(async {
            let put = async {
                if keys.is_empty() {
                    return Ok(0);
                }
                self.connection.execute(PUT, &[&keys, &values]).await
            };
            let remove = async {
                if removed.is_empty() {
                    return Ok(0);
                }
                self.connection.execute(REMOVE, &[&removed]).await
            };
            future::try_join(put, remove).await?;
            self.connection.commit().await
        })
    }

    fn block<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if let Some(failure) = &*self.failure.borrow() {
            return Err(errors::copy(failure));
        }
        let result = self.runtime.block_on(call);
        if let Err(error) = &result {
            *self.failure.borrow_mut() = Some(errors::copy(error));
        }
        result
    }
}

impl ReadView for TransactionView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(known) = self.known.borrow().get(key) {
            return Ok(known.clone());
        }
        let rows = self.block(self.connection.query(GET, &[&key]))?;
        let value: Option<Vec<u8>> =
            rows.first().map(|row| row.try_get(0).map_err(errors::unreadable)).transpose()?;
        self.known.borrow_mut().insert(key.to_vec(), value.clone());
        Ok(value)
    }

    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<KvPair>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.block(self.connection.query(SCAN, &[&range.start, &range.end, &limit]))?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let pair = (row.try_get(0), row.try_get(1));
            let (Ok(key), Ok(value)) = pair else {
                return Err(StoreError::corrupt("row", "a column is missing"));
            };
            found.push((key, value));
        }
        let pairs = found.iter().map(|(key, value): &KvPair| (key.clone(), Some(value.clone())));
        self.known.borrow_mut().extend(pairs);
        Ok(found)
    }
}
