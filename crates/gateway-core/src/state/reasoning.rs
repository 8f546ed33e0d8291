//! The reasoning store: signed reasoning that a dialect cannot carry.

use super::{Key, StoreError};
use crate::{Reasoning, Seal};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Stores the reasoning that led to a tool call, by the call's id.
///
/// A caller that speaks Chat Completions cannot send a seal back; the provider that issued it wants
/// it with the tool's result. Bounded for each tenant: the oldest entries go first.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait ReasoningStore: Send + Sync {
    /// Stores `aside` for `ttl`.
    async fn put(
        &self,
        key: &Key,
        aside: &StoredReasoning,
        ttl: Duration,
    ) -> Result<(), StoreError>;

    /// Returns the stored reasoning of each key, in order.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<StoredReasoning>>, StoreError>;
}

/// The reasoning that preceded a tool call.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct StoredReasoning {
    /// The thinking before the call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasoning: Vec<Reasoning>,
    /// The proof of the call itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}
