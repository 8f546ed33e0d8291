//! Upstreams: those that are known by name, and those that the operator adds.

use super::{
    entries::named_entries,
    error::ConfigError,
    network::{ServiceUrl, UpstreamHeader},
    printable::printable,
    raw_value::Table,
    section::{SectionReader, section},
    value::{SettingType, choice, secret},
};
use gateway_core::Dialect;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;

choice! {
    /// The dialect of a provider.
    ProviderKind {
        /// The OpenAI API or a compatible one.
        OpenAiCompatible = "openai_compatible" | "openai";
        /// The Anthropic API or a compatible one.
        Anthropic = "anthropic" | "anthropic_compatible";
        /// The Gemini API of Google.
        Gemini = "gemini" | "google";
        /// The chat API of Ollama.
        Ollama = "ollama";
        /// A built-in test provider without network.
        Fake = "fake";
    }
}

choice! {
    /// The header with the API key of a provider.
    ProviderAuth {
        /// `Authorization: Bearer`.
        Bearer = "bearer";
        /// `api-key`, as Azure has it.
        ApiKey = "api-key";
        /// `x-api-key`.
        XApiKey = "x-api-key";
        /// `x-goog-api-key`.
        XGoogApiKey = "x-goog-api-key";
    }
}

impl SettingType for Dialect {
    fn expects() -> String {
        Self::ALL.map(|dialect| format!("`{dialect}`")).join(", ")
    }

    fn read(node: &super::raw_value::ConfigValue) -> Option<Self> {
        let text = node.text()?;
        Self::ALL.into_iter().find(|dialect| dialect.as_str().eq_ignore_ascii_case(text))
    }

    fn show(&self) -> Option<String> {
        Some(format!("\"{self}\""))
    }
}

section! {
    /// An upstream provider of models.
    pub ProviderEntry {
        /// Kind of API.
        /// Default: the kind of the known provider of that name, else `openai_compatible`.
        kind: Option<ProviderKind> = None;
        /// Whether the provider is enabled.
        enabled: bool = true;
        /// Base URL; required unless the name is known. `{model}` in its path stands for the name of the model.
        base_url: Option<ServiceUrl> = None;
        /// API key of the provider.
        api_key: Option<SecretString> = None;
        /// Environment variable with the API key, instead of `api_key`.
        api_key_env: Option<String> = None;
        /// Additional API keys, used in rotation; keys that are rate limited or rejected are skipped.
        api_keys: Vec<SecretString> = Vec::new();
        /// Environment variables with additional API keys.
        api_key_envs: Vec<String> = Vec::new();
        /// The header with the API key: `Authorization: Bearer`, or one that holds nothing but the key. Default: that of the kind.
        auth: Option<ProviderAuth> = None;
        /// Parameters in the query of every request, such as `{ "api-version" = "2026-01-01" }`.
        query: BTreeMap<String, String> = BTreeMap::new();
        /// Headers of every request.
        headers: BTreeMap<String, UpstreamHeader> = BTreeMap::new();
        /// Known provider whose deviations from the standard API apply.
        quirks: Option<String> = None;
        /// Models of the provider: names or prefixes such as `qwen-*`.
        models: Vec<String> = Vec::new();
        /// Prefixes that select the provider, such as `lab` in `lab/phi-4`, in addition to its name.
        prefixes: Vec<String> = Vec::new();
        /// API for callers whose own dialect the provider does not serve, such as `responses`. Default: the provider's default API.
        api: Option<Dialect> = None;
        /// OpenAI organization of the requests.
        organization: Option<String> = None;
        /// OpenAI project of the requests.
        project: Option<String> = None;
    }
}

/// A provider known by name.
#[derive(Debug)]
pub(super) struct KnownProvider {
    /// The name in `[providers.NAME]`.
    pub(super) name: &'static str,
    /// The kind of API.
    pub(super) kind: ProviderKind,
    /// The variables of the API key.
    pub(super) keys: &'static [&'static str],
    /// The variables of the base URL.
    pub(super) urls: &'static [&'static str],
}

const fn known_provider(
    name: &'static str,
    kind: ProviderKind,
    keys: &'static [&'static str],
    urls: &'static [&'static str],
) -> KnownProvider {
    KnownProvider { name, kind, keys, urls }
}

