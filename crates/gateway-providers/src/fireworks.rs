//! `Fireworks`, with an OpenAI-compatible API.

use crate::{Credential, Descriptor, compatible};
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "fireworks",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "https://api.fireworks.ai/inference/v1",
    credential: Credential::Required,
    thinking: None,
    build: |settings| compatible::openai(settings, Quirks::COMPATIBLE),
};
