//! Upstreams: those that are known by name, and those that the operator adds.

use super::{
    network::{Header, Url},
    node::{Content, Table},
    problem::Problem,
    section::{Reader, section},
    value::{Value, choice, secret},
};
use gateway_core::Dialect;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;

choice! {
    /// What a provider speaks.
    Kind {
        /// The API of OpenAI, or one like it.
        OpenAiCompatible = "openai_compatible" | "openai";
        /// The API of Anthropic, or one like it.
        Anthropic = "anthropic" | "anthropic_compatible";
        /// The API of Gemini.
        Gemini = "gemini" | "google";
        /// The API of Ollama.
        Ollama = "ollama";
        /// Nothing: it answers by itself, for tests.
        Fake = "fake";
    }
}

impl Value for Dialect {
    fn expects() -> String {
        Self::ALL.map(|dialect| format!("`{dialect}`")).join(", ")
    }

    fn read(node: &super::node::Node) -> Option<Self> {
        let text = node.text()?;
        Self::ALL.into_iter().find(|dialect| dialect.as_str().eq_ignore_ascii_case(text))
    }

    fn show(&self) -> Option<String> {
        Some(format!("\"{self}\""))
    }
}

section! {
    /// An upstream, at `[providers.NAME]`.
    pub Provider {
        /// What it speaks.
        /// If it is not said: what the provider of that name is known to speak, else `openai_compatible`.
        kind: Option<Kind> = None;
        /// Whether it is used.
        enabled: bool = true;
        /// Where it is; needed unless the name is known.
        base_url: Option<Url> = None;
        /// The gateway's key there.
        api_key: Option<SecretString> = None;
        /// The variable that holds the key, instead of `api_key`.
        api_key_env: Option<String> = None;
        /// More keys there: requests take turns between all of them, and pass over those that are limited or refused.
        api_keys: Vec<SecretString> = Vec::new();
        /// The variables that hold more keys.
        api_key_envs: Vec<String> = Vec::new();
        /// Headers sent with every request.
        headers: BTreeMap<String, Header> = BTreeMap::new();
        /// The name of a known provider whose peculiarities it shares.
        quirks: Option<String> = None;
        /// Beginnings of names of models that belong to it, such as `qwen-*`.
        models: Vec<String> = Vec::new();
        /// Prefixes, such as `lab` in `lab/phi-4`, by which callers ask for it; its own name is one.
        prefixes: Vec<String> = Vec::new();
        /// Through which of its APIs it is asked, if not the usual one.
        api: Option<Dialect> = None;
        /// The organization that pays.
        organization: Option<String> = None;
        /// The project that pays.
        project: Option<String> = None;
    }
}

/// A provider that is known by name.
#[derive(Debug)]
pub(super) struct Known {
    /// The name.
    pub(super) name: &'static str,
    /// What it speaks.
    pub(super) kind: Kind,
    /// The variables of its key.
    pub(super) keys: &'static [&'static str],
    /// The variables of its address.
    pub(super) urls: &'static [&'static str],
}

const fn known(
    name: &'static str,
    kind: Kind,
    keys: &'static [&'static str],
    urls: &'static [&'static str],
) -> Known {
    Known { name, kind, keys, urls }
}

