//! `OpenAI`: speaks Chat Completions and Responses.

use crate::{Auth, Credential, Descriptor, compatible, services::Services};
use gateway_core::Dialect;
use gateway_wire::chat::Quirks;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "openai",
    aliases: &[],
    prefixes: &[],
    families: &["gpt-", "chatgpt-", "o1", "o3", "o4"],
    base_url: "https://api.openai.com/v1",
    credential: Credential::Required,
    thinking: Some(&[Dialect::Chat, Dialect::Responses]),
    build: |settings| {
        let chat = compatible::chat(&settings, Quirks::OPENAI)?;
        let responses = compatible::responses(&settings)?;
        let embedder = compatible::embeddings(&settings, Quirks::OPENAI)?;
        let services = Services {
            embedder: Some(embedder),
            completions: Some(compatible::completions(&settings, Quirks::OPENAI)?),
            counter: None,
        };
        compatible::http_provider(settings, Auth::Bearer, vec![chat, responses], services)
    },
};
