//! Text inside JSON quotes: one line, no control sequences, bounded length.

use std::fmt;

/// The number of bytes logged of one field.
pub(super) const MAX_FIELD_BYTES: usize = 1024;

/// A writer that escapes text for JSON and truncates it after [`MAX_FIELD_BYTES`] with `...`.
#[derive(Debug)]
pub(super) struct EscapedText<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
    cut: bool,
}

impl<'a> EscapedText<'a> {
    pub(super) fn into(out: &'a mut Vec<u8>) -> Self {
        Self { out, left: MAX_FIELD_BYTES, cut: false }
    }
}

impl fmt::Write for EscapedText<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        let kept = text.floor_char_boundary(self.left);
        let (kept, rest) = text.split_at_checked(kept).unwrap_or((text, ""));
        escape(kept, self.out);
        self.left -= kept.len();
        if !rest.is_empty() {
            self.cut = true;
            self.out.extend_from_slice(b"...");
        }
        Ok(())
    }
}

/// Appends `text` with quotes, line breaks and control characters escaped.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    if is_plain(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut plain = 0;
    for (at, char) in text.char_indices() {
        let short = match char {
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\t' => Some("\\t"),
            '\u{2028}' | '\u{2029}' => None,
            _ if char.is_control() => None,
            _ => continue,
        };
        out.extend_from_slice(text.get(plain..at).unwrap_or_default().as_bytes());
        plain = at + char.len_utf8();
        match short {
            Some(short) => out.extend_from_slice(short.as_bytes()),
            None => out.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes()),
        }
    }
    out.extend_from_slice(text.get(plain..).unwrap_or_default().as_bytes());
}

/// Returns whether `text` is ASCII without anything to escape.
pub(super) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (words, rest) = bytes.as_chunks();
    let is_rest_plain = match bytes.last_chunk() {
        // Some of its bytes are looked at twice.
        Some(_) if rest.is_empty() => true,
        Some(last) => is_plain_word(*last),
        None => rest.iter().all(|byte| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~')),
    };
    is_rest_plain && words.iter().all(|word| is_plain_word(*word))
}

/// Returns whether none of eight bytes has to be escaped: the highest bit of a byte is set where it
/// is below a space, a quote, a backslash, or above `~`.
fn is_plain_word(word: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(word);
    let zeros = |of: u64| of.wrapping_sub(ONES) & !of;
    let is_control = word.wrapping_sub(ONES * 0x20);
    let is_above = word.wrapping_add(ONES);
    let is_quote = zeros(word ^ (ONES * u64::from(b'"')));
    let is_backslash = zeros(word ^ (ONES * u64::from(b'\\')));
    (is_control | is_above | is_quote | is_backslash | word) & HIGH == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut out = Vec::new();
        escape(text, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn text_is_escaped() {
        check("plain, ünïcode", "plain, ünïcode");
        check("a\"b\\c", "a\\\"b\\\\c");
        check("a\r\nb\tc", "a\\r\\nb\\tc");
        check("\u{1b}[31mred\u{9b}2J\u{7f}", "\\u001b[31mred\\u009b2J\\u007f");
        check("\u{2028}", "\\u2028");
    }

    #[test]
    fn plain_text_is_recognized_at_every_place() {
        for length in 0..40 {
            let text = "a".repeat(length);
            assert!(is_plain(&text), "{length}");
            for at in 0..length {
                for odd in ['\u{1f}', '"', '\\', '\u{7f}', '\u{80}', 'é'] {
                    let text = format!("{}{odd}{}", &text[..at], &text[at + 1..]);
                    assert!(!is_plain(&text), "{text:?}");
                }
                for plain in [' ', '!', '#', '[', ']', '~'] {
                    let text = format!("{}{plain}{}", &text[..at], &text[at + 1..]);
                    assert!(is_plain(&text), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn long_field_is_truncated() {
        let mut out = Vec::new();
        let mut text = EscapedText::into(&mut out);
        write!(text, "{}ü and more", "x".repeat(MAX_FIELD_BYTES - 1)).unwrap();
        assert_eq!(out.len(), MAX_FIELD_BYTES - 1 + 3);
        assert!(out.ends_with(b"x..."));
    }
}
