//! Changes that take effect together.

use super::KvPair;
use gateway_core::state::StoreError;
use std::{collections::BTreeMap, ops::Range};

/// A map of bytes, at one moment.
pub(crate) trait ReadView {
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first `limit` entries of `range`, in order.
    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<KvPair>, StoreError>;
}

/// The changes of a transaction: a value, or `None` for a removal.
pub(crate) type WriteSet = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A view and the changes to it that have not taken effect yet.
pub(crate) struct WriteTxn<'a> {
    base: &'a dyn ReadView,
    changes: WriteSet,
    /// The moment at which the operation takes place, in milliseconds since 1970.
    pub(crate) now: u64,
}

impl<'a> WriteTxn<'a> {
    /// A draft without changes.
    pub(crate) fn new(base: &'a dyn ReadView, now: u64) -> Self {
        Self { base, changes: WriteSet::new(), now }
    }

    /// Keeps `value` under `key`.
    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    /// Removes the value under `key`.
    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// Forgets all of `range`.
    pub(crate) fn remove_range(&mut self, range: Range<Vec<u8>>) -> Result<(), StoreError> {
        for (key, _) in self.scan(range, usize::MAX)? {
            self.remove(key);
        }
        Ok(())
    }

    /// Returns the changes so far.
    pub(crate) const fn changes(&self) -> &WriteSet {
        &self.changes
    }

    /// The value under `key` before the changes.
    pub(crate) fn before(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.base.get(key)
    }

    /// The first `limit` entries of `range` before the changes.
    pub(crate) fn scan_before(
        &self,
        range: Range<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<KvPair>, StoreError> {
        self.base.scan(range, limit)
    }

    /// Adds the changes of another transaction that saw this one.
    pub(crate) fn extend(&mut self, changes: WriteSet) {
        self.changes.extend(changes);
    }

    /// Returns the changes as one write set.
    pub(crate) fn into_changes(self) -> WriteSet {
        self.changes
    }
}

impl ReadView for WriteTxn<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.base.get(key),
        }
    }

    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<KvPair>, StoreError> {
        let changed = self.changes.range(range.clone());
        // Every removed entry may hide one that the base finds.
        let hidden = changed.clone().filter(|(_, change)| change.is_none()).count();
        let found = self.base.scan(range, limit.saturating_add(hidden))?;
        let mut merged: BTreeMap<_, _> = found.into_iter().collect();
        for (key, change) in changed {
            match change {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, rc::Rc};

    impl ReadView for BTreeMap<Vec<u8>, Vec<u8>> {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(BTreeMap::get(self, key).cloned())
        }

        fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<KvPair>, StoreError> {
            Ok(self.range(range).take(limit).map(|(k, v)| (k.clone(), v.clone())).collect())
        }
    }

    /// In a map of `kept` letters, `+x` keeps and `-x` removes; the draft then shows `expected`.
    #[track_caller]
    fn check(kept: &str, changes: &str, limit: usize, expected: &str) {
        let base: BTreeMap<_, _> = kept.bytes().map(|b| (vec![b], vec![])).collect();
        let txn = Rc::new(RefCell::new(WriteTxn::new(&base, 0)));
        for change in changes.as_bytes().chunks(2) {
            match change[0] {
                b'+' => txn.borrow_mut().put(vec![change[1]], vec![]),
                _ => txn.borrow_mut().remove(vec![change[1]]),
            }
        }
        let seen = txn.borrow().scan(b"a".to_vec()..b"z".to_vec(), limit).unwrap();
        let seen: String = seen.iter().map(|(key, _)| char::from(key[0])).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn write_transaction_sees_its_own_changes() {
        check("acd", "+b-c", 9, "abd");
        check("acd", "+b-c", 2, "ab");
        check("abcd", "-a-b", 1, "c");
        check("", "+a-a", 9, "");
    }
}
