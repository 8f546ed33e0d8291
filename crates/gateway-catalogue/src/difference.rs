//! The differences between two catalogues, model by model.

use crate::{TextCatalogue, row::ModelRow, text};
use gateway_core::Date;
use std::{collections::BTreeMap, fmt};

/// A difference between two catalogues in one model.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ModelDifference {
    /// Only the newer catalogue has the model.
    Added(String),
    /// Only the older catalogue has the model.
    Removed(String),
    /// Both have the model, with these facts.
    Changed {
        /// The provider and the model.
        key: String,
        /// The fields that differ, as the older and as the newer catalogue have them.
        fields: Vec<(String, String, String)>,
    },
}

impl fmt::Display for ModelDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(key) => writeln!(f, "+ {key}"),
            Self::Removed(key) => writeln!(f, "- {key}"),
            Self::Changed { key, fields } => {
                writeln!(f, "~ {key}")?;
                for (name, old, new) in fields {
                    writeln!(f, "    {name}: {old} -> {new}")?;
                }
                Ok(())
            }
        }
    }
}

/// Returns the models that differ between two catalogues, by provider and name.
pub fn catalogue_differences(old: &TextCatalogue, new: &TextCatalogue) -> Vec<ModelDifference> {
    let mut found = Vec::new();
    let (old, mut new) = (by_key(old), by_key(new));
    for (key, before) in old {
        let Some(after) = new.remove(&key) else {
            found.push((key.clone(), ModelDifference::Removed(key)));
            continue;
        };
        let fields = changed_fields(&before, &after);
        if !fields.is_empty() {
            found.push((key.clone(), ModelDifference::Changed { key, fields }));
        }
    }
    found.extend(new.into_keys().map(|key| (key.clone(), ModelDifference::Added(key))));
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.into_iter().map(|(_, difference)| difference).collect()
}

fn by_key(catalogue: &TextCatalogue) -> BTreeMap<String, ModelRow> {
    let rows = catalogue.rows();
    rows.map(|row| (format!("{}/{}", row.provider, row.id).to_lowercase(), row)).collect()
}

/// The fields in which two rows differ: facts by their names, prices by the day from which they hold.
fn changed_fields(old: &ModelRow, new: &ModelRow) -> Vec<(String, String, String)> {
    let mut changed = Vec::new();
    let (old_facts, new_facts) = (facts(old), facts(new));
    let names = old_facts.keys().chain(new_facts.keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    for name in names {
        let value = |facts: &BTreeMap<String, String>| {
            facts.get(name).cloned().unwrap_or_else(|| "-".to_owned())
        };
        let (before, after) = (value(&old_facts), value(&new_facts));
        if before != after {
            changed.push((name.clone(), before, after));
        }
    }
    changed
}

/// The fields of a row as its text form has them, and its prices without their sources.
fn facts(row: &ModelRow) -> BTreeMap<String, String> {
    let mut line = String::new();
    text::write_row(row, &mut line);
    let mut lines = line.lines();
    let head = lines.next().unwrap_or_default();
    let mut facts: BTreeMap<_, _> = head.split(' ').skip(1).map(field).collect();
    for price in &row.prices {
        let from = price.from.map_or_else(|| "always".to_owned(), Date::text);
        facts.insert(format!("price from {from}"), text::price_words(price));
    }
    facts
}

/// The name and the value of a word of a row.
fn field(word: &str) -> (String, String) {
    let letters = word.strip_prefix('+').map(|letters| ("can", letters));
    let letters = letters.or_else(|| Some(("cannot", word.strip_prefix('-')?)));
    let (name, value) = letters.unwrap_or_else(|| match word.split_once('=') {
        Some(("", value)) => ("same as", value),
        Some((name, value)) => (field_name(name), value),
        None => (word, ""),
    });
    (name.to_owned(), value.to_owned())
}

fn field_name(short: &str) -> &str {
    match short {
        "n" => "name",
        "k" => "kind",
        "r" => "released",
        "x" => "ends",
        "i" => "maximum input",
        "o" => "maximum output",
        "c" => "context window",
        "ef" => "efforts",
        "de" => "default effort",
        "ep" => "endpoints",
        "m" => "modalities",
        "cm" => "cache minimum",
        "dim" => "dimensions",
        "s" => "snapshots",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(old: &str, new: &str, expected: &str) {
        let parse = |text: &str| TextCatalogue::parse(text.to_owned()).unwrap();
        let found = catalogue_differences(&parse(old), &parse(new));
        let text: String = found.iter().map(ToString::to_string).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn differences_name_models_and_fields() {
        check("lab/a i=1\n\t* l i=1 o=2\n", "lab/a i=1\n\t* g i=1 o=2\n", "");
        check("lab/a i=1\n", "lab/b i=1\n", "- lab/a\n+ lab/b\n");
        check(
            "lab/a i=1 +tv\n\t* l i=1 o=2\n",
            "lab/a i=2 +t\n\t* l i=1 o=2\n\t2026-12-01 l i=2 o=4\n",
            "~ lab/a\n    can: tv -> t\n    maximum input: 1 -> 2\n    price from 2026-12-01: - -> i=2 o=4\n",
        );
    }
}
