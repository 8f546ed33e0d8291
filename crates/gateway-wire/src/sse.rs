//! Server-sent events by the rules of the WHATWG: decoding and encoding of whole events.
//!
//! [`framing`](crate::framing) cuts a stream into blocks of whole events.

use crate::framing::split_line;
use std::borrow::Cow;

/// A server-sent event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SseEvent<'a> {
    /// The event type; empty if the event has none.
    pub name: &'a str,
    /// The data, lines joined by LF.
    pub data: Cow<'a, str>,
}

/// Returns the events of `block`, which holds whole events; the blank line after the last may be
/// missing.
///
/// Comments, `id`, `retry`, unknown fields and events without data are skipped. Invalid UTF-8 is
/// replaced in data; an event type that is not UTF-8 is ignored.
///
/// ```
/// let block = b"event: ping\ndata: {}\n\n: comment\n\ndata: [DONE]\n\n";
/// let events: Vec<_> = gateway_wire::sse::events(block).collect();
/// assert_eq!((events[0].name, &*events[0].data), ("ping", "{}"));
/// assert_eq!(events[1].data, "[DONE]");
/// ```
pub fn events(block: &[u8]) -> impl Iterator<Item = SseEvent<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || next_event(&mut rest))
}

fn next_event<'a>(rest: &mut &'a [u8]) -> Option<SseEvent<'a>> {
    let (mut name, mut data) = ("", None);
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        *rest = after;
        if line.is_empty() {
            if let Some(data) = data.take() {
                return Some(SseEvent { name, data });
            }
            name = "";
        } else if let Some(more) = field(line, b"data") {
            data = Some(join(data, text(more)));
        } else if let Some(value) = field(line, b"event") {
            name = std::str::from_utf8(value).unwrap_or_default();
        }
    }
    data.map(|data| SseEvent { name, data })
}

/// The value of a field as text. The common case is checked many bytes at a time.
fn text(value: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
}

/// The value of the field `name`, if `line` is that field.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(&[]),
        _ => None,
    }
}

fn join<'a>(data: Option<Cow<'a, str>>, line: Cow<'a, str>) -> Cow<'a, str> {
    let Some(data) = data else { return line };
    let mut data = data.into_owned();
    data.push('\n');
    data.push_str(&line);
    Cow::Owned(data)
}

/// Returns whether `block` may be passed on as it is: whole events, each of one line `data: ...`,
/// perhaps after one line `event: ...` that names it, with LF and nothing else to end a line.
pub fn is_plain(block: &[u8]) -> bool {
    let mut rest = block;
    while !rest.is_empty() {
        let Some(after) = plain_event(rest) else { return false };
        rest = after;
    }
    true
}

/// Returns the rest of `block` after its first plain event; `None` if that event is not plain.
fn plain_event(block: &[u8]) -> Option<&[u8]> {
    let is_named = block.starts_with(b"event: ") && !block.starts_with(b"event: \n");
    let data = if is_named { plain_line(block)? } else { block };
    // A name that is no text is none.
    let name = block.get(..block.len() - data.len())?;
    std::str::from_utf8(name).ok()?;
    if !data.starts_with(b"data: ") {
        return None;
    }
    plain_line(data)?.strip_prefix(b"\n")
}

/// Returns the rest of `block` after its first line, which must end in LF.
fn plain_line(block: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr2(b'\n', b'\r', block)?;
    block.get(end..)?.strip_prefix(b"\n")
}

/// Appends an event. Line ends in `name` and `data` cannot break out of the event.
///
/// ```
/// let mut out = Vec::new();
/// gateway_wire::sse::write(&mut out, Some("ping"), "{}");
/// assert_eq!(out, b"event: ping\ndata: {}\n\n");
/// ```
pub fn write(out: &mut Vec<u8>, name: Option<&str>, data: &str) {
    if let Some(name) = name {
        let (name, _) = split_line(name.as_bytes());
        write_line(out, b"event: ", name);
    }
    write_lines(out, b"data: ", data);
}

