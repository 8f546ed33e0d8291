//! Server-sent events, after the WHATWG's rules: reading whole events, and writing them.
//!
//! Cutting a stream into blocks of whole events is [`framing`](crate::framing)'s work.

use crate::framing::split_line;
use std::borrow::Cow;

/// An event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event<'a> {
    /// What it is called; empty if it has no name.
    pub name: &'a str,
    /// Its data, the lines joined.
    pub data: Cow<'a, str>,
}

/// The events of `block`, which holds whole events; the end of the last may be missing.
///
/// Comments, `id`, `retry`, unknown fields and events without data are skipped. What is not UTF-8
/// is replaced in data; a name that is not UTF-8 is none.
pub fn events(block: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || next_event(&mut rest))
}

fn next_event<'a>(rest: &mut &'a [u8]) -> Option<Event<'a>> {
    let (mut name, mut data) = ("", None);
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        *rest = after;
        if line.is_empty() {
            if let Some(data) = data.take() {
                return Some(Event { name, data });
            }
            name = "";
        } else if let Some(more) = field(line, b"data") {
            data = Some(join(data, String::from_utf8_lossy(more)));
        } else if let Some(value) = field(line, b"event") {
            name = std::str::from_utf8(value).unwrap_or_default();
        }
    }
    data.map(|data| Event { name, data })
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

/// Whether `block` may be passed on as it is: whole events, each of one line `data: ...`, perhaps
/// after one line `event: ...`, with LF and nothing else to end a line.
pub fn is_plain(block: &[u8]) -> bool {
    let mut rest = block;
    while !rest.is_empty() {
        let Some(after) = plain_event(rest) else { return false };
        rest = after;
    }
    true
}

/// What follows the plain event that `block` begins with.
fn plain_event(block: &[u8]) -> Option<&[u8]> {
    let data = if block.starts_with(b"event: ") { plain_line(block)? } else { block };
    if !data.starts_with(b"data: ") {
        return None;
    }
    plain_line(data)?.strip_prefix(b"\n")
}

/// What follows the first line of `block`, which LF ends.
fn plain_line(block: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr2(b'\n', b'\r', block)?;
    block.get(end..)?.strip_prefix(b"\n")
}

/// Appends an event. Whatever `name` and `data` hold, it is one event and ends where it should.
pub fn write(out: &mut Vec<u8>, name: Option<&str>, data: &str) {
    if let Some(name) = name {
        let (name, _) = split_line(name.as_bytes());
        write_line(out, b"event: ", name);
    }
    write_lines(out, b"data: ", data);
}

/// Appends a comment, which readers skip: it shows that the connection lives.
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
