//! Reduces a JSON schema of a dialect's requests to the names and types of its fields, for the tests
//! that no field is lost silently.
//!
//! The list has the members of the request and of the objects in it, two levels deep. Items of lists
//! (messages, tools) have too many forms for a list of names.

use crate::workspace::Workspace;
use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
};

/// The list, from the root of the workspace.
const LIST: &str = "tests/it/fields/names.txt";
/// The levels of objects below the request.
const LEVELS: usize = 2;
/// The most references that lead to one schema.
const MAX_REFERENCES: usize = 32;

/// The schema to reduce, and its dialect.
#[derive(Args, Debug)]
pub(crate) struct FieldNamesArguments {
    /// The dialect, as the tests call it
    #[arg(long)]
    dialect: String,
    /// A JSON schema, or a document with definitions in `$defs`
    #[arg(long)]
    schema: PathBuf,
    /// The definition of the request, if it is not the document itself
    #[arg(long)]
    definition: Option<String>,
}

/// The types of fields, by their paths.
type FieldTypes = BTreeMap<String, BTreeSet<String>>;

/// Writes the names of one dialect into the list; those of the others stay.
///
/// # Errors
///
/// If the schema cannot be read, or the list not written.
pub(crate) fn run(workspace: &Workspace, arguments: &FieldNamesArguments) -> anyhow::Result<()> {
    let text = fs::read_to_string(&arguments.schema).context("the schema")?;
    let document: Value = serde_json::from_str(&text).context("the schema")?;
    let request = match &arguments.definition {
        Some(name) => definition(&document, name).context("the definition")?,
        None => &document,
    };
    let mut fields = FieldTypes::new();
    SchemaReader { document: &document }.add_members(request, "", 0, &mut fields);
    anyhow::ensure!(!fields.is_empty(), "the schema has no members");
    let list = workspace.root.join(LIST);
    let known = fs::read_to_string(&list).unwrap_or_default();
    let begin = format!("{} ", arguments.dialect);
    let others = known.lines().filter(|line| !line.starts_with(&begin));
    let mut lines: BTreeSet<String> = others.map(str::to_owned).collect();
    for (path, types) in fields {
        let types: Vec<_> = types.into_iter().collect();
        lines.insert(format!("{begin}{path} {}", types.join("|")).trim_end().to_owned());
    }
    let mut out = String::new();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    fs::write(list, out).context(LIST)
}

/// Reads schemas that refer to definitions of a document.
struct SchemaReader<'a> {
    document: &'a Value,
}

impl<'a> SchemaReader<'a> {
    /// Adds the members of the objects that fit `schema`, with `prefix` before their names.
    fn add_members(&self, schema: &'a Value, prefix: &str, level: usize, fields: &mut FieldTypes) {
        for form in self.forms(schema) {
            let members = form.get("properties").and_then(Value::as_object);
            for (name, member) in members.into_iter().flatten() {
                let path = format!("{prefix}{name}");
                let types = fields.entry(path.clone()).or_default();
                for form in self.forms(member) {
                    types.extend(type_names(form));
                }
                if level < LEVELS {
                    self.add_members(member, &format!("{path}."), level + 1, fields);
                }
            }
        }
    }

    /// The schemas that `schema` consists of, without references and combinations.
    fn forms(&self, schema: &'a Value) -> Vec<&'a Value> {
        let (mut forms, mut open, mut references) = (Vec::new(), vec![schema], 0);
        while let Some(schema) = open.pop() {
            let reference = schema.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|it| it.rsplit('/').next()) {
                references += 1;
                if references <= MAX_REFERENCES {
                    open.extend(definition(self.document, name));
                }
                continue;
            }
            for combination in ["allOf", "anyOf", "oneOf"] {
                open.extend(
                    schema.get(combination).and_then(Value::as_array).into_iter().flatten(),
                );
            }
            forms.push(schema);
        }
        forms
    }
}

fn definition<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    document.get("$defs")?.get(name)
}

/// The types that a schema names: one, or several.
fn type_names(schema: &Value) -> Vec<String> {
    let types = schema.get("type");
    let several = types.and_then(Value::as_array).into_iter().flatten();
    let names = several.chain(types).filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_found_through_references_and_combinations() {
        let document = json!({
            "$defs": {
                "a": { "type": "object", "properties": { "n": { "type": ["integer", "null"] } } },
                "loop": { "anyOf": [{ "$ref": "#/$defs/loop" }, { "$ref": "#/$defs/a" }] },
            },
            "properties": {
                "x": { "anyOf": [{ "type": "string" }, { "$ref": "#/$defs/loop" }] },
                "list": { "type": "array", "items": { "$ref": "#/$defs/a" } },
            },
        });
        let mut fields = FieldTypes::new();
        SchemaReader { document: &document }.add_members(&document, "", 0, &mut fields);
        let lines = fields.into_iter().map(|(path, types)| {
            format!("{path} {}", types.into_iter().collect::<Vec<_>>().join("|"))
        });
        assert_eq!(
            lines.collect::<Vec<_>>(),
            ["list array", "x object|string", "x.n integer|null"]
        );
    }
}
