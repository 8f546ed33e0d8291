//! `DeepSeek`: OpenAI-compatible; streams its thinking as `reasoning_content` and wants it back.

use crate::{Credential, Descriptor, compatible};
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "deepseek",
    aliases: &[],
    prefixes: &["deepseek-api"],
    families: &["deepseek-"],
    base_url: "https://api.deepseek.com",
    credential: Credential::Required,
    thinking: Some(&[]),
    build: |settings| compatible::openai(settings, Quirks::DEEPSEEK),
};
