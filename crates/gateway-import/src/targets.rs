//! The providers behind the names that other gateways use.

use crate::draft::{Draft, KeyReference, ProviderDraft};

/// A provider that the gateway knows by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownProvider {
    /// The name that the gateway uses.
    pub(crate) name: &'static str,
    /// The kind of a provider of another name with the same API.
    pub(crate) kind: Option<&'static str>,
    /// The variable of its key.
    pub(crate) key: &'static str,
}

const fn known(name: &'static str, kind: Option<&'static str>, key: &'static str) -> KnownProvider {
    KnownProvider { name, kind, key }
}

/// Names of other gateways, and the providers that they mean.
const KNOWN: [(&[&str], KnownProvider); 12] = [
    (&["openai", "text-completion-openai"], known("openai", None, "OPENAI_API_KEY")),
    (&["anthropic"], known("anthropic", Some("anthropic"), "ANTHROPIC_API_KEY")),
    (&["gemini", "google"], known("gemini", Some("gemini"), "GEMINI_API_KEY")),
    (&["deepseek"], known("deepseek", None, "DEEPSEEK_API_KEY")),
    (&["openrouter"], known("openrouter", None, "OPENROUTER_API_KEY")),
    (&["ollama", "ollama_chat"], known("ollama", Some("ollama"), "OLLAMA_API_KEY")),
    (&["groq"], known("groq", None, "GROQ_API_KEY")),
    (&["mistral", "mistral-ai"], known("mistral", None, "MISTRAL_API_KEY")),
    (&["xai"], known("xai", None, "XAI_API_KEY")),
    (&["perplexity", "perplexity-ai"], known("perplexity", None, "PERPLEXITY_API_KEY")),
    (&["together_ai", "together", "together-ai"], known("together", None, "TOGETHER_API_KEY")),
    (&["fireworks_ai", "fireworks-ai"], known("fireworks", None, "FIREWORKS_API_KEY")),
];

/// Names under which other gateways address any OpenAI-compatible server.
const COMPATIBLE: [&str; 12] = [
    "openai_like",
    "custom_openai",
    "custom-openai",
    "hosted_vllm",
    "vllm",
    "llamafile",
    "lm_studio",
    "litellm_proxy",
    "xinference",
    "infinity",
    "cerebras",
    "nvidia_nim",
];

/// The provider called `name` elsewhere.
pub(crate) fn find(name: &str) -> Option<KnownProvider> {
    KNOWN.iter().find(|(names, _)| names.contains(&name)).map(|(_, provider)| *provider)
}

/// Whether `name` stands for any OpenAI-compatible server.
pub(crate) fn is_compatible(name: &str) -> bool {
    COMPATIBLE.contains(&name)
}

/// Adds a key to the provider `name` of the draft; returns how many it has.
pub(crate) fn add_key(draft: &mut Draft, name: &str, key: KeyReference) -> usize {
    let provider = draft.providers.entry(name.to_owned()).or_default();
    if !provider.keys.contains(&key) {
        provider.keys.push(key);
    }
    provider.keys.len()
}

/// Removes the entries of providers that say only what is known: the usual variable of the key.
pub(crate) fn remove_usual(draft: &mut Draft) {
    draft.providers.retain(|name, provider| {
        let usual = find(name).map(|known| KeyReference::Variable(known.key.to_owned()));
        let keys = usual.into_iter().collect();
        *provider != ProviderDraft { keys, ..ProviderDraft::default() }
            && *provider != ProviderDraft::default()
    });
}

/// Returns the name of the provider at `url`, which is added unless it is there: made of `kind` and
/// the host.
pub(crate) fn provider_at(draft: &mut Draft, url: &str, kind: Option<&'static str>) -> String {
    let is_it = |it: &ProviderDraft| it.base_url.as_deref() == Some(url) && it.kind == kind;
    if let Some((name, _)) = draft.providers.iter().find(|(_, it)| is_it(it)) {
        return name.clone();
    }
    let base = name_of(url);
    let mut name = base.clone();
    let mut number = 1;
    while draft.providers.contains_key(&name) || find(&name).is_some() {
        number += 1;
        name = format!("{base}-{number}");
    }
    let base_url = Some(url.to_owned());
    draft
        .providers
        .insert(name.clone(), ProviderDraft { kind, base_url, ..ProviderDraft::default() });
    name
}

/// A name made of the first part of a host: `lab` for `http://lab.internal:8000/v1`, `upstream` for
/// an address of numbers.
fn name_of(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let label = host.split('.').next().unwrap_or_default();
    let label: String = label
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let is_name = label.starts_with(|c: char| c.is_ascii_lowercase());
    if is_name && label != "api" { label } else { "upstream".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_named_by_their_hosts() {
        for (url, name) in [
            ("http://lab.internal:8000/v1", "lab"),
            ("http://10.0.0.7/v1", "upstream"),
            ("https://api.example.org", "upstream"),
            ("https://My_Res.openai.azure.com", "my-res"),
        ] {
            assert_eq!(name_of(url), name, "{url}");
        }
        let mut draft = Draft::default();
        let name = provider_at(&mut draft, "http://lab:1/v1", None);
        assert_eq!(provider_at(&mut draft, "http://lab:1/v1", None), name);
        assert_eq!(provider_at(&mut draft, "http://lab:2/v1", None), "lab-2");
        assert_eq!(provider_at(&mut draft, "http://openai:2/v1", None), "openai-2");
    }
}
