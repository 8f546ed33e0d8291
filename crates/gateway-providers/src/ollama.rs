//! `Ollama`: speaks its own chat API, in lines of JSON.

use crate::{Auth, Credential, Descriptor, compatible, services::Services};
use gateway_wire::ollama::OllamaOutbound;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: "ollama",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "http://localhost:11434",
    credential: Credential::Optional,
    thinking: None,
    build: |settings| {
        let upstream =
            OllamaOutbound { num_ctx: settings.context_window, ..OllamaOutbound::default() };
        let embedder = compatible::vectors(&settings, "/api/embed", upstream.clone())?;
        let api = compatible::fixed(&settings, "/api/chat", upstream)?;
        let services = Services { embedder: Some(embedder), ..Services::default() };
        compatible::http_provider(settings, Auth::Bearer, vec![api], services)
    },
};
