//! The file as a map.

use crate::kv::{KvPair, ReadView, WriteSet};
use gateway_core::state::StoreError;
use redb::{ReadableTable, StorageError, Table, TableDefinition};
use std::ops::Range;

/// Everything but the schema.
pub(super) const STATE_TABLE: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("state");

/// Shows a table of the file.
pub(super) struct TableView<T>(pub(super) T);

impl<T: ReadableTable<&'static [u8], &'static [u8]>> ReadView for TableView<T> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.0.get(key).map_err(unreadable)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<KvPair>, StoreError> {
        let found = self.0.range(&*range.start..&*range.end).map_err(unreadable)?;
        found
            .take(limit)
            .map(|entry| {
                let (key, value) = entry.map_err(unreadable)?;
                Ok((key.value().to_vec(), value.value().to_vec()))
            })
            .collect()
    }
}

/// Writes `changes` into `table`.
pub(super) fn apply(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    changes: &WriteSet,
) -> Result<(), StorageError> {
    for (key, change) in changes {
        match change {
            Some(value) => table.insert(&**key, &**value)?,
            None => table.remove(&**key)?,
        };
    }
    Ok(())
}

/// Converts a read error.
pub(super) fn unreadable(error: impl Into<redb::Error>) -> StoreError {
    let error = error.into();
    if let redb::Error::Corrupted(why) = error {
        return StoreError::corrupt("file", why);
    }
    StoreError::Unavailable(error.into())
}
