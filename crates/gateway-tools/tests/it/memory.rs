//! A store of calls that forgets nothing.

use async_trait::async_trait;
use gateway_core::state::{BeginResult, Fingerprint, IdempotencyStore, Key, Replay, StoreError};
use std::{collections::HashMap, sync::Mutex, time::Duration};

/// The recorded calls; only a token while one is in progress.
#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<Key, (String, Option<Replay>)>>);

#[async_trait]
impl IdempotencyStore for Memory {
    async fn begin(
        &self,
        key: &Key,
        _: &Fingerprint,
        token: &str,
        _: Duration,
    ) -> Result<BeginResult, StoreError> {
        let mut calls = self.0.lock().unwrap();
        Ok(match calls.get(key) {
            Some((_, Some(replay))) => BeginResult::Done(replay.clone()),
            Some((_, None)) => BeginResult::InProgress,
            None => {
                calls.insert(key.clone(), (token.to_owned(), None));
                BeginResult::New
            }
        })
    }

    async fn finish(
        &self,
        key: &Key,
        token: &str,
        replay: &Replay,
        _: Duration,
    ) -> Result<bool, StoreError> {
        let mut calls = self.0.lock().unwrap();
        let ours = calls.get_mut(key).filter(|(owner, _)| owner == token);
        Ok(ours.map(|call| call.1 = Some(replay.clone())).is_some())
    }

    async fn abandon(&self, key: &Key, token: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().retain(|known, (owner, _)| known != key || owner != token);
        Ok(())
    }
}

/// A store that is not there.
pub(crate) struct UnavailableStore;

#[async_trait]
impl IdempotencyStore for UnavailableStore {
    async fn begin(
        &self,
        _: &Key,
        _: &Fingerprint,
        _: &str,
        _: Duration,
    ) -> Result<BeginResult, StoreError> {
        Err(StoreError::Busy)
    }

    async fn finish(&self, _: &Key, _: &str, _: &Replay, _: Duration) -> Result<bool, StoreError> {
        Err(StoreError::Busy)
    }

    async fn abandon(&self, _: &Key, _: &str) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
}
