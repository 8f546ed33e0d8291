//! JSON without a tree: strict validation, member spans, and a cursor that skips what is not
//! wanted.
//!
//! A document is checked once, strictly, before anybody else reads it: RFC 8259 to the letter,
//! no number that a double cannot hold, no key twice in any object however it is spelt, no nesting
//! beyond a limit. Whoever parses it afterwards, here or upstream, sees the same thing as everybody
//! else. Nothing is built: the scanner walks over the bytes with a stack of its own and remembers
//! eight bytes a key of the objects that are open.

mod cursor;
pub(crate) mod editable_object;
mod keys;
pub(crate) mod lazy_object;
pub(crate) mod lenient;
pub(crate) mod path;
mod scan;
mod text;

pub use cursor::JsonCursor;
pub use text::{unescape, write_string};

use scan::{JsonScanner, ScanError};
use std::{borrow::Cow, ops::Range};

/// The limits on a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JsonLimits {
    /// The largest nesting depth of arrays and objects. Default: 64.
    pub depth: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self { depth: 64 }
    }
}

/// A document that is refused. Says where, and never what stands there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub struct JsonError {
    /// The kind of violation.
    pub what: JsonErrorKind,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// The kinds of violation in a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JsonErrorKind {
    /// It breaks JSON's grammar, or holds a number that no double can hold.
    #[error("invalid JSON")]
    Invalid,
    /// Its arrays and objects are nested too deeply.
    #[error("JSON is nested too deeply")]
    TooDeep,
    /// An object has the same key twice.
    #[error("duplicate key")]
    DuplicateKey,
    /// It is not UTF-8.
    #[error("invalid UTF-8")]
    NotUtf8,
    /// It is something other than an object.
    #[error("the document must be an object")]
    NotAnObject,
    /// The document is empty or blank.
    #[error("the document is empty")]
    Empty,
    /// It is longer than 4 GiB.
    #[error("the document is too long")]
    TooLong,
}

/// The type of a JSON value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JsonKind {
    /// The literal `null`.
    Null,
    /// The literal `true` or `false`.
    Bool(bool),
    /// A number of any spelling.
    Number,
    /// A string, escaped or not.
    String,
    /// An array, whose elements are not visited.
    Array,
    /// An object, whose members are not visited.
    Object,
}

/// A member of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonMember<'a> {
    /// The key without quotes and escapes.
    pub key: Cow<'a, str>,
    /// The byte range of the key, quotes included.
    pub key_span: Range<usize>,
    /// The byte range of the value.
    pub value_span: Range<usize>,
    /// The type of the value.
    pub kind: JsonKind,
    /// The value as it is written.
    pub value: &'a str,
}

impl<'a> JsonMember<'a> {
    /// The value, unescaped, if it is a string.
    pub fn string(&self) -> Option<Cow<'a, str>> {
        (self.kind == JsonKind::String).then(|| unescape(self.value))
    }
}

/// Checks `object` and shows its members, not those of objects within it, in order.
///
/// What was shown counts only if the whole document turns out to be sound.
///
/// # Errors
///
/// If `object` is not one sound JSON object.
pub fn members<'a>(
    object: &'a [u8],
    limits: &JsonLimits,
    mut visit: impl FnMut(JsonMember<'a>),
) -> Result<(), JsonError> {
    scan(object, *limits, true, &mut visit)
}

/// Checks `document`, which may be any JSON value.
///
/// # Errors
///
/// If `document` is not one sound JSON value.
pub fn validate(document: &[u8], limits: &JsonLimits) -> Result<(), JsonError> {
    scan(document, *limits, false, &mut |_| ())
}

fn scan<'a>(
    bytes: &'a [u8],
    limits: JsonLimits,
    wants_object: bool,
    visit: &mut impl FnMut(JsonMember<'a>),
) -> Result<(), JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        locate(bytes, ScanError { what: JsonErrorKind::NotUtf8, at: error.valid_up_to() })
    })?;
    JsonScanner::new(text, limits)
        .and_then(|scanner| scanner.document(wants_object, visit))
        .map_err(|stop| locate(bytes, stop))
}

/// Converts a byte offset to line and column; only error paths pay for this.
fn locate(bytes: &[u8], ScanError { what, at }: ScanError) -> JsonError {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line = 1 + memchr::memchr_iter(b'\n', before).count();
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let is_first_of_char = |byte: &&u8| **byte & 0xc0 != 0x80;
    let column = 1 + before.iter().skip(start).filter(is_first_of_char).count();
    JsonError { what, line, column }
}

#[cfg(test)]
mod tests;
