//! The outline of a JSON document that arrives in pieces: the document without its long strings.
//!
//! ```text
//! {"choices":[{"message":{"content":"<30 MiB>"},"finish_reason":"stop"}],"usage":{"total_tokens":9}}
//! {"choices":[{"message":{"content":"mark"},"finish_reason":"stop"}],"usage":{"total_tokens":9}}
//! ```
//!
//! The content of a string that is left out can pass on while it arrives. The outline, with a mark
//! in its place, is read and edited like the whole.

use crate::unreadable;
use gateway_core::Result;
use memchr::memchr2;

/// The length from which on a string may be left out, in bytes.
const LONG_STRING: usize = 64 << 10;
/// The deepest nesting.
const MAX_DEPTH: usize = 128;

/// Builds an outline from the pieces of a document.
#[derive(Debug, Default)]
pub struct JsonOutline {
    text: Vec<u8>,
    /// The brackets that close the open arrays and objects, the outermost first.
    open: Vec<u8>,
    /// The last byte outside of strings that is no space.
    last: u8,
    /// The string that the last piece ended in.
    string: Option<OpenString>,
    utf8: PartialCharacter,
}

/// The reason to stop reading a piece.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutlineStep {
    /// All of it was read.
    Read,
    /// A string is long, and may be [left out](JsonOutline::leave_out).
    LongString,
    /// Content of a string that is left out.
    Content,
}

#[derive(Clone, Copy, Debug)]
struct OpenString {
    /// The place of its content in the outline.
    start: usize,
    kind: StringKind,
    /// Whether the last byte was the backslash of an escape.
    is_escaping: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StringKind {
    /// The name of a member, which stays however long it is.
    Name,
    /// A value that is short so far.
    Value,
    /// A value that was reported to be long, and stays.
    Long,
    /// A value that is left out.
    LeftOut,
}

/// The bytes of a character that the last piece ended in.
#[derive(Clone, Copy, Debug, Default)]
struct PartialCharacter {
    bytes: [u8; 4],
    length: usize,
}

impl JsonOutline {
    /// Reads `piece`, the next of the document, until there is something to report. Returns the
    /// number of bytes that were read.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8, or its brackets do not match.
    pub fn read(&mut self, piece: &[u8]) -> Result<(usize, OutlineStep)> {
        let mut at = 0;
        let step = loop {
            let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) else {
                break OutlineStep::Read;
            };
            if let Some(string) = self.string {
                let (read, is_left_out) = self.read_string(string, rest);
                at += read;
                if is_left_out && read > 0 {
                    break OutlineStep::Content;
                }
                if self.finds_long() {
                    break OutlineStep::LongString;
                }
            } else {
                at += self.read_structure(rest)?;
            }
        };
        self.utf8.push(piece.get(..at).unwrap_or_default())?;
        Ok((at, step))
    }

    /// The outline so far.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Leaves the open string out, and writes `mark` in its place, which needs no escapes. Returns
    /// its content so far. The rest is reported as it comes.
    pub fn leave_out(&mut self, mark: &str) -> Vec<u8> {
        let Some(string) = &mut self.string else { return Vec::new() };
        string.kind = StringKind::LeftOut;
        let content = self.text.split_off(string.start);
        self.text.extend_from_slice(mark.as_bytes());
        content
    }

    /// The document as it would be if it ended after the open string with the content `mark`: all
    /// that is open is closed.
    pub fn closed_with(&self, mark: &str) -> Vec<u8> {
        let kept = self.string.map_or(self.text.len(), |string| string.start);
        let mut text = self.text.get(..kept).unwrap_or_default().to_vec();
        text.extend_from_slice(mark.as_bytes());
        text.push(b'"');
        text.extend(self.open.iter().rev());
        text
    }

    /// Returns the outline of the document, which has ended.
    ///
    /// # Errors
    ///
    /// If it ends in the middle.
    pub fn finish(self) -> Result<Vec<u8>> {
        if self.string.is_some() || !self.open.is_empty() || self.utf8.length > 0 {
            return Err(unreadable("the response ends in the middle"));
        }
        Ok(self.text)
    }

    /// Whether the open string has become a long one just now.
    fn finds_long(&mut self) -> bool {
        let length = self.text.len();
        let Some(string) = &mut self.string else { return false };
        let is_found = string.kind == StringKind::Value && length - string.start >= LONG_STRING;
        if is_found {
            string.kind = StringKind::Long;
        }
        is_found
    }

    /// Reads up to the next string, or all of `rest`.
    fn read_structure(&mut self, rest: &[u8]) -> Result<usize> {
        for (at, &byte) in rest.iter().enumerate() {
            self.text.push(byte);
            match byte {
                b'"' => {
                    let is_name = self.open.last() == Some(&b'}') && self.last != b':';
                    let kind = if is_name { StringKind::Name } else { StringKind::Value };
                    let start = self.text.len();
                    self.string = Some(OpenString { start, kind, is_escaping: false });
                    self.last = byte;
                    return Ok(at + 1);
                }
                b'{' | b'[' => {
                    self.open.push(if byte == b'{' { b'}' } else { b']' });
                    if self.open.len() > MAX_DEPTH {
                        return Err(unreadable("the response is nested too deeply"));
                    }
                }
                b'}' | b']' if self.open.pop() != Some(byte) => {
                    return Err(unreadable("brackets that do not match"));
                }
                _ => {}
            }
            if !byte.is_ascii_whitespace() {
                self.last = byte;
            }
        }
        Ok(rest.len())
    }

