//! `xAI`, with an OpenAI-compatible API.

use crate::{Credential, Descriptor, compatible};
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "xai",
    aliases: &[],
    prefixes: &[],
    families: &["grok-"],
    base_url: "https://api.x.ai/v1",
    credential: Credential::Required,
    thinking: None,
    build: |settings| compatible::openai(settings, Quirks::XAI),
};
