//! Providers made from a base URL and a dialect.

use crate::{
    Auth, Credential, Descriptor, HttpProvider, Settings,
    account::issuer,
    api::Api,
    endpoint::Endpoint,
    learned_refusals::LearnedRefusals,
    provider_address::ProviderAddress,
    relay::RelayAddresses,
    services::{Counter, Embeddings, Services},
};
use gateway_core::{Dialect, ErrorKind, GatewayError, Provider, Result};
use gateway_wire::{
    OutboundDialect,
    chat::{ChatOutbound, Quirks},
    completions::CompletionsOutbound,
    embeddings::{EmbeddingDialect, OpenAiEmbeddings},
    gemini::{self, GeminiOutbound},
    messages::MessagesOutbound,
    responses::ResponsesOutbound,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;

/// Whatever speaks OpenAI's Chat Completions.
pub const OPENAI_COMPATIBLE: Descriptor = Descriptor {
    id: "openai_compatible",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "",
    credential: Credential::Optional,
    thinking: None,
    build: |settings| openai(settings, Quirks::COMPATIBLE),
};

/// Whatever speaks Anthropic's Messages.
pub const ANTHROPIC_COMPATIBLE: Descriptor = Descriptor {
    id: "anthropic_compatible",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "",
    credential: Credential::Optional,
    thinking: Some(&[Dialect::Messages]),
    build: anthropic,
};

/// Whatever speaks Gemini's `generateContent`.
pub const GEMINI_COMPATIBLE: Descriptor = Descriptor {
    id: "gemini_compatible",
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "",
    credential: Credential::Optional,
    thinking: Some(&[]),
    build: gemini,
};

/// A provider that speaks Chat Completions under `base_url`, with `quirks` unless others are set.
pub(crate) fn openai(settings: Settings, quirks: Quirks) -> Result<Arc<dyn Provider>> {
    let chat = chat(&settings, quirks)?;
    let apis = if settings.api == Some(Dialect::Responses) {
        vec![responses(&settings)?, chat]
    } else {
        vec![chat]
    };
    let embedder = embeddings(&settings, quirks)?;
    let completions = completions(&settings, quirks)?;
    http_provider(
        settings,
        Auth::Bearer,
        apis,
        Services { embedder: Some(embedder), completions: Some(completions), counter: None },
    )
}

/// Chat Completions under `base_url`.
pub(crate) fn chat(settings: &Settings, quirks: Quirks) -> Result<Api> {
    let quirks = configured_quirks(settings, quirks)?;
    fixed(settings, "/chat/completions", ChatOutbound { quirks })
}

/// The older Completions under `base_url`.
pub(crate) fn completions(settings: &Settings, quirks: Quirks) -> Result<Api> {
    let quirks = configured_quirks(settings, quirks)?;
    fixed(settings, "/completions", CompletionsOutbound { quirks })
}

fn configured_quirks(settings: &Settings, usual: Quirks) -> Result<Quirks> {
    match &settings.quirks {
        None => Ok(usual),
        Some(name) => Quirks::named(name)
            .ok_or_else(|| malformed(settings, &format!("unknown quirks '{name}'"))),
    }
}

/// Returns the Responses API under `base_url`.
pub(crate) fn responses(settings: &Settings) -> Result<Api> {
    fixed(settings, "/responses", ResponsesOutbound)
}

/// A provider that speaks Messages; `base_url` may or may not end with the version.
pub(crate) fn anthropic(settings: Settings) -> Result<Arc<dyn Provider>> {
    let versioned = settings.base_url.trim_end_matches('/').ends_with("/v1");
    let path = if versioned { "/messages" } else { "/v1/messages" };
    let api = fixed(&settings, path, MessagesOutbound)?;
    let counting = endpoint(&settings, &format!("{path}/count_tokens"))?;
    let counter = Counter {
        endpoint: counting,
        dialect: Dialect::Messages,
        wire: Box::new(MessagesOutbound),
    };
    let services = Services { counter: Some(counter), ..Services::default() };
    http_provider(settings, Auth::Header("x-api-key"), vec![api], services)
}

/// A provider that speaks `generateContent`: the Gemini API, or Vertex with a token.
pub(crate) fn gemini(settings: Settings) -> Result<Arc<dyn Provider>> {
    let uri: Uri = settings.base_url.parse().map_err(|_| malformed(&settings, "its URL"))?;
    let base = settings.base_url.trim_end_matches('/');
    // An address without a path is that of the API's host.
    let base = if uri.path().len() > 1 { base.to_owned() } else { format!("{base}/v1beta") };
    let base = ProviderAddress::new(&base, &settings.query);
    let place = |method| {
        let base = base.clone();
        Endpoint::by_model(Box::new(move |model, _| of_model(&base, model, method)))
    };
    let services = Services {
        counter: Some(Counter {
            endpoint: place(gemini::GeminiMethod::CountTokens),
            dialect: Dialect::Gemini,
            wire: Box::new(GeminiOutbound),
        }),
        embedder: Some(Embeddings {
            endpoint: place(gemini::GeminiMethod::Embed),
            wire: Box::new(GeminiOutbound),
        }),
        completions: None,
    };
    let endpoint =
        Endpoint::by_model(Box::new(move |model, stream| generate_content(&base, model, stream)));
    let vertex = settings.base_url.contains("aiplatform.googleapis.com");
    let auth = if vertex { Auth::Bearer } else { Auth::Header("x-goog-api-key") };
    let api = Api { upstream: Arc::new(GeminiOutbound), endpoint };
    http_provider(settings, auth, vec![api], services)
}

fn generate_content(base: &ProviderAddress, model: &str, stream: bool) -> Result<Uri> {
    let method = if stream { gemini::GeminiMethod::Stream } else { gemini::GeminiMethod::Generate };
    of_model(base, model, method)
}

fn of_model(base: &ProviderAddress, model: &str, method: gemini::GeminiMethod) -> Result<Uri> {
    base.of(&format!("/{}", gemini::path(model, method)), model)
}

/// A dialect served at one address: `path` under the base URL.
pub(crate) fn fixed(
    settings: &Settings,
    path: &str,
    upstream: impl OutboundDialect + 'static,
) -> Result<Api> {
    Ok(Api { upstream: Arc::new(upstream), endpoint: endpoint(settings, path)? })
}

/// OpenAI's embeddings under `base_url`.
pub(crate) fn embeddings(settings: &Settings, quirks: Quirks) -> Result<Embeddings> {
    let quirks = configured_quirks(settings, quirks)?;
    vectors(settings, "/embeddings", OpenAiEmbeddings { quirks })
}

/// Vectors made at one address: `path` under the base URL.
pub(crate) fn vectors(
    settings: &Settings,
    path: &str,
    wire: impl EmbeddingDialect + 'static,
) -> Result<Embeddings> {
    let endpoint = endpoint(settings, path)?;
    Ok(Embeddings { endpoint, wire: Box::new(wire) })
}

/// The endpoint of `path` under the base URL: at one address, or at one for each model if the base URL
/// names it.
fn endpoint(settings: &Settings, path: &str) -> Result<Endpoint> {
    let address = ProviderAddress::new(&settings.base_url, &settings.query);
    let example = address.of(path, "m");
    let uri = example.map_err(|_| malformed(settings, "its base URL is malformed"))?;
    if uri.authority().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(malformed(settings, "its base URL does not begin with http:// or https://"));
    }
    if !address.names_model() {
        return Ok(Endpoint::fixed(uri));
    }
    let path = path.to_owned();
    Ok(Endpoint::by_model(Box::new(move |model, _| address.of(&path, model))))
}

