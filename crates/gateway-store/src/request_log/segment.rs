//! A segment of the request log: its name, its index and its lines.

use gateway_core::state::{RequestLogBatch, RequestLogKey};

/// The bytes of a request in the index: the hashes of its id and of its tenant.
const INDEX_BYTES: usize = 16;

/// The name of a segment. The order of names is that of time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct SegmentName {
    /// The time of the batch, in milliseconds since 1970.
    pub(crate) at: u64,
    /// The number of the process that wrote it.
    pub(crate) writer: u32,
}

/// A batch as it is stored.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) index: Vec<u8>,
    pub(crate) lines: Vec<u8>,
}

impl SegmentName {
    /// Returns the largest name that is older.
    pub(crate) const fn older(self) -> Self {
        match self.writer.checked_sub(1) {
            Some(writer) => Self { at: self.at, writer },
            None => Self { at: self.at.saturating_sub(1), writer: u32::MAX },
        }
    }
}

impl Segment {
    /// Encodes `batch`.
    pub(crate) fn encode(batch: &RequestLogBatch) -> Self {
        let keys = batch.rows.keys().iter();
        let index = keys.flat_map(|key| [key.id, key.tenant]).flat_map(u64::to_be_bytes).collect();
        let name = SegmentName { at: batch.at, writer: batch.writer };
        Self { name, index, lines: batch.rows.lines().to_vec() }
    }

    /// Returns the number of its requests.
    pub(crate) const fn rows(&self) -> u64 {
        (self.index.len() / INDEX_BYTES) as u64
    }
}

/// Returns the rows of a segment that may have this id and this tenant, newest first.
pub(super) fn candidates(index: &[u8], id: Option<&str>, tenant: Option<&str>) -> Vec<u32> {
    let (id, tenant) = (id.map(RequestLogKey::hash), tenant.map(RequestLogKey::hash));
    let is = |wanted: Option<u64>, bytes: &[u8]| {
        wanted.is_none_or(|wanted| bytes == wanted.to_be_bytes().as_slice())
    };
    let rows = (0..).zip(index.chunks_exact(INDEX_BYTES));
    let may_match = |(_, entry): &(u32, &[u8])| {
        let (its_id, its_tenant) = entry.split_at(INDEX_BYTES / 2);
        is(id, its_id) && is(tenant, its_tenant)
    };
    let mut found: Vec<u32> = rows.filter(may_match).map(|(row, _)| row).collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::state::{RequestLogEntry, RequestLogRows};

    fn segment(requests: &[(&str, &str)]) -> Segment {
        let mut rows = RequestLogRows::default();
        for (id, tenant) in requests {
            rows.push(&RequestLogEntry { id, tenant: Some(tenant), ..RequestLogEntry::default() });
        }
        Segment::encode(&RequestLogBatch { at: 1, writer: 2, rows })
    }

    #[test]
    fn index_finds_rows_of_id_and_tenant() {
        let segment = segment(&[("a", "x"), ("b", "y"), ("a", "y")]);
        assert_eq!(segment.rows(), 3);
        let find = |id, tenant| candidates(&segment.index, id, tenant);
        assert_eq!(find(None, None), [2, 1, 0]);
        assert_eq!(find(Some("a"), None), [2, 0]);
        assert_eq!(find(Some("a"), Some("y")), [2]);
        assert_eq!(find(None, Some("z")), [0; 0]);
    }
}
