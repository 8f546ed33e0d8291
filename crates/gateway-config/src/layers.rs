//! Lays the sources over one another: the file, then one layer for each variable.
//!
//! The only module that knows figment, which merges the layers and remembers the source of each
//! value.

use super::{
    node::{Content, Node, Source, Table},
    problem::Problem,
};
use figment::{
    Error, Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Num, Value},
};

/// A stack of sources, the later over the earlier.
#[derive(Debug, Default)]
pub(super) struct Layers(Figment);

struct Layer {
    source: Source,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        match &self.source {
            Source::File(name) => Metadata::from(name.to_string(), name.as_ref()),
            Source::Variable(name) => Metadata::named(name.to_string()),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

impl Layers {
    /// Adds a file, or says in which line it cannot be read. The line itself, which may hold a
    /// secret, is not told.
    pub(super) fn file(&mut self, name: &str, text: &str) -> Result<(), Problem> {
        let unreadable =
            |line: usize, message: &str| Problem::new(name, format!("line {line}: {message}"));
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1;
            unreadable(line, error.message())
        })?;
        let Ok(Value::Dict(_, dict)) = Value::serialize(table) else {
            return Err(unreadable(1, "is not a table"));
        };
        self.push(Source::File(name.into()), dict);
        Ok(())
    }

    /// Adds one variable, as the setting `key`, whose parts are separated by dots.
    pub(super) fn variable(&mut self, name: &str, key: &str, value: &str) {
        let nested = figment::util::nest(key, Value::from(value));
        if let Value::Dict(_, dict) = nested {
            self.push(Source::Variable(name.into()), dict);
        }
    }

    fn push(&mut self, source: Source, dict: Dict) {
        let below = std::mem::take(&mut self.0);
        self.0 = below.merge(Layer { source, dict });
    }

    /// Everything that was said.
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

    fn node(&self, value: Value) -> Option<Node> {
        let metadata = self.0.get_metadata(value.tag())?;
        let name = metadata.name.as_ref().into();
        let source =
            if metadata.source.is_some() { Source::File(name) } else { Source::Variable(name) };
        let content = match value {
            Value::String(_, text) => Content::Text(text),
            Value::Char(_, char) => Content::Text(char.to_string()),
            Value::Bool(_, flag) => Content::Flag(flag),
            Value::Num(_, number) => number_of(number),
            Value::Empty(..) => return None,
            Value::Dict(_, dict) => Content::Table(self.table(dict)),
            Value::Array(_, items) => {
                Content::List(items.into_iter().filter_map(|item| self.node(item)).collect())
            }
        };
        Some(Node { content, source })
    }
}

fn number_of(number: Num) -> Content {
    match (number.to_i128(), number.to_u128(), number.to_f64()) {
        (Some(integer), ..) => Content::Integer(integer),
        (_, Some(integer), _) => Content::Integer(i128::try_from(integer).unwrap_or(i128::MAX)),
        (.., decimal) => Content::Decimal(decimal.unwrap_or(f64::NAN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_is_remembered() {
        let mut layers = Layers::default();
        layers.file("a.toml", "[server]\nport = 1\nhost = \"h\"").unwrap();
        layers.variable("X_PORT", "server.port", "2");
        let merged = layers.merged();
        let Content::Table(server) = &merged["server"].content else { panic!("not a table") };
        assert_eq!(
            (server["port"].text(), &server["port"].source),
            (Some("2"), &Source::Variable("X_PORT".into()))
        );
        assert_eq!(
            (server["host"].text(), &server["host"].source),
            (Some("h"), &Source::File("a.toml".into()))
        );
    }

    #[test]
    fn a_broken_file_tells_the_line_and_not_what_stands_there() {
        let text = "[providers.openai]\napi_key = \"sk-canary\nbase_url = 1";
        let problem = Layers::default().file("a.toml", text).unwrap_err().to_string();
        assert!(problem.contains("a.toml") && problem.contains("line 2"), "{problem}");
        assert!(!problem.contains("canary"), "{problem}");
    }
}
