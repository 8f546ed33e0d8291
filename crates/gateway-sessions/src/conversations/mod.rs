//! Conversations, as the Responses API knows them: items under a name, to which every answer adds.
//!
//! ```text
//!   POST /v1/responses { conversation }  -- items --> the upstream
//!                                \--------- what was asked and answered
//!                                                  |
//!   /v1/conversations/{id}, .../items  ----- ResponseStore: a head, and changes
//! ```
//!
//! A conversation is a head that never changes and a row of changes, each added in one step: turns
//! that end at the same time stand behind each other, and none is lost.

mod change;
mod desk;
mod kept;
mod wish;

pub use self::{desk::ConversationHandler, kept::Conversations, wish::ConversationCommand};

use gateway_core::{
    ErrorKind, GatewayError,
    state::{Key, Tenant},
};

/// The key of the conversation `id`; none if nothing can be kept under that.
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
