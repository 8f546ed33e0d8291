//! The stored form of a conversation: its head, and the changes since.

use gateway_core::{Json, state::StoreError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::borrow::Cow;

/// The version of the stored format. Newer ones are rejected.
const SCHEMA: u32 = 1;

/// The initial state of a conversation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct ConversationHead {
    v: u32,
    /// The creation time, in seconds since 1970.
    pub(super) created_at: u64,
}

/// A change of a conversation.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct ConversationChange {
    pub(super) v: u32,
    /// Unlike that of any other change, so that one which is there already is recognised.
    pub(super) name: String,
    /// Items that were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) items: Vec<Json>,
    /// An item that was taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<String>,
    /// The new metadata, replacing the old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Json>,
}

impl ConversationHead {
    pub(super) fn new(created_at: u64) -> Self {
        Self { v: SCHEMA, created_at }
    }

    pub(super) fn read(json: &[u8]) -> Result<Self, StoreError> {
        let head: Self = read(json)?;
        check(head.v)?;
        Ok(head)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        write(self)
    }
}

impl ConversationChange {
    /// Nothing, so far, under a name that is unlike any other.
    pub(super) fn new(name: String) -> Self {
        Self { v: SCHEMA, name, items: Vec::new(), deleted: None, metadata: None }
    }

    pub(super) fn read(json: &[u8]) -> Result<Self, StoreError> {
        let change: Self = read(json)?;
        check(change.v)?;
        Ok(change)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        write(self)
    }
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(json).map_err(|error| corrupt(error.to_string()))
}

/// Serializes `value`, which holds only text and lists and so cannot fail.
fn write(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn check(schema: u32) -> Result<(), StoreError> {
    if schema <= SCHEMA { Ok(()) } else { Err(corrupt("a newer version wrote it")) }
}

fn corrupt(why: impl Into<Cow<'static, str>>) -> StoreError {
    StoreError::corrupt("conversation", why)
}
