//! The outside of a JSON document: is it sound, and where are the members of its object?
//!
//! A document is checked once, strictly, before anybody else reads it: RFC 8259 to the letter,
//! no number that a double cannot hold, no key twice in any object however it is spelt, no nesting
//! beyond a limit. Whoever parses it afterwards, here or upstream, sees the same thing as everybody
//! else. Nothing is built: the scanner walks over the bytes with a stack of its own and remembers
//! eight bytes a key of the objects that are open.

mod cursor;
mod keys;
mod scan;
mod text;

pub use cursor::Walk;
pub use text::{unescape, write_string};

use scan::{Scanner, Stop};
use std::{borrow::Cow, ops::Range};

/// What a document may ask of those who read it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// So many arrays and objects may stand within each other.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64 }
    }
}

/// A document that is refused. Says where, and never what stands there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub struct Error {
    /// What is wrong.
    pub what: What,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum What {
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
    /// There is nothing.
    #[error("the document is empty")]
    Empty,
    /// It is longer than 4 GiB.
    #[error("the document is too long")]
    TooLong,
}

/// What sort of value stands in a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A member of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// Where the key stands, quotes included.
    pub key_span: Range<usize>,
    /// Where the value stands.
    pub value_span: Range<usize>,
    /// What sort of value it is.
    pub kind: Kind,
    /// The value as it is written.
    pub value: &'a str,
}

impl<'a> Member<'a> {
    /// The value, unescaped, if it is a string.
    pub fn string(&self) -> Option<Cow<'a, str>> {
        (self.kind == Kind::String).then(|| unescape(self.value))
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
    limits: &Limits,
    mut visit: impl FnMut(Member<'a>),
) -> Result<(), Error> {
    scan(object, *limits, true, &mut visit)
}

/// Checks `document`, which may be any JSON value.
///
/// # Errors
///
/// If `document` is not one sound JSON value.
pub fn validate(document: &[u8], limits: &Limits) -> Result<(), Error> {
    scan(document, *limits, false, &mut |_| ())
}

fn scan<'a>(
    bytes: &'a [u8],
    limits: Limits,
    wants_object: bool,
    visit: &mut impl FnMut(Member<'a>),
) -> Result<(), Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| locate(bytes, Stop { what: What::NotUtf8, at: error.valid_up_to() }))?;
    Scanner::new(text, limits)
        .and_then(|scanner| scanner.document(wants_object, visit))
        .map_err(|stop| locate(bytes, stop))
}

/// Counts lines and columns, which nobody needs before something is wrong.
fn locate(bytes: &[u8], Stop { what, at }: Stop) -> Error {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line = 1 + memchr::memchr_iter(b'\n', before).count();
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    let is_first_of_char = |byte: &&u8| **byte & 0xc0 != 0x80;
    let column = 1 + before.iter().skip(start).filter(is_first_of_char).count();
    Error { what, line, column }
}

#[cfg(test)]
mod tests;
