//! `Groq`: OpenAI-compatible; counts tokens in `x_groq`.

use crate::{Credential, Descriptor, compatible};
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "groq",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "https://api.groq.com/openai/v1",
    credential: Credential::Required,
    thinking: None,
    build: |settings| compatible::openai(settings, Quirks::GROQ),
};
