//! Requests that were already made, in Redis.

use super::{
    RedisStore, keys, reply,
    script::{self, integer},
    tenant_usage::{CountedKind, StoredBytes},
};
use crate::{clock::millis, record::SCHEMA};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_core::state::{BeginResult, Fingerprint, IdempotencyStore, Key, Replay, StoreError};
use std::time::Duration;

#[async_trait]
impl IdempotencyStore for RedisStore {
    async fn begin(
        &self,
        key: &Key,
        fingerprint: &Fingerprint,
        token: &str,
        lease: Duration,
    ) -> Result<BeginResult, StoreError> {
        let none = StoredBytes::More(0);
        self.charge(key, CountedKind::Replay, none, Some(lease)).await?;
        let arguments = vec![
            SCHEMA.into(),
            Bytes::copy_from_slice(fingerprint).into(),
            token.into(),
            integer(millis(lease)).into(),
        ];
        let reply = self.link.call(&script::REPLAY_BEGIN, self.replay_key(key), arguments).await?;
        let (word, rest) = reply::tagged_reply(reply)?;
        let mut rest = rest.into_iter();
        match (&*word, rest.next(), rest.next(), rest.next()) {
            ("NEW", ..) => Ok(BeginResult::New),
            ("BUSY", ..) => Ok(BeginResult::InProgress),
            ("MISMATCH", ..) => Ok(BeginResult::Mismatch),
            ("DONE", Some(status), Some(content_type), Some(body)) => {
                let status = u16::try_from(reply::number(&status)?).unwrap_or_default();
                let (content_type, body) = (reply::text(&content_type)?, reply::bytes(body)?);
                Ok(BeginResult::Done(Replay { status, content_type, body }))
            }
            ("SCHEMA", Some(schema), ..) => Err(reply::newer("replay", reply::number(&schema)?)),
            _ => Err(reply::unreadable()),
        }
    }

    async fn finish(
        &self,
        key: &Key,
        token: &str,
        replay: &Replay,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        if replay.body.len() as u64 > self.link.limits.replay_bytes {
            return Err(StoreError::Invalid("the reply is too large to be stored"));
        }
        let bytes = StoredBytes::Total(replay.body.len() as u64);
        self.charge(key, CountedKind::Replay, bytes, Some(ttl)).await?;
        let arguments = vec![
            token.into(),
            integer(millis(ttl)).into(),
            i64::from(replay.status).into(),
            replay.content_type.as_str().into(),
            replay.body.clone().into(),
        ];
        let done = self.link.call(&script::REPLAY_FINISH, self.replay_key(key), arguments).await?;
        Ok(reply::number(&done)? == 1)
    }

    async fn abandon(&self, key: &Key, token: &str) -> Result<(), StoreError> {
        let keys = self.replay_key(key);
        self.link.call(&script::REPLAY_ABANDON, keys, vec![token.into()]).await?;
        self.release_charge(key, CountedKind::Replay).await;
        Ok(())
    }
}

impl RedisStore {
    fn replay_key(&self, key: &Key) -> Vec<String> {
        keys::of(&self.link.prefix, "i", key, "h")
    }
}
