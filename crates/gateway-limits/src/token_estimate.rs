//! The estimated number of tokens of a request.

use bytes::Bytes;
use gateway_core::estimate;
use std::sync::OnceLock;

/// Maximum size of a body that may be held for the duration of its response, in bytes.
const SMALL: usize = 16 << 10;

/// An estimate of the tokens of a request, computed on first use and cached.
#[derive(Debug, Default)]
pub struct TokenEstimate {
    body: Bytes,
    tokens: OnceLock<u64>,
}

impl TokenEstimate {
    /// The size of a request with this body.
    pub const fn of(body: Bytes) -> Self {
        Self { body, tokens: OnceLock::new() }
    }

    /// Creates an estimate of known size, for a request whose body is not held.
    pub fn known(tokens: u64) -> Self {
        Self { body: Bytes::new(), tokens: tokens.into() }
    }

    /// Returns the estimated number of tokens.
    pub fn tokens(&self) -> u64 {
        *self.tokens.get_or_init(|| estimate::tokens_of_json(&self.body))
    }

    /// Drops a large body, after counting its tokens: a response may take half an hour.
    pub fn settle(&mut self) {
        if self.body.len() > SMALL {
            self.tokens();
            self.body = Bytes::new();
        }
    }

    /// Whether the estimate was computed.
    #[cfg(test)]
    pub(crate) fn is_counted(&self) -> bool {
        self.tokens.get().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: usize, is_kept: bool) {
        let mut size = TokenEstimate::of(vec![b'a'; bytes].into());
        let tokens = TokenEstimate::of(size.body.clone()).tokens();
        size.settle();
        assert_eq!((!size.body.is_empty(), size.is_counted()), (is_kept, !is_kept), "{bytes}");
        assert_eq!(size.tokens(), tokens);
    }

    #[test]
    fn large_body_is_not_retained() {
        check(SMALL, true);
        check(SMALL + 1, false);
    }
}
