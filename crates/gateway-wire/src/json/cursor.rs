//! A cursor over JSON text that builds nothing, for chunks that pass through and for the few values
//! that metering needs of a response.

use super::tokenizer::Tokenizer;

/// The largest nesting depth of arrays and objects.
const DEPTH: u32 = 128;

/// The open arrays and objects, one bit each, the innermost last; a set bit is an object.
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

/// A cursor at a value in a JSON text.
///
/// Each method reads the value at the cursor. It returns `None` if the value is of another type,
/// breaks the grammar of RFC 8259, or is nested deeper than 128; the cursor is then of no use.
/// Strings and numbers are not decoded, and a key with escapes counts as an error.
///
/// ```
/// use gateway_wire::json::JsonCursor;
///
/// let text = r#"{"n": 1, "usage": {"tokens": [2, 3]}}"#;
/// let mut usage = None;
/// let walked = JsonCursor::parse(text, |cursor| {
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
    tokens: Tokenizer<'a, false>,
    /// The number of open arrays and objects.
    depth: u32,
}

impl<'a> JsonCursor<'a> {
    /// Reads the single value of `text` with `read`.
    pub fn parse<T>(text: &'a str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut cursor = Self { text, tokens: Tokenizer::new(text.as_bytes()), depth: 0 };
        cursor.tokens.space();
        let found = read(&mut cursor)?;
        cursor.tokens.space();
        cursor.tokens.is_at_end().then_some(found)
    }

    /// Reads a value at the start of `line` by `read`; line ends are not white space. Returns the
    /// bytes that follow the value.
    ///
    /// The line need not be UTF-8, so `read` must use the methods that give bytes.
    pub(crate) fn parse_line(
        line: &'a [u8],
        read: impl FnOnce(&mut Self) -> Option<()>,
    ) -> Option<&'a [u8]> {
        let mut cursor = Self { text: "", tokens: Tokenizer::of_line(line), depth: 0 };
        read(&mut cursor)?;
        Some(cursor.tokens.rest())
    }

    /// Reads an object. `read` gets each key and must read the value.
    pub fn object(&mut self, mut read: impl FnMut(&'a str, &mut Self) -> Option<()>) -> Option<()> {
        self.items(b'{', b'}', |cursor| {
            let (range, is_escaped) = cursor.tokens.key()?;
            let key = cursor.text.get(range).filter(|_| !is_escaped)?;
            read(key, cursor)
        })
    }

    /// Reads an object like [`object`](Self::object), with keys as bytes.
    pub(crate) fn byte_object(
        &mut self,
        mut read: impl FnMut(&'a [u8], &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.items(b'{', b'}', |cursor| {
            let (range, is_escaped) = cursor.tokens.key()?;
            if is_escaped { None } else { read(cursor.tokens.slice(range), cursor) }
        })
    }

    /// Reads an array. `read` must read each value.
    pub fn array(&mut self, read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.items(b'[', b']', read)
    }

    /// Skips any value and returns its text.
    pub fn skip_value(&mut self) -> Option<&'a str> {
        let start = self.tokens.at();
        self.skip()?;
        self.text.get(start..self.tokens.at())
    }

    /// Reads a number without sign, fraction and exponent.
    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        let digit = |byte: Option<u8>| byte.filter(u8::is_ascii_digit).map(|it| it - b'0');
        let mut number = u64::from(digit(self.tokens.peek())?);
        self.tokens.advance();
        // No digit follows a zero in front.
        while number > 0
            && let Some(digit) = digit(self.tokens.peek())
        {
            number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
            self.tokens.advance();
        }
        let is_whole = !matches!(self.tokens.peek(), Some(b'.' | b'e' | b'E' | b'0'..=b'9'));
        is_whole.then_some(number)
    }

    /// Reads `null` and returns `true`, or leaves the cursor and returns `false`.
    pub fn is_null(&mut self) -> bool {
        self.tokens.peek() == Some(b'n') && self.tokens.scalar().is_some()
    }

    fn items(
        &mut self,
        begin: u8,
        end: u8,
        mut read: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.tokens.byte(begin)?;
        if self.depth >= DEPTH {
            return None;
        }
        self.depth += 1;
        self.tokens.space();
        if self.tokens.byte(end).is_none() {
            loop {
                read(self)?;
                self.tokens.space();
                if self.tokens.byte(b',').is_none() {
                    break;
                }
                self.tokens.space();
            }
            self.tokens.byte(end)?;
        }
        self.depth -= 1;
        Some(())
    }

    /// Skips any value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        match self.tokens.peek()? {
            b'"' => self.tokens.string().map(drop),
            b'{' | b'[' => self.skip_container(),
            _ => self.tokens.scalar(),
        }
    }

    /// Passes an array or object, without recursion.
    fn skip_container(&mut self) -> Option<()> {
        let mut open = NestingStack { kinds: 0, depth: self.depth };
        loop {
            if self.open(&mut open)? {
                continue;
            }
            loop {
                if open.depth == self.depth {
                    return Some(());
                }
                self.tokens.space();
                let byte = self.tokens.peek()?;
                self.tokens.advance();
                match byte {
                    b',' => break,
                    b'}' if open.in_object() => open.leave(),
                    b']' if !open.in_object() => open.leave(),
                    _ => return None,
                }
            }
            self.tokens.space();
            if open.in_object() {
                self.tokens.key()?;
            }
        }
    }

    /// Passes a scalar, an empty container, or the start of another up to its first value: then
    /// `true`.
    #[inline]
    fn open(&mut self, open: &mut NestingStack) -> Option<bool> {
        let begin = self.tokens.peek()?;
        match begin {
            b'"' => self.tokens.string().map(|_| false),
            b'{' | b'[' => {
                let is_object = begin == b'{';
                open.enter(is_object)?;
                self.tokens.advance();
                self.tokens.space();
                if self.tokens.byte(if is_object { b'}' } else { b']' }).is_some() {
                    open.leave();
                    return Some(false);
                }
                if is_object {
                    self.tokens.key()?;
                }
                Some(true)
            }
            _ => self.tokens.scalar().map(|()| false),
        }
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
    fn read_value(cursor: &mut JsonCursor<'_>) -> Option<serde_json::Value> {
        if cursor.is_null() {
            return Some(serde_json::Value::Null);
        }
        match cursor.tokens.peek()? {
            b'{' => {
                let mut members = serde_json::Map::new();
                cursor.object(|key, cursor| {
                    members.insert(key.to_owned(), read_value(cursor)?);
                    Some(())
                })?;
                Some(members.into())
            }
            b'[' => {
                let mut values = Vec::new();
                cursor.array(|cursor| {
                    values.push(read_value(cursor)?);
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
        assert_eq!(JsonCursor::parse(text, read_value), Some(expected));
        for end in 0..text.trim_end().len() {
            assert_eq!(JsonCursor::parse(&text[..end], read_value), None, "{end}");
        }
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        for depth in [DEPTH as usize, DEPTH as usize + 1] {
            let is_within = JsonCursor::parse(&nested(depth), read_value).is_some();
            assert_eq!(is_within, depth <= DEPTH as usize, "{depth}");
            let inside = JsonCursor::parse(&nested(depth), |cursor| {
                cursor.array(|cursor| cursor.skip_value().map(drop))
            });
            assert_eq!(inside.is_some(), is_within, "{depth}");
        }
        for text in [r#"{"a":1} x"#, r#"{"\u0061":1}"#, r#"{"a":1,}"#, "[1,]", "[1 2]", "nul"] {
            assert_eq!(JsonCursor::parse(text, read_value), None, "{text}");
        }
    }
}
