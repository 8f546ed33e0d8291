//! Division of a streamed response into blocks of whole events, wherever the network cut it.

use crate::{StreamFraming, unreadable};
use bytes::{Buf, Bytes};
use gateway_core::Result;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A splitter that buffers network chunks and emits all complete events in one block.
///
/// A chunk that starts at the start of an event is emitted without a copy; only an incomplete event
/// is buffered, up to the limit.
///
/// ```
/// use gateway_wire::{StreamFraming, framing::EventSplitter};
///
/// let mut splitter = EventSplitter::new(StreamFraming::Sse, 1 << 20);
/// assert_eq!(splitter.push("data: a\n\ndata".into())?, Some("data: a\n\n".into()));
/// assert_eq!(splitter.push(": b\n\n".into())?, Some("data: b\n\n".into()));
/// assert_eq!(splitter.finish(), None);
/// # Ok::<(), gateway_core::GatewayError>(())
/// ```
#[derive(Debug)]
pub struct EventSplitter {
    framing: StreamFraming,
    limit: usize,
    kept: Vec<u8>,
    /// At most a part of a byte order mark has arrived.
    is_start: bool,
    /// The last block ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    /// An event exceeded the limit.
    has_failed: bool,
}

impl EventSplitter {
    /// Creates a splitter for events of at most `limit` bytes.
    pub const fn new(framing: StreamFraming, limit: usize) -> Self {
        let kept = Vec::new();
        Self { framing, limit, kept, is_start: true, after_cr: false, has_failed: false }
    }

    /// Takes the next bytes and returns the events that are complete now.
    ///
    /// # Errors
    ///
    /// [`UpstreamInvalid`](gateway_core::ErrorKind::UpstreamInvalid) from the first event on that
    /// is longer than the limit; those before it are returned first.
    pub fn push(&mut self, chunk: Bytes) -> Result<Option<Bytes>> {
        let chunk = self.begin(chunk);
        let block = self.take_block(chunk);
        self.after_cr |= block.ends_with(b"\r") && self.kept.is_empty();
        let block = self.hold_to_limit(block);
        if block.is_empty() && self.has_failed {
            return Err(unreadable("an event exceeds the size limit"));
        }
        Ok(Some(block).filter(|block| !block.is_empty()))
    }

    /// Ends the stream and returns what followed the last complete event, possibly an event that
    /// lacks only its blank line.
    pub fn finish(&mut self) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.kept);
        (!rest.is_empty()).then(|| rest.into())
    }

    /// Strips bytes outside of events: a byte order mark, the second half of a line end.
    fn begin(&mut self, mut chunk: Bytes) -> Bytes {
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            chunk.advance(usize::from(chunk.starts_with(b"\n")));
        }
        if self.is_start {
            if !self.kept.is_empty() {
                self.kept.extend_from_slice(&chunk);
                chunk = std::mem::take(&mut self.kept).into();
            }
            if BOM.starts_with(&chunk) && chunk.len() < BOM.len() {
                self.kept = chunk.into();
                return Bytes::new();
            }
            self.is_start = false;
            chunk.advance(if chunk.starts_with(BOM) { BOM.len() } else { 0 });
        }
        chunk
    }

    /// Takes the complete events of the buffer and `chunk`; buffers the rest.
    fn take_block(&mut self, chunk: Bytes) -> Bytes {
        if self.has_failed {
            return Bytes::new();
        }
        if self.kept.is_empty() {
            let end = end_of_events(self.framing, &chunk, 0);
            if end == chunk.len() {
                // A slice would share the bytes, and sharing them allocates.
                return chunk;
            }
            self.kept.extend_from_slice(chunk.get(end..).unwrap_or_default());
            return chunk.slice(..end);
        }
        let known = self.kept.len();
        self.kept.extend_from_slice(&chunk);
        let end = end_of_events(self.framing, &self.kept, known);
        if end == 0 {
            return Bytes::new();
        }
        let rest = self.kept.get(end..).unwrap_or_default().to_vec();
        let mut block = std::mem::replace(&mut self.kept, rest);
        block.truncate(end);
        block.into()
    }

    /// Truncates `block` before the first event that exceeds the limit.
    fn hold_to_limit(&mut self, mut block: Bytes) -> Bytes {
        if block.len() > self.limit {
            let end = end_within(self.framing, &block, self.limit);
            self.has_failed |= end < block.len();
            block.truncate(end);
        }
        self.has_failed |= self.kept.len() > self.limit;
        if self.has_failed {
            self.kept = Vec::new();
        }
        block
    }
}