/// Puts the configured API first: the one for callers whose own dialect the provider lacks.
///
/// # Errors
///
/// If the provider does not serve that API.
fn preferred(settings: &Settings, mut apis: Vec<Api>) -> Result<Vec<Api>> {
    let Some(wanted) = settings.api else { return Ok(apis) };
    let at = apis.iter().position(|api| api.upstream.dialect() == wanted);
    let at =
        at.ok_or_else(|| malformed(settings, &format!("it does not serve the API '{wanted}'")))?;
    let api = apis.remove(at);
    apis.insert(0, api);
    Ok(apis)
}

/// A provider behind HTTP, whose credential is sent as `auth` says unless the settings differ.
pub(crate) fn http_provider(
    settings: Settings,
    auth: Auth,
    apis: Vec<Api>,
    mut services: Services,
) -> Result<Arc<dyn Provider>> {
    let mut apis = preferred(&settings, apis)?;
    let auth = settings.auth.unwrap_or(auth);
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let name: HeaderName = name.parse().map_err(|_| malformed(&settings, "a header's name"))?;
        let value = value.parse().map_err(|_| malformed(&settings, "a header's value"))?;
        headers.insert(name, value);
    }
    if let Some(key) = &settings.api_key {
        let key = key.expose_secret();
        let (name, value) = auth.field(key);
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| malformed(&settings, "its API key cannot be sent in a header"))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    let client = settings.client()?;
    let of_apis = apis.iter_mut().map(|api| &mut api.endpoint);
    for endpoint in of_apis.chain(services.endpoints()) {
        endpoint.prepare(&client, &headers)?;
    }
    let address = ProviderAddress::new(&settings.base_url, &settings.query);
    let relay = RelayAddresses::new(address, &headers, &client);
    let key = settings.api_key.as_ref().map(SecretString::expose_secret);
    let issuer = issuer(&settings.id, key.unwrap_or_default());
    Ok(Arc::new(HttpProvider {
        id: settings.id.into(),
        issuer,
        auth,
        apis,
        learns_refusals: settings.learns_refusals,
        refusals: LearnedRefusals::default(),
        services,
        relay,
        client,
    }))
}

