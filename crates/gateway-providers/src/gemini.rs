//! `Gemini`: speaks `generateContent`, at the Gemini API or at Vertex.

use crate::{Credential, Descriptor, compatible};

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "gemini",
    aliases: &["google"],
    prefixes: &["google", "vertex"],
    families: &["gemini-", "gemma-"],
    base_url: "https://generativelanguage.googleapis.com/v1beta",
    credential: Credential::Required,
    thinking: Some(&[]),
    build: compatible::gemini,
};
