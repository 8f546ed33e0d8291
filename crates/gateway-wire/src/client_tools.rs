//! Tools of a provider's own types that the caller runs: elsewhere they are functions.
//!
//! Claude knows what `bash_20250124` takes; any other model gets a schema.

use gateway_core::{Dialect, Json, ToolKind, ToolSpec};
use serde::Deserialize;
use serde_json::{Value, json};

/// Returns the function that a tool of Anthropic's types stands for, if its caller runs it.
pub(crate) fn as_function(tool: &ToolSpec) -> Option<ToolSpec> {
    #[derive(Deserialize)]
    struct ToolNameWire {
        name: String,
    }
    let ToolKind::Hosted(typed) = &tool.kind else { return None };
    if typed.dialect != Dialect::Messages {
        return None;
    }
    let (family, _) = typed.kind.rsplit_once('_')?;
    let (description, schema) = match family {
        "bash" => bash(),
        "text_editor" => text_editor(),
        "memory" => memory(),
        _ => return None,
    };
    let name = typed.json.read::<ToolNameWire>().ok()?.name;
    let function = ToolSpec::function(name, description, Json::of(&schema));
    Some(ToolSpec { cache: tool.cache, ..function })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn range() -> Value {
    json!({
        "type": "array", "items": { "type": "integer" }, "minItems": 2, "maxItems": 2,
        "description": "For view: the first and the last line, counted from 1; -1 is the end",
    })
}

fn bash() -> (&'static str, Value) {
    let schema = json!({
        "type": "object",
        "properties": {
            "command": text("The command to run; needed unless restart is true"),
            "restart": { "type": "boolean", "description": "Starts the shell anew" },
        },
    });
    ("Runs commands in a shell that keeps its state from call to call.", schema)
}

fn text_editor() -> (&'static str, Value) {
    let schema = json!({
        "type": "object",
        "properties": {
            "command": { "type": "string", "enum": ["view", "create", "str_replace", "insert"] },
            "path": text("The path of the file or directory"),
            "view_range": range(),
            "file_text": text("For create: the content of the file"),
            "old_str": text("For str_replace: the text to replace, which stands in the file once"),
            "new_str": text("For str_replace: the text to put in its place"),
            "insert_line": { "type": "integer", "description": "For insert: the line after which to insert; 0 is the beginning" },
            "insert_text": text("For insert: the text to insert"),
        },
        "required": ["command", "path"],
    });
    ("Views, creates and edits text files.", schema)
}

fn memory() -> (&'static str, Value) {
    let schema = json!({
        "type": "object",
        "properties": {
            "command": {
                "type": "string",
                "enum": ["view", "create", "str_replace", "insert", "delete", "rename"],
            },
            "path": text("The path of the file or directory, below /memories"),
            "view_range": range(),
            "file_text": text("For create: the content of the file"),
            "old_str": text("For str_replace: the text to replace"),
            "new_str": text("For str_replace: the text to put in its place"),
            "insert_line": { "type": "integer", "description": "For insert: the line at which to insert" },
            "insert_text": text("For insert: the text to insert"),
            "old_path": text("For rename: the present path"),
            "new_path": text("For rename: the new path"),
        },
        "required": ["command"],
    });
    let description = "Keeps notes in files below /memories from one conversation to the next. View \
        the directory before work, and write down what later conversations need.";
    (description, schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::Opaque;

    fn typed(dialect: Dialect, kind: &str, name: &str) -> ToolSpec {
        let json = Json::of(&json!({ "type": kind, "name": name }));
        ToolSpec {
            kind: ToolKind::Hosted(Opaque { dialect, kind: kind.into(), json }),
            cache: None,
        }
    }

    #[track_caller]
    fn check(kind: &str, name: &str, argument: Option<&str>) {
        let function = as_function(&typed(Dialect::Messages, kind, name));
        let (Some(function), Some(argument)) = (&function, argument) else {
            assert_eq!(function.is_some(), argument.is_some(), "{kind}");
            return;
        };
        let ToolKind::Function(it) = &function.kind else { panic!("{function:?}") };
        assert_eq!(it.name, name);
        assert!(it.parameters.as_ref().unwrap().get().contains(argument), "{it:?}");
    }

    #[test]
    fn tool_that_its_caller_runs_is_a_function_of_any_version() {
        check("bash_20250124", "bash", Some("restart"));
        check("text_editor_20250728", "str_replace_based_edit_tool", Some("insert_line"));
        check("memory_20250818", "memory", Some("old_path"));
        check("memory_20991231", "memory", Some("old_path"));
        check("web_search_20250305", "web_search", None);
        check("memory", "memory", None);
        let other = typed(Dialect::Responses, "bash_20250124", "bash");
        assert!(as_function(&other).is_none());
    }
}
