//! The callers: the master key, and the budget of all callers.

use crate::{
    document::{member, number},
    draft::{ClientDraft, ClientKeyDraft, Draft, KeyReference},
    keys,
};
use serde_json::Value;

/// The shortest literal key that is taken over: shorter ones can be guessed.
const STRONG: usize = 32;

/// Adds the client of the master key, with the budget of the whole proxy.
pub(super) fn import(document: &Value, draft: &mut Draft) {
    let empty = Value::Null;
    let general = document.get("general_settings").unwrap_or(&empty);
    let settings = document.get("litellm_settings").unwrap_or(&empty);
    defaults(settings.get("default_key_generate_params"), draft);
    let Some(key) = member(general, "master_key") else {
        if number(settings, "max_budget").is_some() {
            draft.report.missing(
                "litellm_settings.max_budget",
                "no client has it: set a budget of [[clients]]",
            );
        }
        return;
    };
    let path = "general_settings.master_key";
    let key = match KeyReference::read(&key) {
        KeyReference::Variable(name) => ClientKeyDraft::Variable(name),
        KeyReference::Literal(key) if key.len() >= STRONG => ClientKeyDraft::Literal(key),
        KeyReference::Literal(_) => {
            let text = "can be guessed and is left out: callers need keys of at least 128 random bits \
                        in [[clients]]";
            draft.report.missing(path, text);
            return;
        }
    };
    let text = "is the key of the client `master`, a caller like others; the admin API has a token of \
                its own, `admin.token`";
    draft.report.changed(path, text);
    let limits = keys::budget(settings, "litellm_settings", draft).into_iter().collect();
    let (name, key) = ("master".to_owned(), Some(key));
    draft.clients.push(ClientDraft { name, key, limits, ..ClientDraft::default() });
}

/// The limits of keys that are made without limits of their own.
fn defaults(params: Option<&Value>, draft: &mut Draft) {
    if params.is_some() {
        let text = "no counterpart: give each key its limits, or set [limits] for all clients";
        draft.report.missing("litellm_settings.default_key_generate_params", text);
    }
}
