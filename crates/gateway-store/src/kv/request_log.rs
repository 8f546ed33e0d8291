//! The log of requests, in segments.

use super::{
    key_layout as layout,
    write_txn::{ReadView, WriteTxn},
};
use crate::{
    clock::millis,
    limits::RequestLogLimits,
    request_log::{PageReader, Segment},
};
use gateway_core::state::{RequestLogPage, RequestLogQuery, StoreError};

/// The number of indexes that are read at once.
const SCAN: usize = 256;

/// The number of segments that one search reads the indexes of.
const SEARCHED: usize = 16 * SCAN;

/// The number of segments that are looked at in one step of a removal.
const TRIM: usize = 32;

/// The number of segments that one transaction removes at most.
const TRIMMED: usize = 1_000;

/// Adds a segment, once.
pub(super) fn append(
    txn: &mut WriteTxn<'_>,
    limits: RequestLogLimits,
    segment: Segment,
) -> Result<(), StoreError> {
    let name = segment.name;
    if txn.get(&layout::log_index(name))?.is_some() {
        return Ok(());
    }
    let added = segment.rows();
    txn.put(layout::log_order(name), added.to_be_bytes().to_vec());
    txn.put(layout::log_index(name), segment.index);
    txn.put(layout::log_lines(name), segment.lines);
    let count = count(txn)?.saturating_add(added);
    txn.put(layout::log_count(), count.to_be_bytes().to_vec());
    trim(txn, limits)
}

/// Whether requests in the log have ended their lifetime.
pub(super) fn is_due(
    view: &dyn ReadView,
    now: u64,
    limits: RequestLogLimits,
) -> Result<bool, StoreError> {
    let first = view.scan(layout::log_orders(), 1)?;
    let first = first.first().and_then(|(key, _)| layout::read_log_order(key));
    Ok(first.is_some_and(|name| name.at < oldest(now, limits)))
}

/// Removes the requests whose lifetime has ended, and the oldest ones above the bound.
pub(super) fn trim(txn: &mut WriteTxn<'_>, limits: RequestLogLimits) -> Result<(), StoreError> {
    let (oldest, mut left) = (oldest(txn.now, limits), count(txn)?);
    let before = left;
    for _ in 0..TRIMMED / TRIM {
        let found = txn.scan(layout::log_orders(), TRIM)?;
        for (key, its_rows) in &found {
            let Some(name) = layout::read_log_order(key) else {
                txn.remove(key.clone());
                continue;
            };
            if name.at >= oldest && left <= limits.requests {
                put_count(txn, before, left);
                return Ok(());
            }
            left = left.saturating_sub(number(its_rows));
            for key in [key.clone(), layout::log_index(name), layout::log_lines(name)] {
                txn.remove(key);
            }
        }
        if found.len() < TRIM {
            break;
        }
    }
    put_count(txn, before, left);
    Ok(())
}

fn put_count(txn: &mut WriteTxn<'_>, before: u64, count: u64) {
    if count != before {
        txn.put(layout::log_count(), count.to_be_bytes().to_vec());
    }
}

/// Returns a page of the requests that `query` selects, as of `now`.
pub(super) fn search(
    view: &dyn ReadView,
    now: u64,
    limits: RequestLogLimits,
    query: &RequestLogQuery,
) -> Result<RequestLogPage, StoreError> {
    let mut reader = PageReader::new(query, oldest(now, limits));
    let (mut from, mut searched) = (reader.newest(), 0);
    loop {
        let found = view.scan(layout::log_indexes_from(from), SCAN)?;
        let is_last = found.len() < SCAN;
        for (key, index) in found {
            let Some(name) = layout::read_log_index(&key) else { continue };
            if reader.is_beyond(name) {
                return Ok(reader.finished());
            }
            from = name.older();
            let rows = reader.candidates(name, &index);
            if rows.is_empty() {
                continue;
            }
            let lines = view.get(&layout::log_lines(name))?.unwrap_or_default();
            if reader.read(name, &rows, &lines)? {
                return Ok(reader.finished());
            }
        }
        searched += SCAN;
        if is_last {
            return Ok(reader.finished());
        }
        if searched >= SEARCHED {
            return Ok(reader.interrupted(from));
        }
    }
}

/// The time before which requests are not kept.
fn oldest(now: u64, limits: RequestLogLimits) -> u64 {
    now.saturating_sub(millis(limits.ttl))
}

fn count(view: &dyn ReadView) -> Result<u64, StoreError> {
    Ok(view.get(&layout::log_count())?.as_deref().map_or(0, number))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::StoreClock, kv::KvStore, limits::StoreLimits, memory::MemoryStore};
    use gateway_core::state::{
        RequestLogBatch, RequestLogEntry, RequestLogRows, RequestLogStore as _,
    };
    use std::time::Duration;

    fn store(requests: u64) -> KvStore<MemoryStore> {
        let request_log = RequestLogLimits { requests, ttl: Duration::from_hours(1) };
        let limits = StoreLimits { request_log, ..StoreLimits::default() };
        let clock = StoreClock::new();
        KvStore::new(MemoryStore::new(clock, u64::MAX), clock, limits)
    }

    fn batch(at: u64, id: &str) -> RequestLogBatch {
        let mut rows = RequestLogRows::default();
        rows.push(&RequestLogEntry { id, at, ..RequestLogEntry::default() });
        RequestLogBatch { at, writer: 1, rows }
    }

    #[tokio::test]
    async fn search_of_many_segments_is_interrupted_and_continued() {
        let store = store(1_000_000);
        let now = StoreClock::new().now();
        store.append(&batch(now, "rare")).await.unwrap();
        for at in 1..=SEARCHED as u64 {
            store.append(&batch(now + at, "")).await.unwrap();
        }
        let mut query =
            RequestLogQuery { id: Some("rare".to_owned()), limit: 5, ..RequestLogQuery::default() };
        let page = store.search(&query).await.unwrap();
        assert!(page.requests.is_empty());
        query.before = page.next;
        assert!(query.before.is_some());
        let page = store.search(&query).await.unwrap();
        assert_eq!((page.requests.len(), page.next), (1, None));
    }
}
