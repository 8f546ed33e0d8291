//! `Cerebras`, with an OpenAI-compatible API.

use crate::{Credential, Descriptor, compatible};
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "cerebras",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "https://api.cerebras.ai/v1",
    credential: Credential::Required,
    thinking: None,
    build: |settings| compatible::openai(settings, Quirks::CEREBRAS),
};
