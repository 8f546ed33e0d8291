//! The tokenizer: strings, numbers, literals and white space of RFC 8259.

use super::special_bytes::SpecialBlock;
use std::ops::Range;

/// A position in a document, with methods that pass one token each.
///
/// A method that finds something else returns `None` and leaves the position at the offending byte.
/// A `STRICT` tokenizer also rejects what not every reader takes alike: lone surrogates, and
/// numbers that a double cannot hold.
#[derive(Clone, Debug)]
pub(super) struct Tokenizer<'a, const STRICT: bool> {
    bytes: &'a [u8],
    at: usize,
    /// The block that was searched last.
    block: SpecialBlock,
    /// The document is one line: line ends are not white space.
    is_line: bool,
}

impl<'a, const STRICT: bool> Tokenizer<'a, STRICT> {
    /// Creates a tokenizer at the start of `bytes`.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, block: SpecialBlock::NONE, is_line: false }
    }

    /// Creates a tokenizer for which line ends are not white space.
    pub(super) const fn of_line(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, block: SpecialBlock::NONE, is_line: true }
    }

    /// Returns the position, in bytes from the start.
    #[inline]
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Returns the bytes of a range.
    #[inline]
    pub(super) fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Returns the bytes from the position on.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Returns whether the position is the end of the document.
    #[inline]
    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Returns the byte at the position.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes one byte, whatever it is.
    #[inline]
    pub(super) const fn advance(&mut self) {
        self.at += 1;
    }

    /// Passes `byte`.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) -> Option<()> {
        self.skip_if(|found| found == byte).then_some(())
    }

    /// Passes white space, if there is some.
    #[inline]
    pub(super) fn space(&mut self) {
        while let Some(byte @ ..=b' ') = self.peek() {
            match byte {
                b' ' | b'\t' => {}
                b'\n' | b'\r' if !self.is_line => {}
                _ => break,
            }
            self.at += 1;
        }
    }

    /// Passes a string. Returns whether it holds escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Option<bool> {
        self.byte(b'"')?;
        let mut at = self.at;
        let mut is_escaped = false;
        loop {
            at = self.block.find(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Some(is_escaped);
                }
                Some(b'\\') if self.bytes.get(at + 1).copied().is_some_and(is_short_escape) => {
                    at += 2;
                }
                Some(b'\\') => {
                    self.at = at;
                    self.unicode()?;
                    at = self.at;
                }
                _ => {
                    self.at = at;
                    return None;
                }
            }
            is_escaped = true;
        }
    }

    /// Passes a key, its colon, and the white space around that. Returns the range of the key
    /// without its quotes, and whether it holds escapes.
    #[inline]
    pub(super) fn key(&mut self) -> Option<(Range<usize>, bool)> {
        let start = self.at + 1;
        let is_escaped = self.string()?;
        let range = start..self.at - 1;
        self.space();
        self.byte(b':')?;
        self.space();
        Some((range, is_escaped))
    }

    /// Passes a number or one of the words `true`, `false` and `null`.
    #[inline]
    pub(super) fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => None,
        }
    }

    /// Passes `\u` and four digits, or, if strict, two such that stand for one character.
    fn unicode(&mut self) -> Option<()> {
        let is_low = |unit: u32| (0xdc00..0xe000).contains(&unit);
        let unit = self.unit(self.at)?;
        let is_pair = STRICT && (0xd800..0xdc00).contains(&unit);
        if STRICT && is_low(unit) || is_pair && !self.unit(self.at + 6).is_some_and(is_low) {
            return None;
        }
        self.at += if is_pair { 12 } else { 6 };
        Some(())
    }

    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }

    fn number(&mut self) -> Option<()> {
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
        if STRICT && may_be_huge && !self.is_finite(start) {
            self.at = start;
            return None;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.skip_if(|byte| byte.is_ascii_digit()) {}
        (self.at > start).then_some(())
    }

    fn is_finite(&self, start: usize) -> bool {
        let number = std::str::from_utf8(self.slice(start..self.at)).ok();
        number.and_then(|number| number.parse().ok()).is_some_and(f64::is_finite)
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest().starts_with(word).then(|| self.at += word.len())
    }

    #[inline]
    fn skip_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        self.at += usize::from(found);
        found
    }
}

/// Returns whether `byte` and the backslash before it are an escape.
#[inline]
const fn is_short_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
}