    /// Reads the part of `string` that `rest` begins with. Returns its length, and whether it is
    /// left out.
    fn read_string(&mut self, mut string: OpenString, rest: &[u8]) -> (usize, bool) {
        let is_left_out = string.kind == StringKind::LeftOut;
        if is_left_out && !string.is_escaping && rest.first() == Some(&b'"') {
            self.text.push(b'"');
            self.string = None;
            return (1, false);
        }
        let mut at = usize::from(std::mem::take(&mut string.is_escaping));
        let mut is_open = true;
        while is_open && !string.is_escaping {
            let from = rest.get(at..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', from) else {
                at = rest.len();
                break;
            };
            at += found + 1;
            if rest.get(at - 1) == Some(&b'"') {
                is_open = false;
            } else if at == rest.len() {
                string.is_escaping = true;
            } else {
                at += 1;
            }
        }
        // The quote after what is left out is read by the next call.
        let read = if is_left_out && !is_open { at - 1 } else { at };
        if is_left_out {
            self.string = Some(string);
            return (read, true);
        }
        self.text.extend_from_slice(rest.get(..read).unwrap_or_default());
        self.string = is_open.then_some(string);
        (read, false)
    }
}

impl PartialCharacter {
    /// Checks that `piece` continues a text in UTF-8.
    fn push(&mut self, mut piece: &[u8]) -> Result<()> {
        let invalid = || unreadable("the response is not UTF-8");
        while self.length > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            let Some(place) = self.bytes.get_mut(self.length) else { return Err(invalid()) };
            *place = byte;
            self.length += 1;
            piece = rest;
            let so_far = self.bytes.get(..self.length).unwrap_or_default();
            match std::str::from_utf8(so_far) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return Err(invalid()),
                Err(_) => {}
            }
        }
        let Err(error) = std::str::from_utf8(piece) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(invalid());
        }
        let rest = piece.get(error.valid_up_to()..).unwrap_or_default();
        let Some(places) = self.bytes.get_mut(..rest.len()) else { return Err(invalid()) };
        places.copy_from_slice(rest);
        self.length = rest.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Reads `text` in pieces of `size` bytes, and leaves every long string out. Returns the outline
    /// and the contents.
    fn outline(text: &[u8], size: usize) -> Result<(String, Vec<Vec<u8>>)> {
        let (mut outline, mut contents) = (JsonOutline::default(), Vec::<Vec<u8>>::new());
        for mut piece in text.chunks(size) {
            while !piece.is_empty() {
                let (read, step) = outline.read(piece)?;
                let (done, rest) = piece.split_at(read);
                piece = rest;
                match step {
                    OutlineStep::Read => {}
                    OutlineStep::LongString => {
                        let mark = format!("mark{}", contents.len());
                        let closed = outline.closed_with(&mark);
                        assert!(serde_json::from_slice::<Value>(&closed).is_ok(), "{closed:?}");
                        contents.push(outline.leave_out(&mark));
                    }
                    OutlineStep::Content => contents.last_mut().unwrap().extend_from_slice(done),
                }
            }
        }
        Ok((String::from_utf8(outline.finish()?).unwrap(), contents))
    }

    #[test]
    fn document_without_long_strings_is_its_own_outline() {
        for text in [
            "{}",
            " [1, -2.5e3,\nnull, true, \"a\\\"\\\\ü😀\", {\"b\" : []}]\t",
            "\"a\"",
            r#"{"choices":[{"message":{"tool_calls":[{}]}}]}"#,
        ] {
            for size in 1..=text.len() {
                assert_eq!(outline(text.as_bytes(), size).unwrap(), (text.to_owned(), vec![]));
            }
        }
    }

    #[test]
    fn long_strings_are_left_out() {
        let long = ["x".repeat(LONG_STRING + 300), "ü\"\\\n\u{1}".repeat(LONG_STRING / 4)];
        let text = json!({ "a": long[0], "b": ["c", long[1]], "d": 1 }).to_string();
        for size in [1, 7, 299] {
            let (outline, contents) = outline(text.as_bytes(), size).unwrap();
            assert_eq!(outline, r#"{"a":"mark0","b":["c","mark1"],"d":1}"#);
            for (content, long) in contents.iter().zip(&long) {
                let written = serde_json::to_string(long).unwrap();
                assert!(content.as_slice() == &written.as_bytes()[1..written.len() - 1], "{size}");
            }
        }
    }

    #[test]
    fn string_that_ends_in_the_piece_that_makes_it_long_is_kept() {
        let text = json!(["x".repeat(LONG_STRING + 300)]).to_string();
        for size in [LONG_STRING, text.len()] {
            let (outline, contents) = outline(text.as_bytes(), size).unwrap();
            assert!(outline == text && contents.is_empty(), "{size}");
        }
    }

    #[test]
    fn long_names_stay() {
        let text = json!({ "x".repeat(LONG_STRING + 1): "a" }).to_string();
        assert_eq!(outline(text.as_bytes(), 4096).unwrap(), (text, vec![]));
    }

    #[test]
    fn broken_document_is_an_error() {
        let broken: [&[u8]; 9] = [
            b"{\"a\":\"b",
            b"[",
            b"]",
            b"[}",
            b"\"\xff\"",
            b"\"\xe2\x82",
            b"\"\xe2\x82\"",
            &[b'['; 200],
            b"\"\\",
        ];
        for text in broken {
            for size in [1, 3, 1000] {
                assert!(outline(text, size).is_err(), "{text:?}");
            }
        }
    }
}
