//! The operations of the conversations endpoints, for one tenant.

use super::{
    change::ConversationChange,
    command::ConversationCommand,
    not_found,
    store::{self, ConversationState, Conversations},
};
use crate::responses::{ItemPageQuery, items};
use gateway_core::{ErrorKind, GatewayError, Json, Result, state::Tenant};
use serde_json::json;

/// The operations on one tenant's conversations.
#[derive(Clone, Debug)]
pub struct ConversationHandler {
    conversations: Conversations,
    tenant: Tenant,
}

impl ConversationHandler {
    /// The conversations of `tenant`.
    pub fn new(conversations: Conversations, tenant: Tenant) -> Self {
        Self { conversations, tenant }
    }

    /// Begins a conversation at the time `now`, in seconds since 1970.
    pub async fn create(&self, wish: ConversationCommand, now: u64) -> Result<Json> {
        let first = ConversationChange {
            items: wish.items()?,
            metadata: wish.metadata()?,
            ..store::change()
        };
        Ok(self.conversations.create(&self.tenant, now, first).await?.object())
    }

    /// The conversation `id`, without its items.
    pub async fn show(&self, id: &str) -> Result<Json> {
        Ok(self.get(id).await?.object())
    }

    async fn get(&self, id: &str) -> Result<ConversationState> {
        self.conversations.load(&self.tenant, id, None).await?.ok_or_else(not_found)
    }

    /// Replaces the metadata of the conversation `id`.
    pub async fn update(&self, id: &str, wish: ConversationCommand) -> Result<Json> {
        let metadata = wish.metadata()?;
        let metadata = metadata.or_else(|| Json::parse("{}").ok());
        self.change(id, ConversationChange { metadata, ..store::change() }).await?;
        self.show(id).await
    }

    /// Deletes the conversation `id`.
    pub async fn delete(&self, id: &str) -> Result<Json> {
        if !self.conversations.delete(&self.tenant, id).await? {
            return Err(not_found());
        }
        let deleted = json!({ "id": id, "object": "conversation.deleted", "deleted": true });
        Ok(Json::of(&deleted))
    }

    /// Appends items to the conversation `id`.
    pub async fn add(&self, id: &str, wish: ConversationCommand) -> Result<Json> {
        let items = wish.items()?;
        if items.is_empty() {
            return Err(GatewayError::invalid("items", "items is a list of at least one item"));
        }
        self.change(id, ConversationChange { items: items.clone(), ..store::change() }).await?;
        Ok(list(&items, false))
    }

    /// A page of the items.
    pub async fn list(&self, id: &str, page: &ItemPageQuery<'_>) -> Result<Json> {
        let found = page.of(self.get(id).await?.items().to_vec())?;
        Ok(list(&found.items, found.has_more))
    }

    /// Returns one item of the conversation `id`.
    pub async fn item(&self, id: &str, item: &str) -> Result<Json> {
        let kept = self.get(id).await?;
        let is_it = |it: &&Json| items::id_of(it).is_some_and(|name| name == item);
        kept.items().iter().find(is_it).cloned().ok_or_else(no_item)
    }

    /// Takes an item out.
    pub async fn take_out(&self, id: &str, item: &str) -> Result<Json> {
        self.item(id, item).await?;
        self.change(id, ConversationChange { deleted: Some(item.to_owned()), ..store::change() })
            .await?;
        self.show(id).await
    }

    async fn change(&self, id: &str, change: ConversationChange) -> Result<()> {
        self.conversations.change(&self.tenant, id, change).await
    }
}

fn no_item() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "there is no such item in the conversation")
        .with_param("item_id")
}

fn list(items: &[Json], has_more: bool) -> Json {
    let id = |item: Option<&Json>| item.and_then(items::id_of);
    Json::of(&json!({
        "object": "list",
        "data": items,
        "first_id": id(items.first()),
        "last_id": id(items.last()),
        "has_more": has_more,
    }))
}