/// The end of the last complete event of `bytes`, which is known not to lie before `known`.
///
/// Read from the back: most chunks end where an event ends.
fn end_of_events(framing: StreamFraming, bytes: &[u8], known: usize) -> usize {
    let mut end = bytes.len();
    while let Some(new) = bytes.get(known..end) {
        let found = match framing {
            StreamFraming::Sse => memchr::memrchr2(b'\n', b'\r', new),
            StreamFraming::Lines => memchr::memrchr(b'\n', new),
        };
        let Some(last) = found.map(|at| known + at) else { break };
        let before = bytes.get(..last).unwrap_or_default();
        let is_pair = before.ends_with(b"\r") && bytes.get(last) == Some(&b'\n');
        let before = if is_pair { before.get(..last - 1).unwrap_or_default() } else { before };
        let is_blank = matches!(before.last(), None | Some(b'\n' | b'\r'));
        if is_blank || framing == StreamFraming::Lines {
            return last + 1;
        }
        end = before.len();
    }
    0
}

/// The end of the last event of `block` up to which no event is longer than `limit` bytes.
fn end_within(framing: StreamFraming, block: &[u8], limit: usize) -> usize {
    let (mut good, mut rest) = (0, block);
    while !rest.is_empty() {
        let (line, after) = match framing {
            StreamFraming::Sse => split_line(rest),
            StreamFraming::Lines => {
                rest.split_at(memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1))
            }
        };
        let end = block.len() - after.len();
        if end - good > limit {
            break;
        }
        if line.is_empty() || framing == StreamFraming::Lines {
            good = end;
        }
        rest = after;
    }
    good
}

/// Splits `bytes` into the first line, without its line end, and the rest.
#[inline]
pub(crate) fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    let after = rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)).unwrap_or_default();
    (line, after)
}

