//! A map in memory.

use crate::{
    clock::StoreClock,
    kv::{Durable, KvEngine, KvPair, ReadView, WriteSet, WriteTxn},
};
use gateway_core::{state::StoreError, sync};
use std::{collections::BTreeMap, ops::Range, sync::RwLock};

/// Overhead of an entry, in bytes.
const OVERHEAD: u64 = 96;

/// A map that is gone when the process is.
pub(crate) struct MemoryStore {
    map: RwLock<BoundedMap>,
    clock: StoreClock,
    limit: u64,
}

#[derive(Default)]
struct BoundedMap {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: u64,
}

impl MemoryStore {
    /// An empty map that takes `limit` bytes.
    pub(crate) fn new(clock: StoreClock, limit: u64) -> Self {
        Self { map: RwLock::default(), clock, limit }
    }

    /// Returns the bytes in use.
    pub(crate) fn bytes(&self) -> u64 {
        sync::read(&self.map).bytes
    }
}

impl KvEngine for MemoryStore {
    async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&dyn ReadView, u64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        operation(&*sync::read(&self.map), self.clock.now())
    }

    async fn write<T: Send + 'static>(
        &self,
        _: Durable,
        operation: impl FnOnce(&mut WriteTxn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut map = sync::write(&self.map);
        let mut txn = WriteTxn::new(&*map, self.clock.now());
        let done = operation(&mut txn)?;
        let changes = txn.into_changes();
        let bytes = map.bytes_after(&changes);
        // What frees room is done even if there is still too little.
        if bytes > self.limit && bytes > map.bytes {
            return Err(StoreError::Full);
        }
        map.apply(changes);
        map.bytes = bytes;
        Ok(done)
    }
}

impl BoundedMap {
    fn bytes_after(&self, changes: &WriteSet) -> u64 {
        let cost = |key: &Vec<u8>, value: &Vec<u8>| (key.len() + value.len()) as u64 + OVERHEAD;
        changes.iter().fold(self.bytes, |bytes, (key, change)| {
            let gone = self.entries.get(key).map_or(0, |value| cost(key, value));
            let come = change.as_ref().map_or(0, |value| cost(key, value));
            bytes.saturating_sub(gone).saturating_add(come)
        })
    }

    fn apply(&mut self, changes: WriteSet) {
        for (key, change) in changes {
            match change {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
    }
}

impl ReadView for BoundedMap {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.get(key).cloned())
    }

    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<KvPair>, StoreError> {
        let entries = self.entries.range(range).take(limit);
        Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_map_refuses_growth_and_allows_removal() {
        let memory = MemoryStore::new(StoreClock::new(), 1_000);
        let put = |key: &'static [u8], value: usize| {
            memory.write(Durable::Safe, move |txn| {
                txn.put(key.to_vec(), vec![0; value]);
                Ok(())
            })
        };
        put(b"a", 500).await.unwrap();
        assert!(matches!(put(b"b", 500).await, Err(StoreError::Full)));
        assert_eq!(memory.bytes(), 501 + OVERHEAD, "nothing was written");
        put(b"a", 100).await.unwrap();
        put(b"b", 500).await.unwrap();
    }

    #[tokio::test]
    async fn failed_operation_is_rolled_back() {
        let memory = MemoryStore::new(StoreClock::new(), 1_000);
        let failed = memory.write(Durable::Safe, |txn| {
            txn.put(b"a".to_vec(), Vec::new());
            Err::<(), _>(StoreError::Busy)
        });
        assert!(failed.await.is_err());
        assert!(memory.read(|view, _| view.get(b"a")).await.unwrap().is_none());
    }
}
