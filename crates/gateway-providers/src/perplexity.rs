//! `Perplexity`: OpenAI-compatible; counts tokens in many chunks.

use crate::{Credential, Descriptor, compatible};
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "perplexity",
    aliases: &[],
    prefixes: &[],
    families: &["sonar"],
    base_url: "https://api.perplexity.ai",
    credential: Credential::Required,
    thinking: None,
    build: |settings| compatible::openai(settings, Quirks::PERPLEXITY),
};