/// Returns the non-empty lines of newline-delimited JSON, trimmed.
pub fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prelude::*, sample::select};

    /// The blocks that come out for `chunks`: `!` is a refusal, the last is what remains.
    fn run(framing: StreamFraming, limit: usize, chunks: &[&str]) -> String {
        let mut splitter = EventSplitter::new(framing, limit);
        let mut told = String::new();
        for chunk in chunks {
            match splitter.push(Bytes::copy_from_slice(chunk.as_bytes())) {
                Ok(Some(block)) => told += str::from_utf8(&block).unwrap(),
                Ok(None) => {}
                Err(_) => told.push('!'),
            }
            told.push('|');
        }
        told + str::from_utf8(&splitter.finish().unwrap_or_default()).unwrap()
    }

    #[track_caller]
    fn check(framing: StreamFraming, chunks: &[&str], expected: &str) {
        assert_eq!(run(framing, 12, chunks), expected);
    }

    #[test]
    fn complete_events_are_emitted_immediately() {
        use StreamFraming::Sse;
        check(Sse, &["data: a\n\n"], "data: a\n\n|");
        check(Sse, &["a\n\nb\n\nc"], "a\n\nb\n\n|c");
        check(Sse, &["a\n", "\nb\n", "\n"], "|a\n\n|b\n\n|");
        check(Sse, &["a\r\n\r", "\nb\r\n\r\n"], "a\r\n\r|b\r\n\r\n|");
        check(Sse, &["a\r", "\n", "\r", "", "\n", "b\r\r"], "||a\r\n\r|||b\r\r|");
        check(Sse, &["\u{feff}a\n\n", "\u{feff}b\n\n"], "a\n\n|\u{feff}b\n\n|");
        check(Sse, &["a\n\n", "\n", "b"], "a\n\n|\n||b");
        check(Sse, &["a\n\r", "\nb\n\n"], "a\n\r|b\n\n|");
        check(Sse, &["a\r\rb", "\n\n"], "a\r\r|b\n\n|");
    }

    #[test]
    fn complete_lines_are_emitted_immediately() {
        use StreamFraming::Lines;
        check(Lines, &["{}\n{}", "\n"], "{}\n|{}\n|");
        check(Lines, &["\u{feff}{}\r\n", "{}"], "{}\r\n||{}");
        check(Lines, &["\n\n"], "\n\n|");
    }

    #[test]
    fn event_beyond_the_limit_ends_the_stream() {
        for framing in [StreamFraming::Sse, StreamFraming::Lines] {
            let end = if framing == StreamFraming::Sse { "\n\n" } else { "\n" };
            let fits = "x".repeat(12 - end.len()) + end;
            let long = format!("x{fits}");
            check(framing, &[&fits, &fits], &format!("{fits}|{fits}|"));
            check(framing, &[&format!("{fits}{fits}")], &format!("{fits}{fits}|"));
            check(framing, &[&long, &fits], "!|!|");
            check(framing, &[&format!("{fits}{long}"), &fits], &format!("{fits}|!|"));
            check(framing, &[&fits, "xxxxxxx", "xxxxxx", "x"], &format!("{fits}||!|!|"));
            check(framing, &[&format!("{fits}xxxxxxxxxxxxx"), ""], &format!("{fits}|!|"));
        }
    }

    #[test]
    fn chunk_of_whole_events_is_not_copied() {
        let chunk = Bytes::from("data: a\n\ndata: b\n\ndata".to_owned());
        let block =
            EventSplitter::new(StreamFraming::Sse, 100).push(chunk.clone()).unwrap().unwrap();
        assert_eq!((block.as_ptr(), block.len()), (chunk.as_ptr(), 18));
    }

    #[test]
    fn limit_error_is_upstream_invalid() {
        let error = EventSplitter::new(StreamFraming::Lines, 3)
            .push(Bytes::from_static(b"12345"))
            .unwrap_err();
        assert_eq!(error.kind(), gateway_core::ErrorKind::UpstreamInvalid);
    }

    #[test]
    fn blank_lines_are_skipped_and_lines_trimmed() {
        let told: Vec<_> = lines(b" {}\r\n\n\r\n[1]\n2").collect();
        assert_eq!(told, [&b"{}"[..], b"[1]", b"2"]);
    }

    proptest! {
        #[test]
        fn output_and_limit_are_independent_of_cuts(
            pieces in prop::collection::vec(select(&["\n", "\n\n", "a", "bc", "defg", "é"][..]), 0..30),
            sizes in prop::collection::vec(1usize..9, 1..8),
            sse: bool,
        ) {
            let stream = pieces.concat();
            let framing = if sse { StreamFraming::Sse } else { StreamFraming::Lines };
            let drain = |sizes: &[usize], limit| {
                let mut splitter = EventSplitter::new(framing, limit);
                let (mut out, mut rest, mut failed) = (Vec::new(), stream.as_bytes(), false);
                for size in sizes.iter().cycle() {
                    let (chunk, after) = rest.split_at(rest.len().min(*size));
                    match splitter.push(Bytes::copy_from_slice(chunk)) {
                        Ok(block) => out.extend(block.unwrap_or_default()),
                        Err(_) => failed = true,
                    }
                    if rest.is_empty() || failed {
                        break;
                    }
                    rest = after;
                }
                out.extend(splitter.finish().unwrap_or_default());
                (String::from_utf8(out).unwrap(), failed)
            };
            prop_assert_eq!(drain(&sizes, 1000), (stream.clone(), false));
            prop_assert_eq!(drain(&sizes, 8), drain(&[usize::MAX], 8));
        }
    }
}
