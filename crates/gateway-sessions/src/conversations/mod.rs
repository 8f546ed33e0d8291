//! Conversations of the Responses API: items under an id, to which every response appends.
//!
//! ```text
//! POST /v1/responses { conversation }  -- items --> the upstream
//!         \--------- input and output
//!                        |
//! /v1/conversations/{id}, .../items  ----- ResponseStore: a head, and changes
//! ```
//!
//! A conversation is an immutable head and a list of changes, each appended atomically: concurrent
//! turns are appended one after the other, and none is lost.

mod change;
mod command;
mod handler;
mod store;

pub use self::{command::ConversationCommand, handler::ConversationHandler, store::Conversations};

use gateway_core::{
    ErrorKind, GatewayError,
    state::{Key, Tenant},
};

/// Returns the key of the conversation `id`; `None` if the id is not valid.
fn key(tenant: &Tenant, id: &str) -> Option<Key> {
    let rest = id.strip_prefix("conv_")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    ((1..=128).contains(&rest.len()) && rest.bytes().all(plain)).then(|| tenant.key(id))
}

/// Returns the error for a conversation that does not exist, or belongs to another tenant.
pub fn not_found() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "there is no such conversation")
        .with_code("conversation_not_found")
        .with_param("conversation")
}

fn full() -> GatewayError {
    GatewayError::new(ErrorKind::TooLarge, "the conversation is full")
        .with_code("conversation_full")
        .with_param("conversation")
}
