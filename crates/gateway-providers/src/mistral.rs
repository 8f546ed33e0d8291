//! `Mistral`: OpenAI-compatible; writes content as lists, and errors without an envelope.

use crate::{Credential, Descriptor, compatible};
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "mistral",
    aliases: &[],
    prefixes: &[],
    families: &["mistral-", "ministral-", "codestral-", "magistral-", "devstral-", "pixtral-"],
    base_url: "https://api.mistral.ai/v1",
    credential: Credential::Required,
    thinking: None,
    build: |settings| compatible::openai(settings, Quirks::MISTRAL),
};
