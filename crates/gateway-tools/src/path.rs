//! Paths of services, with places for arguments.

use crate::tool_config_error::{PathSegmentError, PathTemplateError};
use gateway_core::ToolError;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// More than anything is called.
const MAX_NAME: usize = 512;

/// A path such as `/v1/chunks/{chunk_id}`.
///
/// An argument fills one segment and can never become more than that: what is not a letter, a digit
/// or one of `-_~.` is percent-encoded, and what is a direction (`.` and `..`) is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathTemplate(Vec<PathSegment>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum PathSegment {
    Fixed(String),
    Argument(String),
}

impl PathSegment {
    fn parse(segment: &str) -> Result<Self, PathSegmentError> {
        if let Some(rest) = segment.strip_prefix('{') {
            let name = rest.strip_suffix('}').filter(|name| is_word(name));
            name.map(|name| Self::Argument(name.to_owned())).ok_or(PathSegmentError::NoArgument)
        } else if is_fixed(segment) {
            Ok(Self::Fixed(segment.to_owned()))
        } else {
            Err(PathSegmentError::InvalidCharacter)
        }
    }
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// If it is no absolute path, or a place for an argument is not a whole segment.
    pub fn parse(text: &str) -> Result<Self, PathTemplateError> {
        let path = text.strip_prefix('/');
        let error = |segment: &str, kind| PathTemplateError {
            template: text.to_owned(),
            segment: segment.to_owned(),
            kind,
        };
        let path = path.ok_or_else(|| error(text, PathSegmentError::Relative))?;
        let segments = path.split('/');
        let segments = segments.map(|it| PathSegment::parse(it).map_err(|kind| error(it, kind)));
        segments.collect::<Result<_, _>>().map(Self)
    }

    /// The arguments that it takes.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| {
            if let PathSegment::Argument(name) = segment { Some(name.as_str()) } else { None }
        })
    }

    /// The path, with its arguments taken out of `arguments`.
    ///
    /// # Errors
    ///
    /// If an argument is missing, or cannot be the name of anything.
    pub fn fill(&self, arguments: &mut Map<String, Value>) -> Result<String, ToolError> {
        let mut path = String::new();
        for segment in &self.0 {
            path.push('/');
            match segment {
                PathSegment::Fixed(text) => path.push_str(text),
                PathSegment::Argument(name) => {
                    let value = arguments.remove(name).unwrap_or_default();
                    encode(&path_segment(&value, name)?, &mut path);
                }
            }
        }
        Ok(path)
    }
}

fn path_segment(value: &Value, name: &str) -> Result<String, ToolError> {
    let text = if let Value::String(text) = value {
        text.clone()
    } else if value.is_number() {
        value.to_string()
    } else {
        return Err(ToolError::invalid(format!("the argument '{name}' is required")));
    };
    if text.is_empty() || text == "." || text == ".." || text.len() > MAX_NAME {
        return Err(ToolError::invalid(format!("the argument '{name}' cannot be a name")));
    }
    Ok(text)
}

/// Writes `text` so that it is one segment of a path, or one word of a query.
pub(crate) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_fixed(text: &str) -> bool {
    text != "."
        && text != ".."
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~.:".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path for a chunk of this name, and whether the name is refused.
    #[track_caller]
    fn check(id: &str, expected: Option<&str>) {
        let template = PathTemplate::parse("/v1/chunks/{chunk_id}").unwrap();
        let mut arguments = Map::from_iter([("chunk_id".to_owned(), id.into())]);
        assert_eq!(template.fill(&mut arguments).ok().as_deref(), expected, "{id:?}");
        assert!(arguments.is_empty());
    }

    #[test]
    fn path_value_stays_one_segment() {
        check("ch1", Some("/v1/chunks/ch1"));
        check("../admin", Some("/v1/chunks/..%2Fadmin"));
        check("a?x=1#", Some("/v1/chunks/a%3Fx%3D1%23"));
        check("a\r\nb", Some("/v1/chunks/a%0D%0Ab"));
        check("http://169.254.169.254", Some("/v1/chunks/http%3A%2F%2F169.254.169.254"));
        check("%2e%2e", Some("/v1/chunks/%252e%252e"));
        check("é", Some("/v1/chunks/%C3%A9"));
    }

    #[test]
    fn invalid_path_value_is_rejected() {
        for id in ["", ".", "..", &"x".repeat(1 << 20)] {
            check(id, None);
        }
    }

    proptest::proptest! {
        #[test]
        fn expanded_path_keeps_template_shape(id: String) {
            let template = PathTemplate::parse("/v1/chunks/{chunk_id}/text").unwrap();
            let mut arguments = Map::from_iter([("chunk_id".to_owned(), id.into())]);
            if let Ok(path) = template.fill(&mut arguments) {
                let segments: Vec<_> = path.split('/').collect();
                proptest::prop_assert_eq!(segments.len(), 5);
                proptest::prop_assert!(!["", ".", ".."].contains(&segments[3]));
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_~.%".contains(&b);
                proptest::prop_assert!(segments[3].bytes().all(plain));
            }
        }
    }

    #[test]
    fn path_template_must_be_absolute_and_complete() {
        for text in ["v1", "/a/../b", "/a?b", "/{a}b", "/{}", "/{a b}", "/%2e", "/a b"] {
            assert!(PathTemplate::parse(text).is_err(), "{text}");
        }
        let template = PathTemplate::parse("/v1/{book}/x.json/{n}").unwrap();
        assert_eq!(template.arguments().collect::<Vec<_>>(), ["book", "n"]);
    }
}