/// The providers that are known by name, and their variables.
pub(super) const KNOWN: [Known; 16] = [
    known("anthropic", Kind::Anthropic, &["ANTHROPIC_API_KEY"], &["ANTHROPIC_BASE_URL"]),
    known("openai", Kind::OpenAiCompatible, &["OPENAI_API_KEY"], &["OPENAI_BASE_URL"]),
    known(
        "gemini",
        Kind::Gemini,
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        &["GEMINI_BASE_URL", "GOOGLE_BASE_URL"],
    ),
    known("deepseek", Kind::OpenAiCompatible, &["DEEPSEEK_API_KEY"], &["DEEPSEEK_BASE_URL"]),
    known("openrouter", Kind::OpenAiCompatible, &["OPENROUTER_API_KEY"], &["OPENROUTER_BASE_URL"]),
    known("ollama", Kind::Ollama, &["OLLAMA_API_KEY"], &["OLLAMA_BASE_URL", "OLLAMA_URL"]),
    known(
        "llamacpp",
        Kind::OpenAiCompatible,
        &["LLAMACPP_API_KEY"],
        &["LLAMACPP_BASE_URL", "INFERENCE_SERVICE_URL"],
    ),
    known(
        "inference",
        Kind::OpenAiCompatible,
        &["INFERENCE_API_KEY"],
        &["INFERENCE_BASE_URL", "INFERENCE_SERVICE_URL"],
    ),
    known("fake", Kind::Fake, &[], &[]),
    known("groq", Kind::OpenAiCompatible, &["GROQ_API_KEY"], &["GROQ_BASE_URL"]),
    known("mistral", Kind::OpenAiCompatible, &["MISTRAL_API_KEY"], &["MISTRAL_BASE_URL"]),
    known("xai", Kind::OpenAiCompatible, &["XAI_API_KEY"], &["XAI_BASE_URL"]),
    known("perplexity", Kind::OpenAiCompatible, &["PERPLEXITY_API_KEY"], &["PERPLEXITY_BASE_URL"]),
    known("together", Kind::OpenAiCompatible, &["TOGETHER_API_KEY"], &["TOGETHER_BASE_URL"]),
    known("fireworks", Kind::OpenAiCompatible, &["FIREWORKS_API_KEY"], &["FIREWORKS_BASE_URL"]),
    known("cerebras", Kind::OpenAiCompatible, &["CEREBRAS_API_KEY"], &["CEREBRAS_BASE_URL"]),
];

/// The known provider of that name, or of that other name.
pub(super) fn by_name(name: &str) -> Option<&'static Known> {
    let name = if name == "google" { "gemini" } else { name };
    KNOWN.iter().find(|known| known.name == name)
}

impl Provider {
    /// All its keys, each once.
    pub fn keys(&self) -> Vec<SecretString> {
        let mut keys: Vec<SecretString> = Vec::new();
        for key in self.api_key.iter().chain(&self.api_keys) {
            if keys.iter().all(|known| known.expose_secret() != key.expose_secret()) {
                keys.push(key.clone());
            }
        }
        keys
    }

    /// What the provider called `name` speaks.
    pub fn kind_of(&self, name: &str) -> Kind {
        let known = || by_name(name).map(|known| known.kind);
        self.kind.or_else(known).unwrap_or(Kind::OpenAiCompatible)
    }
}

/// Reads `[providers]`. Names are folded to lower case, and `google` is called `gemini`.
pub(super) fn read(
    root: &Table,
    env: &super::Environment,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Provider> {
    let mut providers = BTreeMap::new();
    let Some(node) = root.get("providers") else { return providers };
    let Content::Table(table) = &node.content else {
        let message = format!("expected a table, found {}", node.kind());
        problems.push(Problem::new("providers", message).source(node.source.clone()));
        return providers;
    };
    for (written, node) in table {
        let folded = written.to_lowercase();
        let name = by_name(&folded).map_or(folded.as_str(), |known| known.name).to_owned();
        let path = format!("providers.{written}");
        if !is_name(&name) {
            let message = "the name of a provider is made of letters, digits, `-`, `_` and `.`";
            problems.push(Problem::new("providers", message).source(node.source.clone()));
            continue;
        }
        let mut provider: Provider = Reader::read(path.clone(), Some(node), problems);
        resolve(&mut provider, &name, &path, env, problems);
        if providers.insert(name.clone(), provider).is_some() {
            problems.push(Problem::new(path, format!("`{name}` is configured twice")));
        }
    }
    providers
}

pub(super) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// Fetches the key from its variable, and notes what does not go together.
fn resolve(
    provider: &mut Provider,
    name: &str,
    path: &str,
    env: &super::Environment,
    problems: &mut Vec<Problem>,
) {
    let mut wrong = |field: &str, message: String| {
        problems.push(Problem::new(format!("{path}.{field}"), message));
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
    if nowhere && provider.enabled && provider.kind_of(name) != Kind::Fake {
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

/// A name from outside, fit to be shown.
pub fn printable(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
