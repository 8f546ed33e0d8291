//! The sections of `LiteLLM`'s `config.yaml`.

mod access;
mod deployment;
mod models;
mod router;
mod settings;

use crate::{Variables, draft::Draft, keys, targets};
use serde_json::Value;

/// The sections that are read; others are reported.
const SECTIONS: [&str; 8] = [
    "model_list",
    "litellm_settings",
    "router_settings",
    "general_settings",
    "environment_variables",
    "keys",
    "default_team_settings",
    "include",
];

/// Adds the configuration in `document` to `draft`.
pub(crate) fn import(document: &Value, variables: Variables<'_>, draft: &mut Draft) {
    models::import(document.get("model_list"), variables, draft);
    router::import(document, draft);
    settings::import(document, variables, draft);
    access::import(document, draft);
    keys::import(document.get("keys").unwrap_or(&Value::Null), draft);
    for (name, text) in [
        ("environment_variables", "set these variables in the environment of the gateway"),
        ("include", "import each of the files, and join the results"),
    ] {
        if document.get(name).is_some() {
            draft.report.missing(name, text);
        }
    }
    for (section, _) in crate::document::members(Some(document)) {
        if !SECTIONS.contains(&section.as_str()) {
            draft.report.missing(section, "no counterpart");
        }
    }
    targets::remove_usual(draft);
}
