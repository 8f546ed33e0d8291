//! The stores of an engine that was built without stores: what needs one is refused.

use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::state::{
    ClaimResult, Key, MessageRange, NewSession, ResponseEvents, ResponseStore, Session,
    SessionFork, SessionPage, SessionPageQuery, SessionPatch, SessionSnapshot, SessionStore,
    SessionTurn, StoreError, StoredResponse, Tenant, WriteOutcome,
};
use std::time::Duration;

/// Stores that are not configured. Every operation fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct AbsentStores;

fn no_store<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("the engine was built without a store".into()))
}

#[async_trait]
impl SessionStore for AbsentStores {
    async fn create(&self, _: &Key, _: &NewSession) -> Result<Session, StoreError> {
        no_store()
    }

    async fn load(&self, _: &Key, _: MessageRange) -> Result<Option<SessionSnapshot>, StoreError> {
        no_store()
    }

    async fn append(&self, _: &Key, _: &SessionTurn) -> Result<WriteOutcome, StoreError> {
        no_store()
    }

    async fn patch(
        &self,
        _: &Key,
        _: &SessionPatch,
        _: Option<u64>,
    ) -> Result<WriteOutcome, StoreError> {
        no_store()
    }

    async fn touch(&self, _: &Key, _: Duration) -> Result<WriteOutcome, StoreError> {
        no_store()
    }

    async fn delete(&self, _: &Key) -> Result<bool, StoreError> {
        no_store()
    }

    async fn list(&self, _: &Tenant, _: &SessionPageQuery) -> Result<SessionPage, StoreError> {
        no_store()
    }

    async fn fork(&self, _: &Key, _: &str, _: &SessionFork) -> Result<Option<Session>, StoreError> {
        no_store()
    }

    async fn claim(&self, _: &Key, _: &str, _: Duration) -> Result<ClaimResult, StoreError> {
        no_store()
    }

    async fn release(&self, _: &Key, _: &str) -> Result<(), StoreError> {
        no_store()
    }
}

#[async_trait]
impl ResponseStore for AbsentStores {
    async fn put(&self, _: &Key, _: &StoredResponse, _: Duration) -> Result<(), StoreError> {
        no_store()
    }

    async fn get(&self, _: &Key) -> Result<Option<StoredResponse>, StoreError> {
        no_store()
    }

    async fn renew(&self, _: &Key, _: Duration) -> Result<bool, StoreError> {
        no_store()
    }

    async fn end_abandoned(
        &self,
        _: &Key,
        _: &StoredResponse,
        _: Duration,
    ) -> Result<bool, StoreError> {
        no_store()
    }

    async fn delete(&self, _: &Key) -> Result<bool, StoreError> {
        no_store()
    }

    async fn append(&self, _: &Key, _: u64, _: &[Bytes]) -> Result<WriteOutcome, StoreError> {
        no_store()
    }

    async fn events(&self, _: &Key, _: u64, _: u64) -> Result<Option<ResponseEvents>, StoreError> {
        no_store()
    }
}
