//! The port of sessions, over an engine.

use super::{Durable, KvEngine, KvStore, session, session_change, session_claim};
use crate::record;
use async_trait::async_trait;
use gateway_core::state::{
    ClaimResult, Key, MessageRange, NewSession, Session, SessionFork, SessionPage,
    SessionPageQuery, SessionPatch, SessionSnapshot, SessionStore, SessionTurn, StoreError, Tenant,
    WriteOutcome,
};
use std::time::Duration;

#[async_trait]
impl<E: KvEngine> SessionStore for KvStore<E> {
    async fn create(&self, key: &Key, new: &NewSession) -> Result<Session, StoreError> {
        let (key, new) = (key.clone(), new.clone());
        self.write(Durable::Safe, move |txn, limits| session_change::create(txn, limits, &key, new))
            .await
    }

    async fn load(
        &self,
        key: &Key,
        slice: MessageRange,
    ) -> Result<Option<SessionSnapshot>, StoreError> {
        let key = key.clone();
        self.read(move |view, now| session::load(view, now, &key, slice)).await
    }

    async fn append(&self, key: &Key, turn: &SessionTurn) -> Result<WriteOutcome, StoreError> {
        let payloads = record::encode_turn(turn)?;
        // The messages are in the payloads; what is left is small.
        let turn = SessionTurn { messages: Vec::new(), ..turn.clone() };
        let key = key.clone();
        self.write(Durable::Safe, move |txn, limits| {
            session_change::append(txn, limits, &key, &turn, &payloads)
        })
        .await
    }

    async fn patch(
        &self,
        key: &Key,
        patch: &SessionPatch,
        expected: Option<u64>,
    ) -> Result<WriteOutcome, StoreError> {
        let (key, patch) = (key.clone(), patch.clone());
        self.write(Durable::Safe, move |txn, limits| {
            session_change::patch(txn, limits, &key, &patch, expected)
        })
        .await
    }

    async fn touch(&self, key: &Key, ttl: Duration) -> Result<WriteOutcome, StoreError> {
        let key = key.clone();
        self.write(Durable::Safe, move |txn, _| session_change::touch(txn, &key, ttl)).await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(Durable::Safe, move |txn, _| session_change::delete(txn, &key)).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        page: &SessionPageQuery,
    ) -> Result<SessionPage, StoreError> {
        let (tenant, page) = (tenant.clone(), page.clone());
        self.read(move |view, now| session::list(view, now, &tenant, &page)).await
    }

    async fn fork(
        &self,
        from: &Key,
        to: &str,
        fork: &SessionFork,
    ) -> Result<Option<Session>, StoreError> {
        let (from, to, fork) = (from.clone(), to.to_owned(), *fork);
        self.write(Durable::Safe, move |txn, _| session_change::fork(txn, &from, &to, fork)).await
    }

    async fn claim(
        &self,
        key: &Key,
        token: &str,
        lease: Duration,
    ) -> Result<ClaimResult, StoreError> {
        let owned = key.clone();
        if E::IS_SHARED {
            let token = token.to_owned();
            return self
                .write(Durable::Visible, move |txn, _| {
                    session_claim::claim(txn, &owned, &token, lease)
                })
                .await;
        }
        if !self.read(move |view, now| session::exists(view, now, &owned)).await? {
            return Ok(ClaimResult::Gone);
        }
        Ok(self.claims().claim(self.clock().now(), key, token, lease))
    }

    async fn release(&self, key: &Key, token: &str) -> Result<(), StoreError> {
        if E::IS_SHARED {
            let (key, token) = (key.clone(), token.to_owned());
            return self
                .write(Durable::Visible, move |txn, _| session_claim::release(txn, &key, &token))
                .await;
        }
        self.claims().release(key, token);
        Ok(())
    }
}
