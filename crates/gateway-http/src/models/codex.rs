//! The model catalogue in the form of Codex, which asks with its version in the query.
//!
//! Codex takes nothing of a list in which a member is missing, and reports that at each start.

use super::Model;
use crate::reply;
use gateway_core::{Dialect, Effort};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The parameter of the query by which Codex is recognized.
pub(super) const CLIENT_VERSION: &str = "client_version";

/// The instructions for models that Codex has none for; it takes no model without.
const INSTRUCTIONS: &str = "You are a coding agent in a terminal, and share a workspace with the \
    user. Look at the files that matter before you change any, make the smallest change that does \
    the whole task, and check it by running what the project has for that. Go on until the task is \
    done, or until only the user can decide; then report shortly what was done.";

/// The output of a command that a model gets, in tokens.
const OUTPUT_TOKENS: u32 = 10_000;

/// Returns the catalogue of `models`, or that it has not changed.
pub(super) fn catalogue<'a>(
    models: impl Iterator<Item = &'a Model>,
    headers: &HeaderMap,
) -> Response<reply::Body> {
    let models: Vec<_> = models.filter(|model| !is_built_in(&model.id)).zip(1..).collect();
    let models: Vec<_> = models.into_iter().map(|(model, place)| entry(model, place)).collect();
    let body = serde_json::to_vec(&json!({ "models": models })).unwrap_or_default();
    let digest = format!("\"{:x}\"", Sha256::digest(&body));
    let tag = HeaderValue::try_from(digest).unwrap_or(HeaderValue::from_static("\"\""));
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag);
    let mut reply = if is_known {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        reply::written(StatusCode::OK, body)
    };
    reply.headers_mut().insert(header::ETAG, tag);
    reply
}

/// Whether Codex has instructions of its own for a model, which an entry would replace.
fn is_built_in(id: &str) -> bool {
    id.starts_with("gpt-") || id.starts_with("codex-")
}

#[derive(Serialize)]
struct EffortPreset {
    effort: &'static str,
    description: &'static str,
}

fn entry(model: &Model, place: u32) -> Value {
    let card = model.card.as_deref();
    let efforts = card.map(|card| card.rules.efforts).unwrap_or_default();
    let efforts: Vec<_> = efforts.iter().map(preset).collect();
    let default = card.and_then(|card| card.rules.default_effort).map(Effort::as_str);
    let reads_images = card.and_then(|card| card.capabilities.vision) != Some(false);
    let speaks_responses = card.and_then(|card| card.api) == Some(Dialect::Responses);
    json!({
        "slug": model.id,
        "display_name": card.and_then(|card| card.display_name.as_deref()).unwrap_or(&model.id),
        "description": format!("{} through the gateway", model.owner),
        "default_reasoning_level": default.filter(|_| !efforts.is_empty()),
        "supported_reasoning_levels": efforts,
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": true,
        "priority": place,
        "availability_nux": null,
        "upgrade": null,
        "base_instructions": INSTRUCTIONS,
        "supports_reasoning_summaries": speaks_responses,
        "support_verbosity": false,
        "default_verbosity": null,
        "apply_patch_tool_type": null,
        "web_search_tool_type": "text",
        "truncation_policy": { "mode": "tokens", "limit": OUTPUT_TOKENS },
        "supports_parallel_tool_calls": true,
        "context_window": card.and_then(|card| card.context_window),
        "auto_compact_token_limit": null,
        "experimental_supported_tools": [],
        "input_modalities": if reads_images { &["text", "image"][..] } else { &["text"][..] },
        "prefer_websockets": true,
        "supports_search_tool": false,
        "use_responses_lite": false,
        "service_tiers": [],
    })
}

fn preset(effort: Effort) -> EffortPreset {
    let description = match effort {
        Effort::None => "No reasoning",
        Effort::Minimal => "The least reasoning",
        Effort::Low => "Little reasoning",
        Effort::Medium => "A medium amount of reasoning",
        Effort::High => "Much reasoning",
        Effort::XHigh => "Very much reasoning",
        Effort::Max => "As much reasoning as the model can do",
    };
    EffortPreset { effort: effort.as_str(), description }
}
