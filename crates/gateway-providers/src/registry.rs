//! Built-in providers by name, and the construction of providers from settings.

use crate::{ALL, Auth, ContextServiceRoute};
use gateway_core::{Dialect, ErrorKind, GatewayError, Provider, Result};
use gateway_net::client::{ClientSettings, HttpClient};
use secrecy::SecretString;
use std::sync::Arc;

/// A provider that is known by name.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The provider's id.
    pub id: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// The prefixes of its model names, before `/` or `:`; its id is always one.
    pub prefixes: &'static [&'static str],
    /// The beginnings of its model names.
    pub families: &'static [&'static str],
    /// The default base URL.
    pub base_url: &'static str,
    /// Whether it needs a credential.
    pub credential: Credential,
    /// If its models want their own thinking back with the results of tools: the dialects whose
    /// callers carry it themselves. See [`Recall`](gateway_core::ReasoningReplay).
    pub thinking: Option<&'static [Dialect]>,
    /// The constructor of the provider.
    pub build: fn(Settings) -> Result<Arc<dyn Provider>>,
}

/// Whether a provider needs a credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credential {
    /// Requests fail without a credential.
    Required,
    /// It may be set up to want one.
    Optional,
}

/// The settings of a provider.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The provider's id.
    pub id: String,
    /// The base URL, without a trailing slash: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The credential, if one is configured.
    pub api_key: Option<SecretString>,
    /// The way in which the credential is sent; the provider's default if absent.
    pub auth: Option<Auth>,
    /// Parameters of the query of every request.
    pub query: Vec<(String, String)>,
    /// Headers sent with every request.
    pub headers: Vec<(String, String)>,
    /// By name, how it departs from OpenAI's behaviour: `deepseek`, `mistral`; if not as usual.
    pub quirks: Option<String>,
    /// The dialect in which it is asked first, if not the usual one.
    pub api: Option<Dialect>,
    /// The window that Ollama is to give its models, in tokens.
    pub context_window: Option<u64>,
    /// Whether a parameter that it refuses with a 400 is left out of one retry and of the requests of
    /// a day. Strict requests are sent as they are.
    pub learns_refusals: bool,
    /// The context-management service on the way to it, if its kind supports one.
    pub through: Option<ContextServiceRoute>,
    /// The HTTP client to use; one of its own if absent.
    pub client: Option<HttpClient>,
}

impl Settings {
    /// Creates empty settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the credential to `key`.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(SecretString::from(key.into()));
        self
    }

    /// Sets the base URL to `url`.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    pub(crate) fn client(&self) -> Result<HttpClient> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => Ok(HttpClient::new(&ClientSettings::default())?),
        }
    }
}

/// The provider called `name`, which may be an alias.
pub fn find(name: &str) -> Option<&'static Descriptor> {
    ALL.iter().find(|it| it.id == name || it.aliases.contains(&name))
}

/// Makes the provider called `name`. What the settings leave open is as usual for it.
///
/// # Errors
///
/// If no provider has that name, a setting is malformed, or a credential is needed and missing.
pub fn build(name: &str, mut settings: Settings) -> Result<Arc<dyn Provider>> {
    let descriptor = find(name).ok_or_else(|| {
        GatewayError::new(ErrorKind::NotConfigured, format!("unknown provider '{name}'"))
    })?;
    descriptor.complete(&mut settings);
    if descriptor.credential == Credential::Required && settings.api_key.is_none() {
        return Err(GatewayError::new(
            ErrorKind::NotConfigured,
            format!("the provider '{}' has no API key", descriptor.id),
        ));
    }
    (descriptor.build)(settings)
}

impl Descriptor {
    fn complete(&self, settings: &mut Settings) {
        if settings.id.is_empty() {
            self.id.clone_into(&mut settings.id);
        }
        if settings.base_url.is_empty() {
            self.base_url.clone_into(&mut settings.base_url);
        }
    }
}
