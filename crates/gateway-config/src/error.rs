//! Configuration errors, all of which are reported at once.

use super::{
    location::{Locations, Position},
    raw_value::ValueSource,
};
use std::fmt;

/// An error in the configuration: which setting, where it is written, what is wrong and what is
/// allowed. Quotes a value only if it cannot be a secret in the wrong place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    key: String,
    variable: Option<String>,
    source: Option<ValueSource>,
    position: Option<Position>,
    message: Box<str>,
    /// Whether the setting is unknown and similar to none of its section.
    is_unknown: bool,
}

/// All errors of a configuration, one line each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigError {
    /// Creates an error about the setting `key`.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        let (key, message) = (key.into(), message.into().into_boxed_str());
        Self { key, variable: None, source: None, position: None, message, is_unknown: false }
    }

    /// Creates an error about a setting that its section, with the settings `known`, has not.
    pub(super) fn unknown_setting(key: String, known: &str) -> Self {
        let message = format!("unknown setting; known settings: {known}");
        Self { is_unknown: true, ..Self::new(key, message) }
    }

    /// Suggests the setting that `find` returns for the name of an unknown one.
    pub(super) fn suggest(mut self, find: impl FnOnce(&str) -> Option<String>) -> Self {
        let name = self.key.rsplit('.').next().filter(|_| self.is_unknown);
        if let Some(setting) = name.and_then(find) {
            self.message = format!("unknown setting; did you mean `{setting}`?").into();
        }
        self
    }

    /// Returns the key of the setting.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Adds the variable by which the setting can be set.
    pub(super) fn variable(mut self, name: Option<String>) -> Self {
        self.variable = name;
        self
    }

    /// Adds where the wrong value is written.
    pub(super) fn source(mut self, source: ValueSource) -> Self {
        self.source = Some(source);
        self
    }

    /// Adds the position in the file.
    pub(super) fn position(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    /// Adds the source, if it is not known, and the position in the file.
    pub(super) fn locate(mut self, locations: &Locations) -> Self {
        if let Some((source, position)) = locations.find(&self.key) {
            self.source.get_or_insert_with(|| source.clone());
            let in_file = matches!(self.source, Some(ValueSource::File(_)));
            self.position = self.position.or(position).filter(|_| in_file);
        }
        self
    }
}

impl ConfigErrors {
    /// Returns the errors, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, variable, source, position, message, .. } = self;
        match (source, position) {
            (Some(source), Some(Position { line, column })) => {
                write!(f, "{source}:{line}:{column}: ")?;
            }
            (Some(source), None) => write!(f, "{source}: ")?,
            (None, _) => {}
        }
        match variable {
            // A value that no source holds can be set by its variable.
            Some(name) if source.is_none() => write!(f, "{key} ({name}): {message}"),
            _ if key.is_empty() => f.write_str(message),
            _ => write!(f, "{key}: {message}"),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| writeln!(f, "{error}"))
    }
}

impl std::error::Error for ConfigErrors {}
