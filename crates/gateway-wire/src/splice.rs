//! Small edits of a large body, without a copy of what stays.

use bytes::Bytes;
use std::ops::Range;

/// The pieces of `body` with each range of `edits` replaced by its bytes.
///
/// An empty range inserts, empty bytes cut. The edits may come in any order; they must not overlap:
/// where they do, the one that begins first wins.
pub fn splice(body: &Bytes, mut edits: Vec<(Range<usize>, Bytes)>) -> Vec<Bytes> {
    edits.sort_by_key(|(range, _)| range.start);
    let mut pieces = Vec::with_capacity(2 * edits.len() + 1);
    let mut at = 0;
    for (range, replacement) in edits {
        let start = range.start.clamp(at, body.len());
        pieces.push(body.slice(at..start));
        pieces.push(replacement);
        at = range.end.clamp(start, body.len());
    }
    pieces.push(body.slice(at..));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// `text` as a JSON string, quotes included.
pub fn literal(text: &str) -> Bytes {
    let mut out = Vec::new();
    crate::json::write_string(&mut out, text);
    out.into()
}
