//! The operations on stored responses.

use super::{
    Responses, items, not_found,
    page::ItemPageQuery,
    partial::{self, Interruption},
    record::{self, Record},
    replay,
};
use bytes::Bytes;
use futures_util::Stream;
use gateway_core::{
    ErrorKind, GatewayError, Json, Result,
    state::{Key, StoredResponse, Tenant},
};
use serde_json::json;
use std::time::Duration;
use tokio::time;

/// Maximum wait for the end of a cancelled response.
const PATIENCE: Duration = Duration::from_secs(5);

impl Responses {
    /// Returns the response `id`.
    pub async fn retrieve(&self, tenant: &Tenant, id: &str) -> Result<Json> {
        Ok(self.find_record(&key(tenant, id)?).await?.0.response)
    }

    /// Returns the events of the response `id` after `starting_after`, with a keep-alive comment
    /// after each silence of `keep_alive`.
    pub async fn replay(
        &self,
        tenant: &Tenant,
        id: &str,
        starting_after: Option<&str>,
        keep_alive: Duration,
    ) -> Result<impl Stream<Item = Bytes> + Send + use<>> {
        let key = key(tenant, id)?;
        self.find_record(&key).await?;
        let from = replay::from(starting_after)?;
        Ok(self.live(key, from, keep_alive))
    }

    /// Deletes the response `id`; a running background response is cancelled.
    pub async fn delete(&self, tenant: &Tenant, id: &str) -> Result<Json> {
        let key = key(tenant, id)?;
        self.stop(&key).await;
        if !self.store.delete(&key).await? {
            return Err(not_found());
        }
        Ok(Json::of(&json!({ "id": id, "object": "response", "deleted": true })))
    }

    /// Cancels the background response `id`.
    pub async fn cancel(&self, tenant: &Tenant, id: &str) -> Result<Json> {
        let key = key(tenant, id)?;
        let (record, in_progress) = self.find_record(&key).await?;
        if !record.background {
            let message = "only a response that is made in the background can be cancelled";
            return Err(
                GatewayError::new(ErrorKind::InvalidRequest, message).with_param("response_id")
            );
        }
        if !in_progress {
            return Ok(record.response);
        }
        if !self.stop(&key).await {
            self.end(&key, record).await?;
        }
        Ok(self.find_record(&key).await?.0.response)
    }

    /// Cancels a response that runs here; returns false if it does not.
    async fn stop(&self, key: &Key) -> bool {
        time::timeout(PATIENCE, self.running.stop(key)).await.unwrap_or(false)
    }

    /// Cancels a response that runs on another replica, or on a crashed one; the replica notices by
    /// polling.
    async fn end(&self, key: &Key, record: Record) -> Result<()> {
        let told = self.store.events(key, 0, u64::MAX).await?;
        let events = told.iter().flat_map(|told| &told.events).map(|event| &**event);
        let response = partial::response(events, Interruption::Cancelled)
            .or_else(|| partial::cancelled(&record.response))
            .unwrap_or(record.response.clone());
        let record = Record { response, ..record };
        let stored = StoredResponse::complete(record.write().into());
        Ok(self.store.put(key, &stored, self.ttl).await?)
    }

    /// Returns a page of the input items of the response `id`.
    pub async fn input_items(
        &self,
        tenant: &Tenant,
        id: &str,
        page: &ItemPageQuery<'_>,
    ) -> Result<Json> {
        let (record, _) = self.find_record(&key(tenant, id)?).await?;
        let page = page.of(record.input)?;
        let id = |item: Option<&Json>| item.and_then(items::id_of);
        Ok(Json::of(&json!({
            "object": "list",
            "data": page.items,
            "first_id": id(page.items.first()),
            "last_id": id(page.items.last()),
            "has_more": page.has_more,
        })))
    }

    async fn find_record(&self, key: &Key) -> Result<(Record, bool)> {
        self.get(key).await?.ok_or_else(not_found)
    }
}

fn key(tenant: &Tenant, id: &str) -> Result<Key> {
    if record::is_id(id) { Ok(tenant.key(id)) } else { Err(not_found()) }
}
