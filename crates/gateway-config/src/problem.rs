//! What is wrong with a configuration. All of it is told at once.

use super::node::Source;
use std::fmt;

/// One thing that is wrong. Never quotes a value, which may be a secret in the wrong place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    key: String,
    variable: Option<String>,
    source: Option<Source>,
    message: String,
}

/// Everything that is wrong, one line each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Problems(pub(super) Vec<Problem>);

impl Problem {
    /// Something wrong with the setting `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), variable: None, source: None, message: message.into() }
    }

    /// The key of the setting.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The variable by which the setting can be set.
    pub(super) fn variable(mut self, name: Option<String>) -> Self {
        self.variable = name;
        self
    }

    /// Where the wrong value was written.
    pub(super) fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }
}

impl Problems {
    /// The problems, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, variable, source, message } = self;
        write!(f, "{key}")?;
        // The variable that was set says more than the one that could be.
        match (source, variable) {
            (Some(Source::Variable(name)), _) => write!(f, " ({name})")?,
            (Some(Source::File(file)), Some(name)) => write!(f, " ({name}; set in {file})")?,
            (Some(Source::File(file)), None) => write!(f, " (in {file})")?,
            (None, Some(name)) => write!(f, " ({name})")?,
            (None, None) => {}
        }
        write!(f, ": {message}")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl std::error::Error for Problems {}
