//! Merging of the sources: the file, then one layer for each variable.
//!
//! The only module that names figment, which merges the layers and records the source of each value.

use super::{
    error::ConfigError,
    location::Position,
    raw_value::{ConfigValue, Table, ValueKind, ValueSource},
};
use figment::{
    Error, Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Num, Value},
};

/// A stack of sources; later ones override earlier ones.
#[derive(Debug, Default)]
pub(super) struct SourceLayers(Figment);

struct SourceLayer {
    source: ValueSource,
    dict: Dict,
}

impl Provider for SourceLayer {
    fn metadata(&self) -> Metadata {
        match &self.source {
            ValueSource::File(name) => Metadata::from(name.to_string(), name.as_ref()),
            ValueSource::Variable(name) => Metadata::named(name.to_string()),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

impl SourceLayers {
    /// Adds a file.
    ///
    /// # Errors
    ///
    /// Names the position of a syntax error, without the line, which may hold a secret.
    pub(super) fn file(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let invalid = |offset: usize, message: &str| {
            ConfigError::new("", format!("invalid TOML: {message}"))
                .source(ValueSource::File(name.into()))
                .position(Position::at(text, offset))
        };
        let table: toml::Table = toml::from_str(text)
            .map_err(|error| invalid(error.span().map_or(0, |span| span.start), error.message()))?;
        let Ok(Value::Dict(_, dict)) = Value::serialize(table) else {
            return Err(invalid(0, "expected a table"));
        };
        self.push(ValueSource::File(name.into()), dict);
        Ok(())
    }

    /// Adds one variable, as the setting `key`, whose parts are separated by dots.
    pub(super) fn variable(&mut self, name: &str, key: &str, value: &str) {
        let nested = figment::util::nest(key, Value::from(value));
        if let Value::Dict(_, dict) = nested {
            self.push(ValueSource::Variable(name.into()), dict);
        }
    }

    fn push(&mut self, source: ValueSource, dict: Dict) {
        let below = std::mem::take(&mut self.0);
        self.0 = below.merge(SourceLayer { source, dict });
    }

    /// Returns the merged values.
    pub(super) fn merged(&self) -> Table {
        match self.0.find_value("") {
            Ok(Value::Dict(_, dict)) => self.table(dict),
            _ => Table::new(),
        }
    }

    fn table(&self, dict: Dict) -> Table {
        let nodes = dict.into_iter().filter_map(|(key, value)| Some((key, self.node(value)?)));
        nodes.collect()
    }

    fn node(&self, value: Value) -> Option<ConfigValue> {
        let metadata = self.0.get_metadata(value.tag())?;
        let name = metadata.name.as_ref().into();
        let source = if metadata.source.is_some() {
            ValueSource::File(name)
        } else {
            ValueSource::Variable(name)
        };
        let content = match value {
            Value::String(_, text) => ValueKind::Text(text),
            Value::Char(_, char) => ValueKind::Text(char.to_string()),
            Value::Bool(_, flag) => ValueKind::Flag(flag),
            Value::Num(_, number) => number_of(number),
            Value::Empty(..) => return None,
            Value::Dict(_, dict) => ValueKind::Table(self.table(dict)),
            Value::Array(_, items) => {
                ValueKind::List(items.into_iter().filter_map(|item| self.node(item)).collect())
            }
        };
        Some(ConfigValue { content, source })
    }
}

fn number_of(number: Num) -> ValueKind {
    match (number.to_i128(), number.to_u128(), number.to_f64()) {
        (Some(integer), ..) => ValueKind::Integer(integer),
        (_, Some(integer), _) => ValueKind::Integer(i128::try_from(integer).unwrap_or(i128::MAX)),
        (.., decimal) => ValueKind::Decimal(decimal.unwrap_or(f64::NAN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layer_overrides_and_keeps_its_source() {
        let mut layers = SourceLayers::default();
        layers.file("a.toml", "[server]\nport = 1\nhost = \"h\"").unwrap();
        layers.variable("X_PORT", "server.port", "2");
        let merged = layers.merged();
        let ValueKind::Table(server) = &merged["server"].content else { panic!("not a table") };
        assert_eq!(
            (server["port"].text(), &server["port"].source),
            (Some("2"), &ValueSource::Variable("X_PORT".into()))
        );
        assert_eq!(
            (server["host"].text(), &server["host"].source),
            (Some("h"), &ValueSource::File("a.toml".into()))
        );
    }

    #[test]
    fn syntax_error_names_the_position_without_the_text() {
        let text = "[providers.openai]\napi_key = \"sk-canary\nbase_url = 1";
        let error = SourceLayers::default().file("a.toml", text).unwrap_err().to_string();
        assert!(error.contains("a.toml") && error.contains("a.toml:2:21: "), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}
