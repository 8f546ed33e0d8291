//! Unparsed values: a tree of values with their sources.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// A table of the configuration.
pub(super) type Table = BTreeMap<String, ConfigValue>;

/// The source of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ValueSource {
    /// The file of this name.
    File(Arc<str>),
    /// The environment variable of this name.
    Variable(Arc<str>),
}

/// A value with its source.
#[derive(Clone, Debug)]
pub(super) struct ConfigValue {
    /// The value without its source.
    pub(super) content: ValueKind,
    /// The source of the value.
    pub(super) source: ValueSource,
}

/// The kinds of values. Variables are always text; every type can be read from text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ValueKind {
    Text(String),
    Integer(i128),
    Decimal(f64),
    Flag(bool),
    List(Vec<ConfigValue>),
    Table(Table),
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::File(name) | Self::Variable(name)) = self;
        f.write_str(name)
    }
}

impl PartialEq for ConfigValue {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl ConfigValue {
    /// Returns the kind of the value in words.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            ValueKind::Text(_) => "a text",
            ValueKind::Integer(_) => "a whole number",
            ValueKind::Decimal(_) => "a decimal number",
            ValueKind::Flag(_) => "true or false",
            ValueKind::List(_) => "a list",
            ValueKind::Table(_) => "a table",
        }
    }

    /// Describes the value for a message: the value itself, or its kind if it may be a secret.
    pub(super) fn describe(&self) -> String {
        match &self.content {
            ValueKind::Text(text) if text.trim().is_empty() => "an empty text".to_owned(),
            ValueKind::Text(text) if is_harmless(text) => format!("`{text}`"),
            ValueKind::Text(text) => {
                format!(
                    "a text of {} characters, not shown as it may be secret",
                    text.chars().count()
                )
            }
            ValueKind::Integer(number) => format!("`{number}`"),
            ValueKind::Decimal(number) => format!("`{number}`"),
            ValueKind::Flag(flag) => format!("`{flag}`"),
            ValueKind::List(_) | ValueKind::Table(_) => self.kind().to_owned(),
        }
    }

    /// Returns the text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let ValueKind::Text(text) = &self.content { Some(text.trim()) } else { None }
    }
}

/// Returns whether a text cannot be a secret: one or two plain words or numbers, such as `prod`,
/// `10sec` or `localhost:8080`, or an address without a user, a path or a query.
pub(super) fn is_harmless(text: &str) -> bool {
    const SECRET_PREFIXES: [&str; 8] = ["sk-", "pk-", "rk-", "gw-", "ghp_", "xox", "AKIA", "AIza"];
    let address = text.split_once("://").map_or(text, |(_, rest)| rest);
    let is_address = address.len() < text.len();
    let parts: Vec<_> = address.split(['.', ':', '_', '-', '*']).collect();
    text.len() <= 48
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-:./*".contains(&it))
        && !address.contains('/')
        && parts.len() <= if is_address { 6 } else { 4 }
        && !SECRET_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && parts.iter().all(|part| is_plain(part))
}

/// Returns whether a word is made of letters, or of digits with a unit behind them.
fn is_plain(word: &str) -> bool {
    let letters = word.trim_start_matches(|it: char| it.is_ascii_digit());
    let digits = word.len() - letters.len();
    let all_letters = letters.bytes().all(|it| it.is_ascii_alphabetic());
    all_letters && digits <= 10 && letters.len() <= if digits > 0 { 4 } else { 14 }
}

#[cfg(test)]
mod tests {
    use super::is_harmless;

    #[test]
    fn text_that_may_be_a_secret_is_not_quoted() {
        for text in ["prod", "10sec", "70000", "localhost:11434", "ftp://host:1", "1.5x", "gpt-*"] {
            assert!(is_harmless(text), "{text}");
        }
        for text in [
            "sk-canary-1234",
            "hunter2",
            "https://user:canary@host",
            "https://host/path-token",
            "p4ssw0rd",
            "AKIAIOSFODNN7EXAMPLE",
            "correct-horse-battery-staple-x",
            "4f9d2c7ab81e40d3a1b2c3d4e5f60718",
            "two words",
        ] {
            assert!(!is_harmless(text), "{text}");
        }
    }
}
