//! How many tokens a request has, for those who need to know.

use bytes::Bytes;
use gateway_core::estimate;
use std::sync::OnceLock;

/// Roughly how many tokens a request has. They are counted when somebody asks, and once.
#[derive(Debug, Default)]
pub struct Size {
    body: Bytes,
    tokens: OnceLock<u64>,
}

impl Size {
    /// The size of a request with this body.
    pub const fn of(body: Bytes) -> Self {
        Self { body, tokens: OnceLock::new() }
    }

    /// A size that is known, of a request whose body is not kept.
    pub fn known(tokens: u64) -> Self {
        Self { body: Bytes::new(), tokens: tokens.into() }
    }

    /// How many tokens that is.
    pub fn tokens(&self) -> u64 {
        *self.tokens.get_or_init(|| estimate::tokens_of_json(&self.body))
    }

    /// Whether anybody has asked.
    #[cfg(test)]
    pub(crate) fn is_counted(&self) -> bool {
        self.tokens.get().is_some()
    }
}
