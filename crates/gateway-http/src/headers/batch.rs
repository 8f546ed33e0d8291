//! Many small header values without an allocation for each.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{cell::RefCell, mem};

/// Headers whose values are written into one buffer: each value becomes a slice of it.
///
/// Its buffers belong to the thread and are used again; values are slices of a block that many
/// batches share, and that is freed with the last of them.
#[derive(Debug)]
pub(crate) struct HeaderBatch {
    text: Vec<u8>,
    /// The names, each with the position at which its value ends.
    ends: Vec<(HeaderName, usize)>,
}

/// The size of a block of values in bytes: those of some seventy replies.
const BLOCK: usize = 16 << 10;

/// The largest text buffer that a thread keeps, in bytes.
const KEPT: usize = 4 << 10;

thread_local! {
    static BUFFERS: RefCell<HeaderBuffers> = RefCell::default();
}

/// The buffers of a thread, while no batch uses them.
#[derive(Default)]
struct HeaderBuffers {
    text: Vec<u8>,
    ends: Vec<(HeaderName, usize)>,
    /// The unused part of the block of values.
    block: BytesMut,
}

impl HeaderBuffers {
    /// Copies `text` into the block.
    fn share(&mut self, text: &[u8]) -> Bytes {
        if self.block.capacity() < text.len() {
            self.block = BytesMut::with_capacity(BLOCK.max(text.len()));
        }
        self.block.extend_from_slice(text);
        self.block.split().freeze()
    }
}

impl HeaderBatch {
    /// An empty batch, with room for the headers that most replies get.
    pub(crate) fn new() -> Self {
        let (mut text, mut ends) = BUFFERS.with_borrow_mut(|buffers| {
            (mem::take(&mut buffers.text), mem::take(&mut buffers.ends))
        });
        text.reserve(256);
        ends.reserve(12);
        Self { text, ends }
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

    fn each(mut self, mut add: impl FnMut(HeaderName, HeaderValue)) {
        let text = BUFFERS.with_borrow_mut(|buffers| buffers.share(&self.text));
        let mut start = 0;
        for (name, end) in self.ends.drain(..) {
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(start..end)) {
                add(name, value);
            }
            start = end;
        }
        self.text.clear();
        if self.text.capacity() <= KEPT {
            BUFFERS.with_borrow_mut(|buffers| {
                buffers.text = self.text;
                buffers.ends = self.ends;
            });
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

    #[test]
    fn batches_of_a_thread_do_not_share_values() {
        let mut headers = HeaderMap::new();
        let mut outer = HeaderBatch::new();
        outer.text(HeaderName::from_static("x-outer"), "outer");
        for number in 0..10_000 {
            let mut inner = HeaderBatch::new();
            inner.number(HeaderName::from_static("x-inner"), number);
            inner.insert_into(&mut headers);
            assert_eq!(headers["x-inner"], *number.to_string());
        }
        let kept = headers["x-inner"].clone();
        outer.append_to(&mut headers);
        assert_eq!((&headers["x-outer"], &kept), (&"outer".parse().unwrap(), &headers["x-inner"]));
    }
}
