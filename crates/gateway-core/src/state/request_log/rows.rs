//! Rows of the request log, written once, when a request ends, as every store keeps them.

use super::RequestLogEntry;

/// The rows of a batch: a line of JSON for each, and what finds it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestLogRows {
    lines: Vec<u8>,
    keys: Vec<RequestLogKey>,
}

/// The hashes of a request's id and tenant, by which its line is found without reading others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestLogKey {
    /// The hash of the request id.
    pub id: u64,
    /// The hash of the tenant; of the empty text without one.
    pub tenant: u64,
}

impl RequestLogRows {
    /// Adds the row of a request.
    pub fn push(&mut self, entry: &RequestLogEntry<'_>) {
        let tenant = RequestLogKey::hash(entry.tenant.unwrap_or_default());
        self.keys.push(RequestLogKey { id: RequestLogKey::hash(entry.id), tenant });
        entry.write(&mut self.lines);
        self.lines.push(b'\n');
    }

    /// Returns the number of rows.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the lines, each with its line feed: a [`LoggedRequest`](super::LoggedRequest) as JSON.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Returns the key of each line.
    pub fn keys(&self) -> &[RequestLogKey] {
        &self.keys
    }
}

impl RequestLogKey {
    /// Returns the hash of an id or a tenant: FNV-1a, the same in every version.
    pub fn hash(text: &str) -> u64 {
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_is_a_line_and_its_key() {
        let mut rows = RequestLogRows::default();
        for id in ["a", "b"] {
            rows.push(&RequestLogEntry { id, tenant: Some("t"), ..RequestLogEntry::default() });
        }
        assert_eq!((rows.len(), rows.lines().split(|byte| *byte == b'\n').count()), (2, 3));
        let key = RequestLogKey { id: RequestLogKey::hash("b"), tenant: RequestLogKey::hash("t") };
        assert_eq!(rows.keys()[1], key);
    }
}
