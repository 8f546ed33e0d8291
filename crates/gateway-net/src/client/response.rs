//! The response of an upstream.

use super::body::ResponseBody;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// A response: its head, and its body as it comes.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// The status and the header fields.
    pub head: ResponseHead,
    /// The body. Dropping it before its end closes the connection.
    pub body: ResponseBody,
}

/// The status and the header fields of a response.
///
/// Fields stay in the bytes in which they came: most of them are never asked for.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The HTTP status.
    pub status: StatusCode,
    fields: Fields,
}

#[derive(Clone, Debug)]
enum Fields {
    /// Fields that a parser has accepted, in the bytes in which they came.
    Text(FieldText),
    Map(HeaderMap),
}

/// Fields in one buffer: the lengths of a name and of its value, then both.
#[derive(Clone, Debug)]
struct FieldText(Box<[u8]>);

/// The bytes of the two lengths before each field.
const LENGTHS: usize = 4;

impl FieldText {
    fn new<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])> + Clone) -> Self {
        let size = |(name, value): (&str, &[u8])| LENGTHS + name.len() + value.len();
        let mut text = Vec::with_capacity(fields.clone().map(size).sum());
        for (name, value) in fields {
            let lengths = (u16::try_from(name.len()), u16::try_from(value.len()));
            // The bound of a head is far below.
            let (Ok(of_name), Ok(of_value)) = lengths else { continue };
            text.extend_from_slice(&of_name.to_le_bytes());
            text.extend_from_slice(&of_value.to_le_bytes());
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(value);
        }
        Self(text.into())
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&[a, b, c, d], fields) = rest.split_first_chunk::<LENGTHS>()?;
            let (name, after) = fields.split_at_checked(u16::from_le_bytes([a, b]).into())?;
            let (value, next) = after.split_at_checked(u16::from_le_bytes([c, d]).into())?;
            rest = next;
            Some((name, value))
        })
    }
}

impl ResponseHead {
    pub(super) fn from_fields<'a>(
        status: StatusCode,
        fields: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
    ) -> Self {
        Self { status, fields: Fields::Text(FieldText::new(fields)) }
    }

    pub(super) const fn from_map(status: StatusCode, map: HeaderMap) -> Self {
        Self { status, fields: Fields::Map(map) }
    }

    /// The value of the first field called `name`.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        match &self.fields {
            Fields::Text(fields) => fields
                .iter()
                .find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
                .map(|(_, value)| value),
            Fields::Map(map) => map.get(name).map(HeaderValue::as_bytes),
        }
    }

    /// The value of the first field called `name`, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = self.bytes(name)?;
        // Without a way out of the loop, it is done with vector instructions.
        let is_text = |byte: u8| byte == b'\t' || (b' '..0x7f).contains(&byte);
        let is_plain = value.iter().fold(true, |so_far, &byte| so_far & is_text(byte));
        if is_plain { std::str::from_utf8(value).ok() } else { None }
    }

    /// The fields whose names begin with `prefix`, which is in lower case, with names in lower case;
    /// those whose values are not text are left out.
    pub fn with_prefix(&self, prefix: &str) -> Vec<(String, String)> {
        let field = |(name, value): (&[u8], &[u8])| {
            let begins = name.get(..prefix.len())?.eq_ignore_ascii_case(prefix.as_bytes());
            let name = begins.then(|| std::str::from_utf8(name).ok())??.to_ascii_lowercase();
            let is_text = value.iter().all(|byte| (b' '..0x7f).contains(byte));
            is_text.then(|| Some((name, std::str::from_utf8(value).ok()?.to_owned())))?
        };
        match &self.fields {
            Fields::Text(fields) => fields.iter().filter_map(field).collect(),
            Fields::Map(map) => {
                let fields = map.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
                fields.map(|(name, value)| (name.as_bytes(), value)).filter_map(field).collect()
            }
        }
    }

    /// All fields, in order.
    pub fn to_map(&self) -> HeaderMap {
        let fields = match &self.fields {
            Fields::Text(fields) => fields,
            Fields::Map(map) => return map.clone(),
        };
        let mut map = HeaderMap::new();
        for (name, value) in fields.iter() {
            let name = HeaderName::from_bytes(name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [(&str, &[u8]); 5] = [
        ("Content-Type", b"text/event-stream"),
        ("X-Empty", b""),
        ("x-a", b"1"),
        ("X-A", b"2"),
        ("x-b", b"\xff"),
    ];

    #[test]
    fn fields_are_found_whatever_their_case() {
        let head = ResponseHead::from_fields(StatusCode::OK, FIELDS.into_iter());
        let map = ResponseHead::from_map(StatusCode::OK, head.to_map());
        for head in [head, map] {
            assert_eq!(head.text("content-type"), Some("text/event-stream"));
            assert_eq!(head.text("x-empty"), Some(""));
            let found = head.with_prefix("x-a");
            assert_eq!(found, [("x-a".into(), "1".into()), ("x-a".into(), "2".into())]);
            assert_eq!(head.with_prefix("x-b"), []);
            assert_eq!(head.text("x-a"), Some("1"));
            assert_eq!(head.bytes("x-b"), Some([0xff].as_slice()));
            assert_eq!((head.text("x-b"), head.text("x-c")), (None, None));
            assert_eq!(head.to_map().get_all("x-a").iter().count(), 2);
        }
    }
}
