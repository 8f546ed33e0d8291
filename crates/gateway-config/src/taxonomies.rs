//! The taxonomies that users may name.

use super::{
    entries::named_entries,
    error::ConfigError,
    printable::printable,
    raw_value::Table,
    section::{SectionReader, section},
};
use std::collections::BTreeMap;

/// The longest name, in bytes.
const MAX_NAME: usize = 128;

section! {
    /// A taxonomy that users may name in a message: `use the NAME taxonomy`.
    /// With a table, only these names, aliases and identifiers are recognized.
    pub TaxonomyEntry {
        /// Identifier, which tools get.
        /// Default: `NAME_taxonomy`.
        id: Option<String> = None;
        /// Further names.
        aliases: Vec<String> = Vec::new();
    }
}

impl TaxonomyEntry {
    /// Returns the identifier of the taxonomy called `name`.
    pub fn id(&self, name: &str) -> String {
        self.id.clone().unwrap_or_else(|| format!("{name}_taxonomy"))
    }
}

/// Reads the tables `[taxonomies.NAME]`.
pub(super) fn read(root: &Table, errors: &mut Vec<ConfigError>) -> BTreeMap<String, TaxonomyEntry> {
    let mut taxonomies = BTreeMap::new();
    for (name, node) in named_entries(root, "taxonomies", errors) {
        let path = format!("taxonomies.{}", printable(name));
        let entry: TaxonomyEntry = SectionReader::read(path.clone(), Some(node), errors);
        let id = entry.id.as_ref().map(|id| ("id", id));
        let texts = entry.aliases.iter().map(|alias| ("aliases", alias)).chain(id);
        let is_invalid = |text: &str| {
            text.len() > MAX_NAME
                || text.chars().any(char::is_control)
                || !text.chars().any(char::is_alphanumeric)
        };
        for (field, text) in texts.chain([("", name)]).filter(|(_, text)| is_invalid(text)) {
            let key = if field.is_empty() { path.clone() } else { format!("{path}.{field}") };
            let message = format!("`{}` is not a name of 1 to 128 bytes", printable(text));
            errors.push(ConfigError::new(key, message).source(node.source.clone()));
        }
        taxonomies.insert(name.clone(), entry);
    }
    taxonomies
}

#[cfg(test)]
mod tests {
    use crate::{Config, Environment};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let told = Config::parse(Some(("a.toml", text)), &Environment::default());
        let told = told.map_or_else(|it| it.to_string(), |it| it.show());
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn taxonomies_are_shown() {
        let shown = "[taxonomies.\"Security\"]";
        check("[taxonomies.Security]\nid = \"security-2024\"", shown);
        check("[taxonomies.Security]\naliases = [\"cyber security\"]", "[\"cyber security\"]");
    }

    #[test]
    fn invalid_taxonomies_are_rejected() {
        check("[taxonomies]\nSecurity = 1", "taxonomies.Security: expected a table");
        check("[taxonomies.Security]\nidd = \"a\"", "idd");
        check("[taxonomies.\"--\"]", "is not a name");
        check("[taxonomies.a]\naliases = [\"\"]", "taxonomies.a.aliases");
    }
}
