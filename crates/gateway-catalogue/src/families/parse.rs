//! A model's name, read as vendor, line, version and variant.

use super::{FamilyVersion, ModelVendor};
use crate::names;
use std::fmt;

/// A model's name, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FamilyName {
    /// The maker of the family's models.
    pub vendor: ModelVendor,
    /// The line within the family: `gpt`, `opus`, `gemini`.
    pub line: String,
    /// The version; the highest there can be for a name without one, such as `gemini-pro-latest`.
    pub version: FamilyVersion,
    /// The other words of the name, in order: `["flash", "lite"]`.
    pub variant: Vec<String>,
}

/// The version of a name that has none: it means the newest.
pub(super) const NEWEST: FamilyVersion = (u16::MAX, u16::MAX);

impl fmt::Display for FamilyName {
    /// The family and its version, without what a caller may have made up behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            NEWEST => f.write_str(&self.line),
            (major, minor) => write!(f, "{} {major}.{minor}", self.line),
        }
    }
}

impl FamilyName {
    /// Whether the name has the words of `variant` side by side.
    pub fn has_variant(&self, variant: &str) -> bool {
        let words: Vec<_> = variant.split('-').collect();
        self.variant.windows(words.len()).any(|part| part.iter().eq(words.iter()))
    }

    /// Whether it is of the same line and variant as another, whatever their versions.
    pub fn is_kin(&self, other: &Self) -> bool {
        self.vendor == other.vendor && self.line == other.line && self.variant == other.variant
    }
}

/// Reads the family of a model by any spelling of its name.
pub fn parse(name: &str) -> Option<FamilyName> {
    let plain = names::plain(name);
    let is_latest = name.to_lowercase().contains("latest");
    let words: Vec<&str> = plain.split(['-', '_']).filter(|word| !word.is_empty()).collect();
    let (first, rest) = words.split_first()?;
    match *first {
        "gpt" | "chatgpt" => openai(rest),
        "claude" => claude(rest, is_latest),
        "gemini" => gemini(rest, is_latest),
        "deepseek" => deepseek(rest),
        "grok" => grok(rest),
        "mistral" | "magistral" | "devstral" | "ministral" | "codestral" => {
            Some(mistral(first, rest))
        }
        _ => o_series(first, rest),
    }
}

fn name(vendor: ModelVendor, line: &str, version: FamilyVersion, variant: &[&str]) -> FamilyName {
    let variant = variant.iter().map(|word| (*word).to_owned()).collect();
    FamilyName { vendor, line: line.to_owned(), version, variant }
}

/// `5`, `5.2`; nothing for what is no version.
fn version(word: &str) -> Option<FamilyVersion> {
    let (major, minor) = word.split_once('.').unwrap_or((word, "0"));
    let number = |text: &str| (text.len() <= 3).then(|| text.parse().ok())?;
    Some((number(major)?, number(minor)?))
}

fn openai(rest: &[&str]) -> Option<FamilyName> {
    let (first, variant) = rest.split_first()?;
    // `gpt-4o`, `gpt-35-turbo`.
    let first = if *first == "35" { "3.5" } else { first.trim_end_matches('o') };
    Some(name(ModelVendor::OpenAi, "gpt", version(first)?, variant))
}

fn o_series(first: &str, rest: &[&str]) -> Option<FamilyName> {
    let number = first.strip_prefix('o')?;
    Some(name(ModelVendor::OpenAi, "o", version(number)?, rest))
}

/// `claude-opus-5-5`, `claude-3-5-sonnet`, `claude-sonnet-4.5`, `claude-4-opus`.
fn claude(rest: &[&str], is_latest: bool) -> Option<FamilyName> {
    const LINES: [&str; 6] = ["opus", "sonnet", "haiku", "fable", "mythos", "instant"];
    let mut line = None;
    let mut numbers = Vec::new();
    let mut variant = Vec::new();
    for word in rest {
        if LINES.contains(word) {
            line = line.or(Some(*word));
        } else if let Some((major, minor)) = version(word).filter(|_| word.len() <= 4) {
            numbers.push(major);
            numbers.extend(word.contains('.').then_some(minor));
        } else {
            variant.push(*word);
        }
    }
    let version = match numbers.as_slice() {
        [] if is_latest => NEWEST,
        [] => return None,
        [major, rest @ ..] => (*major, rest.first().copied().unwrap_or_default()),
    };
    Some(name(ModelVendor::Anthropic, line.unwrap_or("claude"), version, &variant))
}

fn gemini(rest: &[&str], is_latest: bool) -> Option<FamilyName> {
    let (first, others) = rest.split_first()?;
    match version(first) {
        Some(version) => {
            let others: Vec<_> = others.iter().copied().filter(|it| *it != "preview").collect();
            Some(name(ModelVendor::Google, "gemini", version, &others))
        }
        None if is_latest => Some(name(ModelVendor::Google, "gemini", NEWEST, rest)),
        None => None,
    }
}

fn deepseek(rest: &[&str]) -> Option<FamilyName> {
    let (first, variant) = rest.split_first()?;
    let version = version(first.strip_prefix('v')?)?;
    Some(name(ModelVendor::DeepSeek, "deepseek", version, variant))
}

/// The minor version is a fraction: `4.20` comes before `4.3`.
fn grok(rest: &[&str]) -> Option<FamilyName> {
    let (first, variant) = rest.split_first()?;
    let fraction = match first.split_once('.') {
        Some((major, minor)) => format!("{major}.{}", minor.trim_end_matches('0')),
        None => (*first).to_owned(),
    };
    Some(name(ModelVendor::Xai, "grok", version(fraction.trim_end_matches('.'))?, variant))
}

/// `mistral-medium-3.5`, `mistral-medium-3-5`, `magistral-small`; a name without a version is the
/// newest.
fn mistral(first: &str, rest: &[&str]) -> FamilyName {
    let numbers: Vec<_> = rest.iter().filter_map(|word| version(word)).collect();
    let words: Vec<_> = rest.iter().copied().filter(|word| version(word).is_none()).collect();
    let version = match numbers.as_slice() {
        [] => NEWEST,
        [(major, 0), (minor, 0), ..] => (*major, *minor),
        [version, ..] => *version,
    };
    name(ModelVendor::Mistral, first, version, &words)
}
