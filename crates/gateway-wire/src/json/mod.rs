//! JSON without a tree: strict validation, member spans, and a cursor that skips what is not
//! wanted.
//!
//! Each request body is validated once, strictly: the grammar of RFC 8259, no number that a double
//! cannot hold, no repeated key in any object and in any spelling, no nesting beyond a limit. Every
//! later parser, here or upstream, therefore reads the same values. Nothing is built: the scanner
//! goes over the bytes with a stack of its own and stores eight bytes per key of the open objects.
//!
//! | part | for |
//! |---|---|
//! | [`validate`], [`members`] | request bodies: validation, and the members of the root object |
//! | [`JsonCursor`] | values of which little is wanted, such as the usage of a response |
//! | `LazyObject` | objects of which some members are decoded and the rest preserved |
//! | `JsonOutline` | documents that pass on while they arrive |
//! | `EditableObject` | objects that are edited in place and written again |
//!
//! All share one tokenizer, except where serde decodes into typed values.

mod cursor;
pub(crate) mod editable_object;
mod footprint;
mod keys;
pub(crate) mod lazy_object;
pub(crate) mod lenient;
mod outline;
pub(crate) mod path;
mod scan;
mod special_bytes;
mod text;
mod tokenizer;

pub use cursor::JsonCursor;
pub use footprint::{JsonParts, decoded_footprint};
pub use outline::{JsonOutline, OutlineStep};
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

/// The reason why a document is rejected, and the position; never a quote of the content.
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
    /// The bytes of the value as it is written.
    pub raw: &'a [u8],
}

impl<'a> JsonMember<'a> {
    /// Returns the value as it is written; empty if the document is not UTF-8, which the scan
    /// reports at its end at the latest.
    pub fn value(&self) -> &'a str {
        std::str::from_utf8(self.raw).unwrap_or_default()
    }

    /// Returns the value, unescaped, if it is a string.
    pub fn string(&self) -> Option<Cow<'a, str>> {
        (self.kind == JsonKind::String).then(|| unescape(self.value()))
    }
}

/// Validates `object` and visits the members of its root, in order.
///
/// Do not act on visited members before the function has returned `Ok`.
///
/// ```
/// use gateway_wire::json::{JsonLimits, members};
///
/// let mut model = None;
/// members(br#"{"model":"gpt-5","n":1}"#, &JsonLimits::default(), |member| {
///     if member.key == "model" {
///         model = member.string();
///     }
/// })?;
/// assert_eq!(model.as_deref(), Some("gpt-5"));
/// # Ok::<(), gateway_wire::json::JsonError>(())
/// ```
///
/// # Errors
///
/// If `object` is not a single valid JSON object.
pub fn members<'a>(
    object: &'a [u8],
    limits: &JsonLimits,
    mut visit: impl FnMut(JsonMember<'a>),
) -> Result<(), JsonError> {
    scan(object, *limits, true, &mut visit, &mut |_, _| ()).map(drop)
}

/// Validates `object`, visits the members of its root as [`members`] does, and notes the keys of
/// the objects inside: the key without its quotes, and whether it holds escapes. Returns the number
/// of its parts.
///
/// # Errors
///
/// If `object` is not a single valid JSON object.
pub(crate) fn members_and_nested_keys<'a>(
    object: &'a [u8],
    limits: JsonLimits,
    mut visit: impl FnMut(JsonMember<'a>),
    mut note: impl FnMut(&'a [u8], bool),
) -> Result<JsonParts, JsonError> {
    scan(object, limits, true, &mut visit, &mut note)
}

/// Validates `document`, any JSON value.
///
/// ```
/// use gateway_wire::json::{JsonErrorKind, JsonLimits, validate};
///
/// assert!(validate(b"[1, 2]", &JsonLimits::default()).is_ok());
/// let error = validate(br#"{"a":1,"a":2}"#, &JsonLimits::default()).unwrap_err();
/// assert_eq!(error.what, JsonErrorKind::DuplicateKey);
/// ```
///
/// # Errors
///
/// If `document` is not a single valid JSON value.
pub fn validate(document: &[u8], limits: &JsonLimits) -> Result<(), JsonError> {
    scan(document, *limits, false, &mut |_| (), &mut |_, _| ()).map(drop)
}

fn scan<'a>(
    bytes: &'a [u8],
    limits: JsonLimits,
    wants_object: bool,
    visit: &mut impl FnMut(JsonMember<'a>),
    note: &mut impl FnMut(&'a [u8], bool),
) -> Result<JsonParts, JsonError> {
    if !bytes.is_ascii()
        && let Err(error) = std::str::from_utf8(bytes)
    {
        let at = error.valid_up_to();
        return Err(locate(bytes, ScanError { what: JsonErrorKind::NotUtf8, at }));
    }
    JsonScanner::new(bytes, limits)
        .and_then(|scanner| scanner.document(wants_object, visit, note))
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
