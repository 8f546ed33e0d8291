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
    text.bytes().all(|byte| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~'))
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
    fn long_field_is_truncated() {
        let mut out = Vec::new();
        let mut text = EscapedText::into(&mut out);
        write!(text, "{}ü and more", "x".repeat(MAX_FIELD_BYTES - 1)).unwrap();
        assert_eq!(out.len(), MAX_FIELD_BYTES - 1 + 3);
        assert!(out.ends_with(b"x..."));
    }
}