fn malformed(settings: &Settings, what: &str) -> GatewayError {
    let message = format!("invalid settings of the provider '{}': {what}", settings.id);
    GatewayError::new(ErrorKind::NotConfigured, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, model: &str, expected: &str) {
        let base = ProviderAddress::new(base, &[]);
        assert_eq!(generate_content(&base, model, true).unwrap().to_string(), expected);
    }

    #[test]
    fn model_name_is_escaped_in_path() {
        let verb = ":streamGenerateContent?alt=sse";
        check("http://h/v1beta", "gemini-2.0", &format!("http://h/v1beta/models/gemini-2.0{verb}"));
        check("http://h/v1", "models/g", &format!("http://h/v1/models/g{verb}"));
        check("http://h/v1", "../a?b=c#d", &format!("http://h/v1/models/..%2Fa%3Fb%3Dc%23d{verb}"));
    }

    #[test]
    fn configured_api_comes_first() {
        let settings = Settings {
            id: "lab".to_owned(),
            base_url: "http://h".to_owned(),
            api: Some(Dialect::Responses),
            ..Settings::default()
        };
        let apis =
            || vec![chat(&settings, Quirks::COMPATIBLE).unwrap(), responses(&settings).unwrap()];
        let first =
            |settings: &Settings| preferred(settings, apis()).unwrap()[0].upstream.dialect();
        assert_eq!(first(&settings), Dialect::Responses);
        assert_eq!(first(&Settings { api: None, ..settings.clone() }), Dialect::Chat);
        let other = Settings { api: Some(Dialect::Messages), ..settings.clone() };
        assert!(preferred(&other, apis()).is_err());
    }

    #[test]
    fn malformed_settings_are_refused_with_the_providers_name() {
        for base in ["", "nonsense", "ftp://h", "/v1"] {
            let settings = Settings { id: "mine".to_owned(), ..Settings::new().base_url(base) };
            let error = (OPENAI_COMPATIBLE.build)(settings).err().unwrap();
            assert!(error.message().contains("'mine'"), "{base}: {error}");
        }
    }
}
