//! The scanner: one loop over the bytes, with a stack of its own.

use super::{
    JsonErrorKind, JsonKind, JsonLimits, JsonMember, keys::ObjectKeys, text::plain_prefix, unescape,
};
use std::ops::Range;

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

#[derive(Debug)]
pub(super) struct JsonScanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    open: Vec<OpenContainer>,
    keys: ObjectKeys<'a>,
}

impl<'a> JsonScanner<'a> {
    pub(super) fn new(text: &'a str, limits: JsonLimits) -> ScanResult<Self> {
        if u32::try_from(text.len()).is_err() {
            return Err(ScanError { what: JsonErrorKind::TooLong, at: 0 });
        }
        let open = Vec::with_capacity(16);
        let keys = ObjectKeys::new(text);
        Ok(Self { text, bytes: text.as_bytes(), at: 0, depth: limits.depth, open, keys })
    }

    /// Reads one document, to the last byte.
    pub(super) fn document(
        mut self,
        wants_object: bool,
        visit: &mut impl FnMut(JsonMember<'a>),
    ) -> ScanResult<()> {
        self.start(wants_object)?;
        let mut is_fresh = self.value()?;
        let mut member = None;
        while let Some(frame) = self.open.last().copied() {
            if self.ends(frame, is_fresh)? {
                is_fresh = false;
            } else {
                if let OpenContainer::Object(keys) = frame {
                    let key = self.key(keys)?;
                    if self.open.len() == 1 {
                        member = Some((key, self.at));
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
        self.skip_space();
        if self.at < self.bytes.len() { Err(self.invalid()) } else { Ok(()) }
    }

    fn start(&mut self, wants_object: bool) -> ScanResult<()> {
        self.skip_space();
        match self.peek() {
            None => Err(self.stop(JsonErrorKind::Empty)),
            Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') if wants_object => {
                Err(self.stop(JsonErrorKind::NotAnObject))
            }
            Some(_) => Ok(()),
        }
    }

    /// Reads what stands before the next item of `frame`: true if it is the end.
    #[inline]
    fn ends(&mut self, frame: OpenContainer, is_fresh: bool) -> ScanResult<bool> {
        self.skip_space();
        match (frame, self.peek()) {
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
                self.at += 1;
                self.skip_space();
                return Ok(false);
            }
            (_, Some(_)) if is_fresh => return Ok(false),
            (_, _) => return Err(self.invalid()),
        }
        self.at += 1;
        self.open.pop();
        Ok(true)
    }

    /// Reads a key and its colon. Returns where the key stands, quotes included.
    #[inline]
    fn key(&mut self, keys: usize) -> ScanResult<Range<usize>> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.invalid());
        }
        let is_escaped = self.string()?;
        let span = start..self.at;
        if !self.keys.add(keys, start + 1..self.at - 1, is_escaped) {
            return Err(ScanError { what: JsonErrorKind::DuplicateKey, at: start });
        }
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.invalid());
        }
        self.at += 1;
        self.skip_space();
        Ok(span)
    }

    /// Reads a value, or the opening bracket of one: then true.
    #[inline]
    fn value(&mut self) -> ScanResult<bool> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| false),
            Some(b'{') => self.begin(OpenContainer::Object(self.keys.begin())),
            Some(b'[') => self.begin(OpenContainer::Array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.invalid()),
        }
    }

    #[inline]
    fn begin(&mut self, frame: OpenContainer) -> ScanResult<bool> {
        if self.open.len() >= self.depth {
            return Err(self.stop(JsonErrorKind::TooDeep));
        }
        self.open.push(frame);
        self.at += 1;
        Ok(true)
    }

    fn word(&mut self, word: &[u8]) -> ScanResult<bool> {
        if !self.rest().starts_with(word) {
            return Err(self.invalid());
        }
        self.at += word.len();
        Ok(false)
    }

    /// Reads a string from its opening quote on: true if there are escapes in it.
    #[inline]
    fn string(&mut self) -> ScanResult<bool> {
        self.at += 1;
        let mut is_escaped = false;
        loop {
            self.at += plain_prefix(self.rest());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(is_escaped);
                }
                Some(b'\\') => {
                    self.escape()?;
                    is_escaped = true;
                }
                _ => return Err(self.invalid()),
            }
        }
    }

    #[inline]
    fn escape(&mut self) -> ScanResult<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => self.unicode()?,
            _ => return Err(self.invalid()),
        }
        Ok(())
    }

    /// Reads `\u` and four digits, or two such that stand for one character.
    fn unicode(&mut self) -> ScanResult<()> {
        let is_low = |unit: u32| (0xdc00..0xe000).contains(&unit);
        let unit = self.unit(self.at).ok_or_else(|| self.invalid())?;
        let is_pair = (0xd800..0xdc00).contains(&unit);
        if is_low(unit) || is_pair && !self.unit(self.at + 6).is_some_and(is_low) {
            return Err(self.invalid());
        }
        self.at += if is_pair { 12 } else { 6 };
        Ok(())
    }

    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }

    #[inline]
    fn number(&mut self) -> ScanResult<bool> {
        let start = self.at;
        self.skip_if(|byte| byte == b'-');
        if !self.skip_if(|byte| byte == b'0') {
            self.digits()?;
        }
        let mut may_be_huge = self.at - start > 300;
        if self.skip_if(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.skip_if(|byte| byte | 0x20 == b'e') {
            self.skip_if(|byte| byte == b'+' || byte == b'-');
            self.digits()?;
            may_be_huge = true;
        }
        if may_be_huge && !self.is_finite(start) {
            return Err(ScanError { what: JsonErrorKind::Invalid, at: start });
        }
        Ok(false)
    }

    #[inline]
    fn digits(&mut self) -> ScanResult<()> {
        let mut any = false;
        while self.skip_if(|byte| byte.is_ascii_digit()) {
            any = true;
        }
        if any { Ok(()) } else { Err(self.invalid()) }
    }

    fn is_finite(&self, start: usize) -> bool {
        let number = self.text.get(start..self.at).and_then(|number| number.parse().ok());
        number.is_some_and(f64::is_finite)
    }

    fn member(&self, key_span: Range<usize>, start: usize) -> JsonMember<'a> {
        let value = self.text.get(start..self.at).unwrap_or_default();
        let kind = match value.as_bytes().first() {
            Some(b'"') => JsonKind::String,
            Some(b'{') => JsonKind::Object,
            Some(b'[') => JsonKind::Array,
            Some(b't') => JsonKind::Bool(true),
            Some(b'f') => JsonKind::Bool(false),
            Some(b'n') => JsonKind::Null,
            _ => JsonKind::Number,
        };
        let key = unescape(self.text.get(key_span.clone()).unwrap_or_default());
        JsonMember { key, key_span, value_span: start..self.at, kind, value }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn skip_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn skip_space(&mut self) {
        while self.skip_if(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {}
    }

    fn invalid(&self) -> ScanError {
        self.stop(JsonErrorKind::Invalid)
    }

    fn stop(&self, what: JsonErrorKind) -> ScanError {
        ScanError { what, at: self.at.min(self.bytes.len()) }
    }
}
