//! Whether a text is JSON at all: for what is passed on unread, as often as a model says a word.

use super::text::plain_prefix;

/// How many arrays and objects may stand within each other.
const DEPTH: u32 = 128;

/// Whether `text` is one object by the grammar of RFC 8259, with arrays and objects nested no
/// deeper than 128. What keys and numbers say is not looked at.
pub fn is_object(text: &str) -> bool {
    text.starts_with('{') && Grammar { bytes: text.as_bytes(), at: 0 }.document().is_some()
}

/// A place in a text. Its methods go on from there, or give nothing if the text breaks the rules.
struct Grammar<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The arrays and objects that are open: a bit for each, the innermost last, set for objects.
#[derive(Clone, Copy, Default)]
struct Open {
    kinds: u128,
    depth: u32,
}

impl Open {
    fn enter(&mut self, is_object: bool) -> Option<()> {
        self.depth += 1;
        self.kinds = self.kinds << 1 | u128::from(is_object);
        (self.depth <= DEPTH).then_some(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.kinds >>= 1;
    }

    const fn in_object(self) -> bool {
        self.kinds & 1 == 1
    }
}

impl Grammar<'_> {
    fn document(mut self) -> Option<()> {
        let mut open = Open::default();
        loop {
            if self.value(&mut open)? {
                continue;
            }
            loop {
                self.space();
                if open.depth == 0 {
                    return (self.at == self.bytes.len()).then_some(());
                }
                match self.next()? {
                    b',' => break,
                    b'}' if open.in_object() => open.leave(),
                    b']' if !open.in_object() => open.leave(),
                    _ => return None,
                }
            }
            self.space();
            if open.in_object() {
                self.key()?;
            }
        }
    }

    /// Passes a value, or what opens one that is not empty: then true, and its first value is next.
    #[inline]
    fn value(&mut self, open: &mut Open) -> Option<bool> {
        let begin = self.next()?;
        match begin {
            b'"' => self.string()?,
            b'{' | b'[' => {
                let is_object = begin == b'{';
                open.enter(is_object)?;
                self.space();
                let end = if is_object { b'}' } else { b']' };
                if self.peek()? != end {
                    if is_object {
                        self.key()?;
                    }
                    return Some(true);
                }
                self.at += 1;
                open.leave();
            }
            b't' => self.word(b"rue")?,
            b'f' => self.word(b"alse")?,
            b'n' => self.word(b"ull")?,
            b'-' | b'0'..=b'9' => self.number(begin)?,
            _ => return None,
        }
        Some(false)
    }

    /// Passes a key, its colon, and what space there is.
    #[inline]
    fn key(&mut self) -> Option<()> {
        if self.next()? != b'"' {
            return None;
        }
        self.string()?;
        self.space();
        if self.next()? != b':' {
            return None;
        }
        self.space();
        Some(())
    }

    /// Passes a string, from behind its opening quote.
    #[inline]
    fn string(&mut self) -> Option<()> {
        loop {
            self.at += plain_prefix(self.bytes.get(self.at..)?);
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
            b'u' => {
                let digits = self.bytes.get(self.at..)?.first_chunk::<4>()?;
                self.at += 4;
                return digits.iter().all(u8::is_ascii_hexdigit).then_some(());
            }
            _ => return None,
        }
        Some(())
    }

    /// Passes a number, from behind its first character.
    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.next()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let begin = self.at;
        self.digits();
        (self.at > begin).then_some(())
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let follows = self.bytes.get(self.at..)?.starts_with(rest);
        self.at += rest.len();
        follows.then_some(())
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    /// Is what serde takes for an object.
    #[track_caller]
    fn check(text: &str) {
        let is_object = text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
        assert_eq!(super::is_object(text), is_object, "{text:?}");
    }

    #[test]
    fn it_knows_an_object() {
        for text in [
            r"{}",
            r#"{ "a" : [ ] , "b" : { } }"#,
            r#"{"a":[1,-2,0.5,1e9,-0,1E-2,2.5e+3],"b":"x\n\u00e9\\\"","c":[true,false,null]}"#,
            r#"{"a":[[[{"b":[{}]}]]]}"#,
            "{\"a\":1}\r\n\t ",
        ] {
            assert!(is_object(text), "{text}");
            // Cut anywhere, it is none.
            for end in 0..text.trim_end().len() {
                check(text.get(..end).unwrap());
            }
        }
    }

    #[test]
    fn it_knows_what_is_none() {
        for text in [
            "[]",
            "1",
            "",
            "{a:1}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":[1,]}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":1e}",
            "{\"a\":-}",
            "{\"a\":+1}",
            "{\"a\":tru}",
            "{\"a\":nul}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"\t\"}",
            "{\"a\":1}}",
            "{\"a\":1]",
            "{\"a\":[1}",
            "{\"a\":1} x",
            "{\"a\":1 2}",
            " {}",
        ] {
            check(text);
        }
    }

    #[test]
    fn it_goes_no_deeper_than_it_says() {
        let nested =
            |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(is_object(&nested(128)));
        assert!(!is_object(&nested(129)));
    }

    proptest! {
        #[test]
        fn it_judges_like_serde(text in r#"\{("a":)?[\[\]{}:,"\\ u0-9eE.+tfn-]{0,20}\}?"#) {
            check(&text);
        }
    }
}
