//! Conversations in the store.

use super::{
    change::{ConversationChange, ConversationHead},
    full, key, not_found,
};
use crate::responses::items;
use bytes::Bytes;
use gateway_core::{
    ErrorKind, GatewayError, Json, Result,
    state::{Key, ResponseStore, StoreError, StoredResponse, Tenant, WriteOutcome},
};
use serde_json::json;
use std::{fmt, sync::Arc, time::Duration};
use uuid::Uuid;

/// Maximum number of attempts to append a change behind concurrent ones.
const ATTEMPTS: u32 = 64;
/// More changes than any conversation has.
const BEYOND: u64 = 1 << 32;
/// The size above which a conversation is full, so that the store has room for the last response.
const MAX_BYTES: usize = 7 << 20;

/// The state of a conversation after all or some of its changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConversationState {
    id: String,
    created_at: u64,
    metadata: Json,
    items: Vec<Json>,
    /// The number of changes.
    changes: u64,
    /// The size of the items in the store, in bytes.
    bytes: usize,
}

/// The store of conversations, with their lifetime.
#[derive(Clone)]
pub struct Conversations {
    store: Arc<dyn ResponseStore>,
    ttl: Duration,
}

impl Conversations {
    /// Creates a store of conversations over `store`; new ones live for `ttl`.
    pub(crate) fn new(store: Arc<dyn ResponseStore>, ttl: Duration) -> Self {
        Self { store, ttl }
    }

    /// The conversation `id`, after its first `changes`, or all of them.
    pub(crate) async fn load(
        &self,
        tenant: &Tenant,
        id: &str,
        changes: Option<u64>,
    ) -> Result<Option<ConversationState>, StoreError> {
        let Some(key) = key(tenant, id) else { return Ok(None) };
        let Some(head) = self.store.get(&key).await? else { return Ok(None) };
        let Some(found) = self.store.events(&key, 0, changes.unwrap_or(BEYOND)).await? else {
            return Ok(None);
        };
        let created_at = ConversationHead::read(&head.body)?.created_at;
        let mut kept = ConversationState {
            id: id.to_owned(),
            created_at,
            metadata: Json::of(&json!({})),
            items: Vec::new(),
            changes: 0,
            bytes: 0,
        };
        for change in &found.events {
            kept.bytes += change.len();
            kept.apply(ConversationChange::read(change)?);
        }
        Ok(Some(kept))
    }

    /// Appends the input and output of a turn to the conversation `id`, in one step.
    ///
    /// # Errors
    ///
    /// If the conversation is deleted or full, or the store is unavailable.
    pub(crate) async fn add_turn(&self, tenant: &Tenant, id: &str, items: Vec<Json>) -> Result<()> {
        self.change(tenant, id, ConversationChange { items, ..change() }).await
    }

    /// Adds `change` to the conversation `id`.
    pub(super) async fn change(
        &self,
        tenant: &Tenant,
        id: &str,
        change: ConversationChange,
    ) -> Result<()> {
        append(&*self.store, &key(tenant, id).ok_or_else(not_found)?, &change).await
    }

    /// Begins a conversation with `first`.
    pub(super) async fn create(
        &self,
        tenant: &Tenant,
        created_at: u64,
        first: ConversationChange,
    ) -> Result<ConversationState> {
        let id = format!("conv_{}", Uuid::new_v4().simple());
        let key = key(tenant, &id).ok_or_else(not_found)?;
        let body = ConversationHead::new(created_at).write().into();
        // It stays open: whatever is done adds to it.
        let head = StoredResponse { body, in_progress: true, lease: None };
        self.store.put(&key, &head, self.ttl).await?;
        append(&*self.store, &key, &first).await?;
        self.load(tenant, &id, None).await?.ok_or_else(not_found)
    }

    /// Deletes the conversation `id`; returns whether it existed.
    pub(super) async fn delete(&self, tenant: &Tenant, id: &str) -> Result<bool> {
        let key = key(tenant, id).ok_or_else(not_found)?;
        Ok(self.store.delete(&key).await?)
    }
}

/// A change that changes nothing yet.
pub(super) fn change() -> ConversationChange {
    ConversationChange::new(Uuid::new_v4().simple().to_string())
}

/// Adds `change` behind all others.
async fn append(store: &dyn ResponseStore, key: &Key, change: &ConversationChange) -> Result<()> {
    let change = Bytes::from(change.write());
    // Where the end is, the store says when it is asked for a place behind it.
    let mut at = BEYOND;
    for _ in 0..ATTEMPTS {
        match store.append(key, at, std::slice::from_ref(&change)).await? {
            WriteOutcome::Done(_) => return Ok(()),
            WriteOutcome::Conflict(changes) => at = changes,
            WriteOutcome::Duplicate(changes) => {
                // A store that repeats a write by itself finds its own.
                let there = store.events(key, at, BEYOND).await?.ok_or_else(not_found)?;
                if there.events.contains(&change) {
                    return Ok(());
                }
                at = changes;
            }
            WriteOutcome::Full => return Err(full()),
            WriteOutcome::Gone => return Err(not_found()),
        }
    }
    Err(GatewayError::new(ErrorKind::Conflict, "too much is added to the conversation at once")
        .with_code("conversation_locked")
        .with_param("conversation"))
}

impl fmt::Debug for Conversations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversations").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl ConversationState {
    fn apply(&mut self, change: ConversationChange) {
        self.items.extend(change.items);
        if let Some(gone) = change.deleted {
            self.items.retain(|item| items::id_of(item).as_ref() != Some(&gone));
        }
        if let Some(metadata) = change.metadata {
            self.metadata = metadata;
        }
        self.changes += 1;
    }

    /// Its items, oldest first.
    pub(super) fn items(&self) -> &[Json] {
        &self.items
    }

    /// Its items as those of an input.
    pub(crate) fn input(&self) -> Vec<Json> {
        self.items.iter().filter_map(items::of_output).collect()
    }

    /// Checks that there is room for a turn with an input of `asked` bytes, as far as that is known
    /// before its response.
    ///
    /// # Errors
    ///
    /// `conversation_full` if there is none.
    pub(crate) fn check_room(&self, asked: usize) -> Result<()> {
        if self.bytes.saturating_add(asked) <= MAX_BYTES { Ok(()) } else { Err(full()) }
    }

    /// Returns the number of changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Returns the conversation object of the API; items have an endpoint of their own.
    pub(super) fn object(&self) -> Json {
        Json::of(&json!({
            "id": self.id,
            "object": "conversation",
            "created_at": self.created_at,
            "metadata": self.metadata,
        }))
    }
}