/// The known providers and their variables.
pub(super) const KNOWN: [KnownProvider; 16] = [
    known_provider(
        "anthropic",
        ProviderKind::Anthropic,
        &["ANTHROPIC_API_KEY"],
        &["ANTHROPIC_BASE_URL"],
    ),
    known_provider(
        "openai",
        ProviderKind::OpenAiCompatible,
        &["OPENAI_API_KEY"],
        &["OPENAI_BASE_URL"],
    ),
    known_provider(
        "gemini",
        ProviderKind::Gemini,
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        &["GEMINI_BASE_URL", "GOOGLE_BASE_URL"],
    ),
    known_provider(
        "deepseek",
        ProviderKind::OpenAiCompatible,
        &["DEEPSEEK_API_KEY"],
        &["DEEPSEEK_BASE_URL"],
    ),
    known_provider(
        "openrouter",
        ProviderKind::OpenAiCompatible,
        &["OPENROUTER_API_KEY"],
        &["OPENROUTER_BASE_URL"],
    ),
    known_provider(
        "ollama",
        ProviderKind::Ollama,
        &["OLLAMA_API_KEY"],
        &["OLLAMA_BASE_URL", "OLLAMA_URL"],
    ),
    known_provider(
        "llamacpp",
        ProviderKind::OpenAiCompatible,
        &["LLAMACPP_API_KEY"],
        &["LLAMACPP_BASE_URL", "INFERENCE_SERVICE_URL"],
    ),
    known_provider(
        "inference",
        ProviderKind::OpenAiCompatible,
        &["INFERENCE_API_KEY"],
        &["INFERENCE_BASE_URL", "INFERENCE_SERVICE_URL"],
    ),
    known_provider("fake", ProviderKind::Fake, &[], &[]),
    known_provider("groq", ProviderKind::OpenAiCompatible, &["GROQ_API_KEY"], &["GROQ_BASE_URL"]),
    known_provider(
        "mistral",
        ProviderKind::OpenAiCompatible,
        &["MISTRAL_API_KEY"],
        &["MISTRAL_BASE_URL"],
    ),
    known_provider("xai", ProviderKind::OpenAiCompatible, &["XAI_API_KEY"], &["XAI_BASE_URL"]),
    known_provider(
        "perplexity",
        ProviderKind::OpenAiCompatible,
        &["PERPLEXITY_API_KEY"],
        &["PERPLEXITY_BASE_URL"],
    ),
    known_provider(
        "together",
        ProviderKind::OpenAiCompatible,
        &["TOGETHER_API_KEY"],
        &["TOGETHER_BASE_URL"],
    ),
    known_provider(
        "fireworks",
        ProviderKind::OpenAiCompatible,
        &["FIREWORKS_API_KEY"],
        &["FIREWORKS_BASE_URL"],
    ),
    known_provider(
        "cerebras",
        ProviderKind::OpenAiCompatible,
        &["CEREBRAS_API_KEY"],
        &["CEREBRAS_BASE_URL"],
    ),
];

/// Returns the known provider of that name or alias.
pub(super) fn by_name(name: &str) -> Option<&'static KnownProvider> {
    let name = if name == "google" { "gemini" } else { name };
    KNOWN.iter().find(|known| known.name == name)
}

impl ProviderEntry {
    /// Returns all API keys without duplicates.
    pub fn keys(&self) -> Vec<SecretString> {
        let mut keys: Vec<SecretString> = Vec::new();
        for key in self.api_key.iter().chain(&self.api_keys) {
            if keys.iter().all(|known| known.expose_secret() != key.expose_secret()) {
                keys.push(key.clone());
            }
        }
        keys
    }

    /// Returns the kind of the provider `name`.
    pub fn kind_of(&self, name: &str) -> ProviderKind {
        let known = || by_name(name).map(|known| known.kind);
        self.kind.or_else(known).unwrap_or(ProviderKind::OpenAiCompatible)
    }
}

/// Reads `[providers]`. Names are folded to lower case, and `google` is called `gemini`.
pub(super) fn read(
    root: &Table,
    env: &super::Environment,
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<String, ProviderEntry> {
    let mut providers = BTreeMap::new();
    for (written, node) in named_entries(root, "providers", errors) {
        let folded = written.to_lowercase();
        let name = by_name(&folded).map_or(folded.as_str(), |known| known.name).to_owned();
        let path = format!("providers.{written}");
        if !is_name(&name) {
            let message = "the name of a provider is made of letters, digits, `-`, `_` and `.`";
            errors.push(ConfigError::new("providers", message).source(node.source.clone()));
            continue;
        }
        let mut provider: ProviderEntry = SectionReader::read(path.clone(), Some(node), errors);
        resolve(&mut provider, &name, &path, env, errors);
        if providers.insert(name.clone(), provider).is_some() {
            errors.push(ConfigError::new(path, format!("`{name}` is configured twice")));
        }
    }
    providers
}

pub(super) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// Reads API keys from their variables and reports inconsistent settings.
fn resolve(
    provider: &mut ProviderEntry,
    name: &str,
    path: &str,
    env: &super::Environment,
    errors: &mut Vec<ConfigError>,
) {
    let mut wrong = |field: &str, message: String| {
        errors.push(ConfigError::new(format!("{path}.{field}"), message));
    };
    if let Some(variable) = provider.api_key_env.clone().filter(|_| provider.enabled) {
        // A key that was given by its own variable counts first.
        if provider.api_key.is_none() {
            provider.api_key = env.get(&variable).and_then(secret);
        }
        if provider.api_key.is_none() {
            let variable = printable(&variable);
            wrong("api_key_env", format!("the variable {variable} holds no key"));
        }
    }
    for variable in provider.api_key_envs.clone().iter().filter(|_| provider.enabled) {
        if let Some(key) = env.get(variable).and_then(secret) {
            provider.api_keys.push(key);
        } else {
            let variable = printable(variable);
            wrong("api_key_envs", format!("the variable {variable} holds no key"));
        }
    }
    let nowhere = provider.base_url.is_none() && by_name(name).is_none();
    if nowhere && provider.enabled && provider.kind_of(name) != ProviderKind::Fake {
        wrong("base_url", "is needed, since this provider is not known by name".to_owned());
    }
    if let Some(header) = provider.headers.keys().find(|name| !is_header(name)) {
        wrong("headers", format!("`{}` is not the name of a header", printable(header)));
    }
    if provider.quirks.as_deref().is_some_and(|quirks| by_name(quirks).is_none()) {
        wrong("quirks", "is not the name of a known provider".to_owned());
    }
}

pub(super) fn is_header(name: &str) -> bool {
    name.parse::<http::HeaderName>().is_ok()
}
