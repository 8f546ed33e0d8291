//! The port to keys that are given to clients while the gateway runs.

use super::StoreError;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Keeps the keys of clients: their hashes, never the keys.
///
/// Gateways that share a store read all of them when the version has changed.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait ClientKeys: Send + Sync {
    /// Keeps `key`, in place of one with the same id.
    async fn put(&self, key: &ClientKey) -> Result<(), StoreError>;

    /// Puts `new` in place of `old`, which has the same id, and the keys `added` beside it, in one step.
    /// Returns false, and changes nothing, if what is kept is no longer exactly `old`: a key that
    /// was changed or removed meanwhile stays as it is.
    async fn replace(
        &self,
        old: &ClientKey,
        new: &ClientKey,
        added: &[ClientKey],
    ) -> Result<bool, StoreError>;

    /// Forgets the key called `id`; says whether there was one.
    async fn remove(&self, id: &str) -> Result<bool, StoreError>;

    /// All keys, by id.
    async fn all(&self) -> Result<Vec<ClientKey>, StoreError>;

    /// A number that grows with every change.
    async fn version(&self) -> Result<u64, StoreError>;
}

/// A key of a client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClientKey {
    /// Its name, which is no secret.
    pub id: String,
    /// The SHA-256 of the key.
    pub hash: KeyHash,
    /// The first characters of the key, for display.
    pub hint: String,
    /// The creation time, in milliseconds since 1970.
    pub created: u64,
    /// The expiry, in milliseconds since 1970; `None` for never.
    pub expires: Option<u64>,
    /// The owner and the permissions as JSON, opaque to the store.
    pub grant: String,
}

/// The SHA-256 of a key.
///
/// Comparing two takes as long whether they differ in their first byte or in their last.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialOrd)]
#[expect(clippy::derived_hash_with_manual_eq, reason = "equal hashes are equal byte for byte")]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Creates a hash from its bytes.
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        let different =
            self.0.iter().zip(other.0).fold(0, |all, (mine, other)| all | (mine ^ other));
        std::hint::black_box(different) == 0
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    /// Writes only the first digits, which suffice to distinguish keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for KeyHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a hash has 64 digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_hash_round_trips() {
        let text = "0f".repeat(32);
        let hash = KeyHash::parse(&text).unwrap();
        assert_eq!((hash, hash.to_string()), (KeyHash::new([15; 32]), text));
        assert_ne!(hash, KeyHash::new([0; 32]));
        for wrong in ["", "0f", &"xy".repeat(32), &"+f".repeat(32), &"é".repeat(32)] {
            assert_eq!(KeyHash::parse(wrong), None, "{wrong}");
        }
    }
}
