//! `Together`, with an OpenAI-compatible API.

use crate::{Credential, Descriptor, compatible};
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "together",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "https://api.together.xyz/v1",
    credential: Credential::Required,
    thinking: None,
    build: |settings| compatible::openai(settings, Quirks::COMPATIBLE),
};
