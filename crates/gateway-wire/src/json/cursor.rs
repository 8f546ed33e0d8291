//! Passing over JSON without building anything: for what is passed on unread, as often as a model
//! says a word, and for what little is wanted of a response.

use super::text::plain_prefix;
use std::ops::Range;

/// The largest nesting depth of arrays and objects.
const DEPTH: u32 = 128;

/// A place in a text. Its methods go on from there, or give nothing if the text breaks the rules.
#[derive(Debug)]
struct Tokenizer<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The arrays and objects that are open: a bit for each, the innermost last, set for objects.
#[derive(Clone, Copy)]
struct NestingStack {
    kinds: u128,
    depth: u32,
}

impl NestingStack {
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

impl Tokenizer<'_> {
    /// Passes the end, and what space there is before it.
    fn end(&mut self) -> Option<()> {
        self.space();
        (self.at == self.bytes.len()).then_some(())
    }

    /// Passes a whole value that stands within so many arrays and objects.
    fn pass(&mut self, within: u32) -> Option<()> {
        let mut open = NestingStack { kinds: 0, depth: within };
        loop {
            if self.value(&mut open)? {
                continue;
            }
            loop {
                if open.depth == within {
                    return Some(());
                }
                self.space();
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
    fn value(&mut self, open: &mut NestingStack) -> Option<bool> {
        let begin = self.next()?;
        match begin {
            b'"' => self.string().map(drop)?,
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

    /// Passes a key, its colon, and what space there is. Gives where the key stands without its
    /// quotes, and whether nothing in it is escaped.
    #[inline]
    fn key(&mut self) -> Option<(Range<usize>, bool)> {
        if self.next()? != b'"' {
            return None;
        }
        let start = self.at;
        let is_plain = self.string()?;
        let place = start..self.at - 1;
        self.space();
        if self.next()? != b':' {
            return None;
        }
        self.space();
        Some((place, is_plain))
    }

    /// Passes a string, from behind its opening quote; true if nothing in it is escaped.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        let mut is_plain = true;
        loop {
            self.at += plain_prefix(self.bytes.get(self.at..)?);
            match self.next()? {
                b'"' => return Some(is_plain),
                b'\\' => self.escape()?,
                _ => return None,
            }
            is_plain = false;
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

/// A place in a text where a value stands. Each method reads that value; it gives nothing if the
/// value is not what is asked for, breaks the grammar of RFC 8259, or is nested deeper than 128.
///
/// What texts and numbers say is not looked at. A key with escapes in it is not read: nothing is
/// built, so there is no place for what it stands for.
///
/// ```
/// use gateway_wire::json::Walk;
///
/// let text = r#"{"n": 1, "usage": {"tokens": [2, 3]}}"#;
/// let mut usage = None;
/// let walked = Walk::through(text, |cursor| {
///     cursor.object(|key, cursor| {
///         let value = cursor.skip_value()?;
///         usage = (key == "usage").then_some(value).or(usage);
///         Some(())
///     })
/// });
/// assert_eq!((walked, usage), (Some(()), Some(r#"{"tokens": [2, 3]}"#)));
/// ```
#[derive(Debug)]
pub struct JsonCursor<'a> {
    text: &'a str,
    grammar: Tokenizer<'a>,
    /// In how many arrays and objects.
    depth: u32,
}

impl<'a> JsonCursor<'a> {
    /// Reads the one value of `text` by `read`.
    pub fn parse<T>(text: &'a str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut cursor =
            Self { text, grammar: Tokenizer { bytes: text.as_bytes(), at: 0 }, depth: 0 };
        cursor.grammar.space();
        let found = read(&mut cursor)?;
        cursor.grammar.end()?;
        Some(found)
    }

    /// Reads an object: each member by `read`, which is given the key and reads the value.
    pub fn object(&mut self, mut read: impl FnMut(&'a str, &mut Self) -> Option<()>) -> Option<()> {
        self.items(b'{', b'}', |cursor| {
            let (place, is_plain) = cursor.grammar.key()?;
            let key = cursor.text.get(place).filter(|_| is_plain)?;
            read(key, cursor)
        })
    }

    /// Reads an array: each of its values by `read`.
    pub fn array(&mut self, read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.items(b'[', b']', read)
    }

    /// Reads any value, as it is written.
    pub fn skip_value(&mut self) -> Option<&'a str> {
        let start = self.grammar.at;
        self.grammar.pass(self.depth)?;
        self.text.get(start..self.grammar.at)
    }

    /// Reads `null`, if it stands here; false, and reads nothing, if it does not.
    pub fn is_null(&mut self) -> bool {
        let is_null = self.text.get(self.grammar.at..).is_some_and(|it| it.starts_with("null"));
        self.grammar.at += if is_null { 4 } else { 0 };
        is_null
    }

    fn items(
        &mut self,
        begin: u8,
        end: u8,
        mut read: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        if self.grammar.next()? != begin || self.depth >= DEPTH {
            return None;
        }
        self.depth += 1;
        self.grammar.space();
        if self.grammar.peek()? == end {
            self.grammar.at += 1;
            self.depth -= 1;
            return Some(());
        }
        loop {
            read(self)?;
            self.grammar.space();
            match self.grammar.next()? {
                b',' => self.grammar.space(),
                byte if byte == end => break,
                _ => return None,
            }
        }
        self.depth -= 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    /// Returns whether `text` is one object by the grammar of RFC 8259.
    fn is_object(text: &str) -> bool {
        text.starts_with('{') && JsonCursor::parse(text, JsonCursor::skip_value).is_some()
    }

    /// Is what serde takes for an object.
    #[track_caller]
    fn check(text: &str) {
        let expected = text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
        assert_eq!(is_object(text), expected, "{text:?}");
    }

    #[test]
    fn valid_objects_are_accepted() {
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
    fn invalid_objects_are_rejected() {
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
    fn nesting_beyond_limit_is_rejected() {
        let nested =
            |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(is_object(&nested(128)));
        assert!(!is_object(&nested(129)));
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_judged_like_serde(text in r#"\{("a":)?[\[\]{}:,"\\ u0-9eE.+tfn-]{0,20}\}?"#) {
            check(&text);
        }
    }

    /// Everything that is in a value, as a cursor finds it.
    fn told(cursor: &mut JsonCursor<'_>) -> Option<serde_json::Value> {
        if cursor.is_null() {
            return Some(serde_json::Value::Null);
        }
        match cursor.grammar.peek()? {
            b'{' => {
                let mut members = serde_json::Map::new();
                cursor.object(|key, cursor| {
                    members.insert(key.to_owned(), told(cursor)?);
                    Some(())
                })?;
                Some(members.into())
            }
            b'[' => {
                let mut values = Vec::new();
                cursor.array(|cursor| {
                    values.push(told(cursor)?);
                    Some(())
                })?;
                Some(values.into())
            }
            _ => serde_json::from_str(cursor.skip_value()?).ok(),
        }
    }

    #[test]
    fn cursor_visits_every_value() {
        let text = r#" { "a" : [ 1 , {} , [] , "x\"y" , null ] , "b" : { "c" : true } } "#;
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(JsonCursor::parse(text, told), Some(expected));
        for end in 0..text.trim_end().len() {
            assert_eq!(JsonCursor::parse(&text[..end], told), None, "{end}");
        }
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        for depth in [DEPTH as usize, DEPTH as usize + 1] {
            let is_within = JsonCursor::parse(&nested(depth), told).is_some();
            assert_eq!(is_within, depth <= DEPTH as usize, "{depth}");
            let inside = JsonCursor::parse(&nested(depth), |cursor| {
                cursor.array(|cursor| cursor.skip_value().map(drop))
            });
            assert_eq!(inside.is_some(), is_within, "{depth}");
        }
        for text in [r#"{"a":1} x"#, r#"{"\u0061":1}"#, r#"{"a":1,}"#, "[1,]", "[1 2]", "nul"] {
            assert_eq!(JsonCursor::parse(text, told), None, "{text}");
        }
    }
}
