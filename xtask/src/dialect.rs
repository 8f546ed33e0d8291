//! The dialects that the scripted provider speaks, all at one address.

use crate::gateway::Provider;
use clap::ValueEnum;

/// The API key that a gateway sends to the scripted provider.
pub(crate) const UPSTREAM_KEY: &str = "sk-upstream";

/// The dialect of a provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Dialect {
    Openai,
    Anthropic,
    Gemini,
    Ollama,
}

impl Dialect {
    /// All dialects of providers.
    pub(crate) const ALL: [Self; 4] = [Self::Openai, Self::Anthropic, Self::Gemini, Self::Ollama];

    /// The name of the provider that speaks it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    /// The provider that speaks it, at `port` of this machine.
    pub(crate) fn provider(self, port: u16) -> Provider {
        let base_url = format!("http://127.0.0.1:{port}{}", self.path());
        Provider { name: self.name(), base_url, api_key: UPSTREAM_KEY }
    }

    /// Returns the path of base URLs of this dialect.
    fn path(self) -> &'static str {
        match self {
            Self::Openai => "/v1",
            Self::Gemini => "/v1beta",
            Self::Anthropic | Self::Ollama => "",
        }
    }
}
