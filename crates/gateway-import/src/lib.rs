//! Converts configurations of other LLM gateways to `gateway.toml`, with a report of what was changed
//! and of what has no counterpart. No I/O.
//!
//! ```
//! let yaml = "model_list:\n- model_name: fast\n  litellm_params: {model: openai/gpt-5-mini}\n";
//! let imported = gateway_import::import(yaml, &|_| None).unwrap();
//! assert!(imported.toml.contains("\"fast\" = \"openai/gpt-5-mini\""));
//! ```

mod bifrost;
mod document;
mod draft;
mod keys;
mod litellm;
mod portkey;
mod report;
mod targets;
mod toml;

pub use self::{
    document::ImportError,
    report::{NoteKind, Report, ReportNote},
};

use draft::Draft;

/// Returns the value of an environment variable, if it is set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A converted configuration with its report.
#[derive(Debug)]
pub struct Import {
    /// The text of `gateway.toml`.
    pub toml: String,
    /// The settings that were changed, and those without a counterpart.
    pub report: Report,
}

/// Converts the configuration in `text`: `LiteLLM`'s YAML or key list, Bifrost's or Portkey's JSON.
/// `variables` resolves references where the gateway takes no variable's name.
///
/// # Errors
///
/// If the text is neither YAML nor JSON, or is of none of these programs.
pub fn import(text: &str, variables: Variables<'_>) -> Result<Import, ImportError> {
    let document = document::parse(text)?;
    let mut draft = Draft::default();
    let has = |name: &str| document.get(name).is_some();
    let program = if ["model_list", "litellm_settings", "general_settings", "router_settings"]
        .into_iter()
        .any(has)
    {
        litellm::import(&document, variables, &mut draft);
        "LiteLLM"
    } else if has("keys") || document.is_array() {
        keys::import(document.get("keys").unwrap_or(&document), &mut draft);
        "a list of LiteLLM's keys"
    } else if has("providers") {
        bifrost::import(&document, &mut draft);
        "Bifrost"
    } else if has("targets") || has("strategy") {
        portkey::import(&document, &mut draft);
        "Portkey"
    } else {
        return Err(ImportError::Unknown);
    };
    Ok(Import { toml: toml::write(&draft, program), report: draft.report })
}
