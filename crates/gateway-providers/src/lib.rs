//! Model providers: a dialect, an address and an HTTP client each.
//!
//! [`ALL`] lists the providers that are known by name. Whatever else speaks a known dialect is
//! configuration: build it from [`OPENAI_COMPATIBLE`], [`ANTHROPIC_COMPATIBLE`] or
//! [`GEMINI_COMPATIBLE`] with a base URL.
//!
//! ```no_run
//! # async fn run() -> gateway_core::Result<()> {
//! use gateway_core::{ChatRequest, ProviderRequest};
//! use gateway_providers::{Settings, build};
//!
//! let deepseek = build("deepseek", Settings::new().key("sk-..."))?;
//! let request = ChatRequest::user("deepseek-chat", "What is a gateway?");
//! let response = deepseek.generate(ProviderRequest::new(request)).await?.collect().await?;
//! println!("{}", response.text());
//! # Ok(())
//! # }
//! ```

mod account;
mod anthropic;
mod api;
mod auth;
mod cerebras;
mod compatible;
mod deepseek;
mod editable_call;
mod endpoint;
mod fake;
mod fireworks;
mod gemini;
mod groq;
mod http_provider;
mod inference;
mod large_body;
mod learned_refusals;
mod llamacpp;
mod marking_reader;
mod mistral;
mod model_rules;
mod ollama;
mod openai;
mod openrouter;
mod outbound_request;
mod passing_edits;
mod passing_response;
mod perplexity;
mod prepared_call;
mod provider_address;
mod registry;
mod relay;
mod reset;
mod response_stream;
mod retry_after;
mod services;
mod together;
mod upstream_reply;
mod xai;

pub use self::{
    auth::Auth,
    compatible::{ANTHROPIC_COMPATIBLE, GEMINI_COMPATIBLE, OPENAI_COMPATIBLE},
    fake::Fake,
    http_provider::HttpProvider,
    inference::ContextServiceRoute,
    large_body::process_body,
    registry::{Credential, Descriptor, Settings, build, find},
    retry_after::of as retry_after,
};

// Part of the settings of a provider.
pub use gateway_net::client::{ClientSettings, HttpClient};

/// The providers that are known by name, in the order of the documentation's table.
pub const ALL: &[Descriptor] = &[
    anthropic::DESCRIPTOR,
    openai::DESCRIPTOR,
    gemini::DESCRIPTOR,
    deepseek::DESCRIPTOR,
    openrouter::DESCRIPTOR,
    ollama::DESCRIPTOR,
    llamacpp::DESCRIPTOR,
    inference::DESCRIPTOR,
    groq::DESCRIPTOR,
    mistral::DESCRIPTOR,
    xai::DESCRIPTOR,
    perplexity::DESCRIPTOR,
    together::DESCRIPTOR,
    fireworks::DESCRIPTOR,
    cerebras::DESCRIPTOR,
    fake::DESCRIPTOR,
];
