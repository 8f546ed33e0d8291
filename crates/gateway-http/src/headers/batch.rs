//! Many small header values in one allocation.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers whose values are written into one buffer: each value becomes a slice of it.
#[derive(Debug)]
pub(crate) struct HeaderBatch {
    text: Vec<u8>,
    /// The names, each with the position at which its value ends.
    ends: Vec<(HeaderName, usize)>,
}

impl HeaderBatch {
    /// An empty batch, with room for the headers that most replies get.
    pub(crate) fn new() -> Self {
        Self { text: Vec::with_capacity(256), ends: Vec::with_capacity(12) }
    }

    /// Adds a header with a number.
    pub(crate) fn number(&mut self, name: HeaderName, value: u64) {
        self.text(name, itoa::Buffer::new().format(value));
    }

    /// Adds a header with a text. One that no header can carry is left out.
    pub(crate) fn text(&mut self, name: HeaderName, value: &str) {
        self.write(name, |out| out.extend_from_slice(value.as_bytes()));
    }

    /// Adds a header whose value `write` appends.
    pub(crate) fn write(&mut self, name: HeaderName, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.ends.push((name, self.text.len()));
    }

    /// Inserts all of them into `headers`.
    pub(crate) fn insert_into(self, headers: &mut HeaderMap) {
        self.each(|name, value| {
            headers.insert(name, value);
        });
    }

    /// Appends all of them to `headers`, which have none of their names: half the work of inserting.
    pub(crate) fn append_to(self, headers: &mut HeaderMap) {
        self.each(|name, value| {
            headers.append(name, value);
        });
    }

    fn each(self, mut add: impl FnMut(HeaderName, HeaderValue)) {
        if self.ends.is_empty() {
            return;
        }
        let text = Bytes::from(self.text);
        let mut start = 0;
        for (name, end) in self.ends {
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(start..end)) {
                add(name, value);
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_slices_of_their_own() {
        let mut batch = HeaderBatch::new();
        batch.number(HeaderName::from_static("x-a"), 17);
        batch.text(HeaderName::from_static("x-b"), "");
        batch.text(HeaderName::from_static("x-c"), "a\nb");
        batch.write(HeaderName::from_static("x-d"), |out| out.extend_from_slice(b"end"));
        let mut headers = HeaderMap::new();
        batch.append_to(&mut headers);
        assert_eq!(
            (&headers["x-a"], &headers["x-b"], &headers["x-d"]),
            (&"17".parse().unwrap(), &"".parse().unwrap(), &"end".parse().unwrap())
        );
        assert!(!headers.contains_key("x-c"), "a line break is in no header");
    }
}
