//! The parser of server-sent events.

use bytes::Bytes;
use gateway_wire::{StreamFraming, framing::EventSplitter, sse};

/// The most that is kept of an event that does not end.
const LIMIT: usize = 4096;

/// Returns the events of `bytes` read in pieces of `size`; `None` if one is too large.
fn events(framing: StreamFraming, bytes: &[u8], size: usize) -> Option<Vec<(String, String)>> {
    let mut splitter = EventSplitter::new(framing, LIMIT);
    let mut events = Vec::new();
    let mut take = |block: Bytes| {
        for event in sse::events(&block) {
            events.push((event.name.to_owned(), event.data.into_owned()));
        }
    };
    for piece in bytes.chunks(size.max(1)) {
        if let Some(block) = splitter.push(Bytes::copy_from_slice(piece)).ok()? {
            take(block);
        }
    }
    if let Some(block) = splitter.finish() {
        take(block);
    }
    Some(events)
}

/// The network may cut anywhere; what is read, written and read again is the same.
pub(crate) fn decode(data: &[u8]) {
    let Some((size, bytes)) = data.split_first() else { return };
    let whole = events(StreamFraming::Sse, bytes, bytes.len());
    if bytes.len() < LIMIT {
        assert_eq!(whole, events(StreamFraming::Sse, bytes, usize::from(*size)));
        assert_eq!(whole, events(StreamFraming::Sse, bytes, 1));
    }
    let mut again = Vec::new();
    for (name, data) in whole.iter().flatten() {
        sse::write(&mut again, Some(name.as_str()).filter(|name| !name.is_empty()), data);
    }
    if again.len() < LIMIT {
        assert_eq!(
            whole.unwrap_or_default(),
            events(StreamFraming::Sse, &again, 7).unwrap_or_default()
        );
    }
    let mut splitter = EventSplitter::new(StreamFraming::Lines, LIMIT);
    let _ = splitter.push(Bytes::copy_from_slice(bytes));
    splitter.finish();
}

/// Whatever an event says, it is one event, and says that.
pub(crate) fn encode(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut out = Vec::new();
    sse::comment(&mut out, &text);
    sse::write(&mut out, None, &text);
    sse::write(&mut out, Some("end"), "x");
    assert!(!out.contains(&b'\r'), "no lone carriage return leaves");
    let mut read = sse::events(&out);
    let first = read.next().expect("it is an event");
    // Line ends are all told alike.
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    if !unified.is_empty() {
        assert_eq!(first.data, unified);
        let last = read.next().expect("and another");
        assert_eq!((last.name, &*last.data), ("end", "x"));
    }
}
