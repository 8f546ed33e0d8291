//! The platform's inference service, which is llama.cpp behind an OpenAI-compatible API.

use crate::{Credential, Descriptor, Settings, compatible};
use gateway_core::{Provider, Result};
use gateway_wire::chat::Quirks;
use std::sync::Arc;

/// The service, asked directly.
pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "llamacpp",
    aliases: &[],
    prefixes: &["local", "gguf"],
    families: &[],
    base_url: "http://localhost:8085",
    credential: Credential::Optional,
    thinking: None,
    build,
};

/// The address may or may not end with the version.
pub(crate) fn build(mut settings: Settings) -> Result<Arc<dyn Provider>> {
    let base = settings.base_url.trim_end_matches('/');
    if !base.ends_with("/v1") {
        settings.base_url = format!("{base}/v1");
    }
    compatible::openai(settings, Quirks::LLAMACPP)
}