/// Appends a comment, which clients skip: a heartbeat.
pub fn comment(out: &mut Vec<u8>, text: &str) {
    write_lines(out, b": ", text);
}

fn write_lines(out: &mut Vec<u8>, field: &[u8], text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let (line, after) = split_line(rest);
        write_line(out, field, line);
        if after.is_empty() && line.len() == rest.len() {
            break;
        }
        rest = after;
    }
    out.push(b'\n');
}

fn write_line(out: &mut Vec<u8>, field: &[u8], line: &[u8]) {
    out.reserve(field.len() + line.len() + 2);
    out.extend_from_slice(field);
    out.extend_from_slice(line);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StreamFraming, framing::EventSplitter};
    use bytes::Bytes;
    use proptest::{prelude::*, sample::select};

    fn summaries(block: &[u8]) -> Vec<String> {
        events(block).map(|event| format!("{}:{}", event.name, event.data)).collect()
    }

    /// The events of `stream`, which comes in chunks of `sizes`, again and again.
    fn in_chunks(stream: &[u8], sizes: &[usize]) -> Vec<String> {
        let mut splitter = EventSplitter::new(StreamFraming::Sse, 1 << 20);
        let (mut told, mut rest) = (Vec::new(), stream);
        for size in sizes.iter().cycle() {
            let (chunk, after) = rest.split_at(rest.len().min(*size));
            let block = splitter.push(Bytes::copy_from_slice(chunk)).unwrap();
            told.extend(block.iter().flat_map(|block| summaries(block)));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        told.extend(splitter.finish().iter().flat_map(|block| summaries(block)));
        told
    }

    /// The events of `stream`, however it is cut.
    #[track_caller]
    fn check(stream: impl AsRef<[u8]>, expected: &[&str]) {
        let stream = stream.as_ref();
        for sizes in [vec![usize::MAX], vec![1], vec![2], vec![3], vec![1, 2, 4]] {
            assert_eq!(in_chunks(stream, &sizes), expected, "{sizes:?}");
        }
        for cut in 1..stream.len() {
            assert_eq!(in_chunks(stream, &[cut, usize::MAX]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn lines_end_with_lf_cr_or_crlf() {
        check("data: a\n\ndata: b\n\n", &[":a", ":b"]);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &[":a", ":b"]);
        check("data: a\r\rdata: b\r\r", &[":a", ":b"]);
        check("data: a\n\r\ndata: b\r\n\n", &[":a", ":b"]);
        check("data: a\r\ndata: b\rdata: c\ndata: d\n\r", &[":a\nb\nc\nd"]);
    }

    #[test]
    fn fields_follow_the_whatwg_rules() {
        check("data:a\n\ndata:  b \n\n", &[":a", ": b "]);
        check("event: x\ndata: a\n\ndata: b\n\n", &["x:a", ":b"]);
        check("data: a\nevent: x\nevent:y\n\n", &["y:a"]);
        check("event: x\n\ndata: a\n\n", &[":a"]);
        check("data\n\ndata:\n\n", &[":", ":"]);
        check("data: a\ndata\ndata: b\n\n", &[":a\n\nb"]);
        check("id: 1\nretry: 5\nother: x\ndatas: y\n data: z\ndata: a\n\n", &[":a"]);
        check(": ping\n\n: PROCESSING\ndata: a\n\n\n\n:\n\n", &[":a"]);
        check("data: {\"a\": \"b: c\"}    \n\n", &[":{\"a\": \"b: c\"}    "]);
    }

    #[test]
    fn unterminated_event_is_emitted() {
        check("data: a\n\ndata: b", &[":a", ":b"]);
        check("data: a\n\nevent: x\ndata: b\r\n", &[":a", "x:b"]);
        check("data: a\r", &[":a"]);
        check("", &[]);
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[":a"]);
        check("data: é😀\u{2028}\n\n", &[":é😀\u{2028}"]);
        check(b"event: \xff\ndata: a\xffb\n\n", &[":a\u{fffd}b"]);
        check(b"\xef\xbbdata: a\n\ndata: b\n\n", &[":b"]);
        check(b"\xef", &[]);
    }

    #[test]
    fn plain_blocks_are_recognized() {
        #[track_caller]
        fn check(block: &str, expected: bool) {
            assert_eq!(is_plain(block.as_bytes()), expected);
        }
        check("data: a\n\n", true);
        check("data: a\n\nevent: x\ndata: b\n\ndata: [DONE]\n\n", true);
        check("data: a\n", false);
        check("data: a", false);
        check("data:a\n\n", false);
        check("data: a\r\n\r\n", false);
        check("data: a\rb\n\n", false);
        check("data: a\ndata: b\n\n", false);
        check("data: a\nevent: x\n\n", false);
        check("event: x\n\n", false);
        check(": ping\n\n", false);
        check("data: a\n\n\n", false);
        check("id: 1\ndata: a\n\n", false);
    }

    #[test]
    fn events_are_written() {
        #[track_caller]
        fn check(name: Option<&str>, data: &str, expected: &str) {
            let mut out = Vec::new();
            write(&mut out, name, data);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        check(None, "{}", "data: {}\n\n");
        check(Some("x"), "", "event: x\ndata: \n\n");
        check(Some("x\r\ndata: y"), "a", "event: x\ndata: a\n\n");
        check(
            None,
            "a\n\ndata: [DONE]\r\rb\r\n",
            "data: a\ndata: \ndata: data: [DONE]\ndata: \ndata: b\ndata: \n\n",
        );
        let mut out = Vec::new();
        comment(&mut out, "keep-alive");
        assert_eq!(out, b": keep-alive\n\n");
    }

    const PIECES: [&str; 20] = [
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        "data:",
        "data: ",
        "data",
        "event: ",
        "event:x",
        ":",
        ": ",
        " ",
        "a",
        "{\"b\":1}",
        "é",
        "😀",
        "\u{feff}",
        "id: 1",
        "data: z\n\n",
    ];

    proptest! {
        #[test]
        fn events_are_independent_of_cuts(
            pieces in prop::collection::vec(select(&PIECES[..]), 0..40),
            sizes in prop::collection::vec(1usize..12, 1..10),
        ) {
            let stream = pieces.concat();
            let whole = stream.strip_prefix('\u{feff}').unwrap_or(&stream);
            prop_assert_eq!(in_chunks(stream.as_bytes(), &sizes), summaries(whole.as_bytes()));
        }

        #[test]
        fn written_event_is_plain_or_decodes_alike(name in "[a-z.]{0,5}", data: String) {
            let mut out = Vec::new();
            write(&mut out, Some(&name).filter(|name| !name.is_empty()).map(|name| &**name), &data);
            let joined = data.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(summaries(&out), vec![format!("{name}:{joined}")]);
            prop_assert!(!out.contains(&b'\r'));
            prop_assert_eq!(is_plain(&out), !joined.contains('\n'));
        }

        #[test]
        fn plain_block_equals_rewritten_block(pieces in prop::collection::vec(select(&[
            "data: a\n\n", "event: x\n", "data: b\n", "\n", "data:c\n\n", "\r\n", ": d\n\n", "data: e",
        ][..]), 0..6)) {
            let block = pieces.concat();
            let mut written = Vec::new();
            let has_one_line = |event: SseEvent<'_>| !event.data.contains('\n');
            for event in events(block.as_bytes()) {
                write(&mut written, Some(event.name).filter(|name| !name.is_empty()), &event.data);
            }
            let is_plain_in_fact = written == block.as_bytes() && events(block.as_bytes()).all(has_one_line);
            prop_assert_eq!(is_plain(block.as_bytes()), is_plain_in_fact);
        }
    }
}
