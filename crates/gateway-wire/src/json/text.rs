//! String literals: skipping, reading and writing them.

use super::special_bytes::plain_prefix;
use std::borrow::Cow;

/// Decodes a valid string literal, quotes included.
pub fn unescape(literal: &str) -> Cow<'_, str> {
    let inner = literal.strip_prefix('"').unwrap_or(literal);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut text = String::with_capacity(inner.len());
    text.extend(UnescapedChars::new(inner));
    Cow::Owned(text)
}

/// The characters that a valid literal stands for, from behind its opening quote to its end.
#[derive(Clone, Debug)]
pub(super) struct UnescapedChars<'a>(std::str::Chars<'a>);

impl<'a> UnescapedChars<'a> {
    pub(super) fn new(inner: &'a str) -> Self {
        Self(inner.chars())
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode(),
            other => other,
        })
    }

    /// Half of a pair whose other half is missing stands for nothing; what follows it still counts.
    fn unicode(&mut self) -> char {
        let mut code = self.hex();
        if (0xd800..0xdc00).contains(&code) {
            let mut ahead = self.clone();
            let escaped = ahead.0.next() == Some('\\') && ahead.0.next() == Some('u');
            let low = if escaped { ahead.hex() } else { 0 };
            if (0xdc00..0xe000).contains(&low) {
                *self = ahead;
                code = 0x1_0000 + ((code - 0xd800) << 10) + (low & 0x3ff);
            }
        }
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> u32 {
        let digits = self.0.by_ref().take(4);
        digits.fold(0, |code, digit| code << 4 | digit.to_digit(16).unwrap_or(0))
    }
}

impl Iterator for UnescapedChars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.0.next()? {
            '"' => {
                self.0 = "".chars();
                None
            }
            '\\' => self.escape(),
            plain => Some(plain),
        }
    }
}

/// Appends `text` as a string literal, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (plain, special) = rest.split_at(plain_prefix(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        write_escape(out, byte);
        rest = after;
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x8 => b'b',
        0xc => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literal_is_unescaped() {
        #[track_caller]
        fn check(literal: &str, expected: &str) {
            assert_eq!(unescape(literal), expected);
        }
        check(r#""""#, "");
        check(r#""plain \u00e9""#, "plain é");
        check(r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t");
        check(r#""\ud83d\ude00!""#, "😀!");
        check(r#""\u0000""#, "\0");
    }

    #[test]
    fn lone_surrogate_does_not_consume_neighbours() {
        for (literal, expected) in [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ud83dabc""#, "\u{fffd}abc"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ude00!""#, "\u{fffd}!"),
        ] {
            assert_eq!(unescape(literal), expected, "{literal}");
        }
    }

    #[test]
    fn invalid_escapes_are_read_leniently() {
        for junk in ["", "\"", "\"\\", "\"\\u12", "\"\\ud800", "\"\\ud800\\u0041\"", "\\uzzzz"] {
            let _ = unescape(junk);
        }
    }

    proptest! {
        #[test]
        fn written_string_unescapes_to_same_text(text: String) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(&serde_json::from_slice::<String>(&out).unwrap(), &text);
            let literal = String::from_utf8(out).unwrap();
            prop_assert_eq!(unescape(&literal), text.as_str());
        }
    }
}
