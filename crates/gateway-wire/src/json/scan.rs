//! The scanner: one loop over the bytes, with a stack of its own.

use super::{
    JsonErrorKind, JsonKind, JsonLimits, JsonMember, JsonParts, keys::ObjectKeys,
    tokenizer::Tokenizer, unescape,
};
use std::{cell::Cell, ops::Range};

/// Why and where the scanner stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanError {
    pub(super) what: JsonErrorKind,
    pub(super) at: usize,
}

type ScanResult<T> = std::result::Result<T, ScanError>;

/// An array or object that has begun and not ended.
#[derive(Clone, Copy, Debug)]
enum OpenContainer {
    Array,
    /// Its keys stand from here on in [`ObjectKeys`].
    Object(usize),
}

/// The number of open containers and of their keys whose room a thread keeps.
const MAX_SCRATCH: usize = 1 << 10;

thread_local! {
    /// The lists of the last scanner of this thread, empty: most documents are small.
    static SCRATCH: Cell<(Vec<OpenContainer>, Vec<u64>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// The validator of a document, which also visits the members of its root object.
#[derive(Debug)]
pub(super) struct JsonScanner<'a> {
    tokens: Tokenizer<'a, true>,
    depth: usize,
    open: Vec<OpenContainer>,
    keys: ObjectKeys<'a>,
    parts: JsonParts,
}

impl<'a> JsonScanner<'a> {
    /// Creates a scanner of `bytes`, which are UTF-8.
    pub(super) fn new(bytes: &'a [u8], limits: JsonLimits) -> ScanResult<Self> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(ScanError { what: JsonErrorKind::TooLong, at: 0 });
        }
        let (open, seen) = SCRATCH.take();
        let keys = ObjectKeys::new(bytes, seen);
        let tokens = Tokenizer::new(bytes);
        Ok(Self { tokens, depth: limits.depth, open, keys, parts: JsonParts::default() })
    }

    /// Reads one document, to the last byte. Returns the number of its parts.
    pub(super) fn document(
        mut self,
        wants_object: bool,
        visit: &mut impl FnMut(JsonMember<'a>),
        note: &mut impl FnMut(&'a [u8], bool),
    ) -> ScanResult<JsonParts> {
        self.start(wants_object)?;
        let mut is_fresh = self.value()?;
        let mut member = None;
        while let Some(frame) = self.open.last().copied() {
            if self.ends(frame, is_fresh)? {
                is_fresh = false;
            } else {
                if let OpenContainer::Object(keys) = frame {
                    let (key, is_escaped) = self.key(keys)?;
                    if self.open.len() == 1 {
                        member = Some((key, self.tokens.at()));
                    } else {
                        note(self.tokens.slice(key.start + 1..key.end - 1), is_escaped);
                    }
                }
                is_fresh = self.value()?;
            }
            if self.open.len() == 1
                && let Some((key, value)) = member.take()
            {
                visit(self.member(key, value));
            }
        }
        self.tokens.space();
        if !self.tokens.is_at_end() {
            return Err(self.invalid());
        }
        let parts = self.parts;
        self.leave_scratch();
        Ok(parts)
    }

    /// Leaves the lists to the next scanner of this thread.
    fn leave_scratch(mut self) {
        self.open.clear();
        let seen = self.keys.into_list();
        if self.open.capacity().max(seen.capacity()) <= MAX_SCRATCH {
            SCRATCH.set((self.open, seen));
        }
    }

    fn start(&mut self, wants_object: bool) -> ScanResult<()> {
        self.tokens.space();
        match self.tokens.peek() {
            None => Err(self.stop(JsonErrorKind::Empty)),
            Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') if wants_object => {
                Err(self.stop(JsonErrorKind::NotAnObject))
            }
            Some(_) => Ok(()),
        }
    }

    /// Reads up to the next item of `frame`. Returns `true` if there is none.
    #[inline]
    fn ends(&mut self, frame: OpenContainer, is_fresh: bool) -> ScanResult<bool> {
        self.tokens.space();
        match (frame, self.tokens.peek()) {
            (OpenContainer::Array, Some(b']')) => {}
            (OpenContainer::Object(keys), Some(b'}')) => {
                if let Some(at) = self.keys.end(keys) {
                    return Err(ScanError {
                        what: JsonErrorKind::DuplicateKey,
                        at: at.saturating_sub(1),
                    });
                }
            }
            (_, Some(b',')) if !is_fresh => {
                self.tokens.advance();
                self.tokens.space();
                return Ok(false);
            }
            (_, Some(_)) if is_fresh => return Ok(false),
            (_, _) => return Err(self.invalid()),
        }
        self.tokens.advance();
        self.open.pop();
        Ok(true)
    }

    /// Reads a key and its colon. Returns the range of the key, quotes included, and whether it holds
    /// escapes.
    #[inline]
    fn key(&mut self, keys: usize) -> ScanResult<(Range<usize>, bool)> {
        self.parts.strings += 1;
        let start = self.tokens.at();
        let Some(is_escaped) = self.tokens.string() else { return Err(self.invalid()) };
        let span = start..self.tokens.at();
        if !self.keys.add(keys, span.start + 1..span.end - 1, is_escaped) {
            return Err(ScanError { what: JsonErrorKind::DuplicateKey, at: start });
        }
        self.tokens.space();
        if self.tokens.byte(b':').is_none() {
            return Err(self.invalid());
        }
        self.tokens.space();
        Ok((span, is_escaped))
    }

    /// Reads a value, or the opening bracket of one: then `true`.
    #[inline]
    fn value(&mut self) -> ScanResult<bool> {
        let passed = match self.tokens.peek() {
            Some(b'"') => {
                self.parts.strings += 1;
                self.tokens.string().map(drop)
            }
            Some(b'{') => {
                self.parts.objects += 1;
                return self.begin(OpenContainer::Object(self.keys.begin()));
            }
            Some(b'[') => return self.begin(OpenContainer::Array),
            _ => self.tokens.scalar(),
        };
        passed.map(|()| false).ok_or_else(|| self.invalid())
    }

    #[inline]
    fn begin(&mut self, frame: OpenContainer) -> ScanResult<bool> {
        if self.open.len() >= self.depth {
            return Err(self.stop(JsonErrorKind::TooDeep));
        }
        self.open.push(frame);
        self.tokens.advance();
        Ok(true)
    }

    fn member(&self, key_span: Range<usize>, start: usize) -> JsonMember<'a> {
        let raw = self.tokens.slice(start..self.tokens.at());
        let kind = match raw.first() {
            Some(b'"') => JsonKind::String,
            Some(b'{') => JsonKind::Object,
            Some(b'[') => JsonKind::Array,
            Some(b't') => JsonKind::Bool(true),
            Some(b'f') => JsonKind::Bool(false),
            Some(b'n') => JsonKind::Null,
            _ => JsonKind::Number,
        };
        let key = std::str::from_utf8(self.tokens.slice(key_span.clone())).unwrap_or_default();
        let value_span = start..self.tokens.at();
        JsonMember { key: unescape(key), key_span, value_span, kind, raw }
    }

    fn invalid(&self) -> ScanError {
        self.stop(JsonErrorKind::Invalid)
    }

    fn stop(&self, what: JsonErrorKind) -> ScanError {
        ScanError { what, at: self.tokens.at() }
    }
}
