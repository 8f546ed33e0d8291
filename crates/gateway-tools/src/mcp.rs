//! Tools of servers that speak the Model Context Protocol, over HTTP; and their prompts and
//! resources, for clients of that protocol.
//!
//! Each call stands alone: it bears the trace and the name of its own request, nothing of one
//! client's calls is left for another's, and dropping it ends it. While it runs, its server may ask
//! the client of the call. What a server answers is passed on
//! as it was written, numbers included. No process is ever started.

mod catalogue;
mod connection;
mod endpoint;
mod event_reader;
mod exchange;
mod handshake;
mod input_rounds;
mod listener;
mod message;
mod oauth;
mod result;
mod server;
mod settings;
mod stream_exchange;
mod tool;

pub use self::{
    oauth::{ClientCredential, OAuthSettings, OAuthSettingsError, SigningKey},
    server::McpServer,
    settings::McpSettings,
};
