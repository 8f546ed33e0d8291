//! Callers' own keys for providers.

use std::{fmt, sync::Arc};

/// The longest key that is taken.
const MAX_LENGTH: usize = 4096;

/// A caller's own key for a provider, which replaces the gateway's credential in one request. It is
/// never stored, and never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct ProviderKey(Arc<str>);

impl ProviderKey {
    /// Reads a key: visible ASCII characters, and at most 4096 of them.
    ///
    /// ```
    /// use gateway_core::ProviderKey;
    ///
    /// let key = ProviderKey::parse(b"sk-own").unwrap();
    /// assert_eq!(key.expose(), "sk-own");
    /// assert!(!format!("{key:?}").contains("sk-own"));
    /// assert!(ProviderKey::parse(b"").is_none() && ProviderKey::parse(b"sk own").is_none());
    /// ```
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let fits = (1..=MAX_LENGTH).contains(&bytes.len());
        let text = std::str::from_utf8(bytes).ok().filter(|_| fits)?;
        text.bytes().all(|byte| byte.is_ascii_graphic()).then(|| Self(text.into()))
    }

    /// Returns the key, to be sent to its provider and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderKey(redacted)")
    }
}
