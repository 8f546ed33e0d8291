//! The challenge by which a server asks for a token: `WWW-Authenticate`.

use http::{HeaderMap, header};

/// A challenge of the scheme `Bearer`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Challenge {
    /// The address of the metadata of the resource.
    pub(super) resource_metadata: Option<String>,
    /// The scopes that a token needs.
    pub(super) scopes: Vec<String>,
    error: Option<String>,
}

impl Challenge {
    /// Reads the challenge of a response; an empty one if there is none.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let mut texts = values.filter_map(|value| value.to_str().ok());
        texts.find_map(Self::parse).unwrap_or_default()
    }

    /// Whether the token has too few scopes.
    pub(super) fn wants_scopes(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope") && !self.scopes.is_empty()
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.trim_start().split_once(' ').unwrap_or((text.trim(), ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut challenge = Self::default();
        while let Some((name, value, behind)) = parameter(rest) {
            match &*name.to_ascii_lowercase() {
                "resource_metadata" => challenge.resource_metadata = Some(value),
                "scope" => challenge.scopes = value.split_whitespace().map(str::to_owned).collect(),
                "error" => challenge.error = Some(value),
                _ => {}
            }
            rest = behind;
        }
        Some(challenge)
    }
}

/// Reads a parameter; returns its name, its value, and what is behind it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_matches([' ', ',', '\t']);
    let Some(quoted) = rest.trim_start().strip_prefix('"') else {
        let (value, behind) = rest.split_once(',').unwrap_or((rest, ""));
        return Some((name, value.trim().to_owned(), behind));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((name, value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            char => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, metadata: Option<&str>, scopes: &[&str], wants_scopes: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::WWW_AUTHENTICATE, text.parse().unwrap());
        let read = Challenge::read(&headers);
        assert_eq!(read.resource_metadata.as_deref(), metadata, "{text}");
        assert_eq!(read.scopes, scopes, "{text}");
        assert_eq!(read.wants_scopes(), wants_scopes, "{text}");
    }

    #[test]
    fn challenge_is_read() {
        check("Bearer", None, &[], false);
        check(
            r#"Bearer resource_metadata="http://h/x?a=1,2""#,
            Some("http://h/x?a=1,2"),
            &[],
            false,
        );
        check(
            r#"bearer error="insufficient_scope", scope="a b" , resource_metadata=http://h"#,
            Some("http://h"),
            &["a", "b"],
            true,
        );
        check(r#"Bearer error_description="a \"b\", c", scope="d""#, None, &["d"], false);
        check(r#"Bearer scope="a"#, None, &[], false);
        check(r#"Basic realm="x""#, None, &[], false);
    }
}
