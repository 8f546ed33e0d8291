//! `OpenRouter`: OpenAI-compatible; repeats the role and the finish, and numbers its errors.

use crate::{Credential, Descriptor, compatible};
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "openrouter",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "https://openrouter.ai/api/v1",
    credential: Credential::Required,
    thinking: None,
    build: |settings| compatible::openai(settings, Quirks::OPENROUTER),
};
