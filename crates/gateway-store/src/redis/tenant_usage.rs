//! The state of each tenant in Redis: charged before it is written, released when it is deleted or
//! has expired. What is charged and then not written counts until it expires.

use super::{
    RedisStore, keys, reply,
    script::{self, integer},
};
use crate::clock::millis;
use gateway_core::state::{Key, StorageQuota, StoreError};
use std::time::Duration;

/// The kind of a thing that counts, by the letter that its name begins with.
#[derive(Clone, Copy, Debug)]
pub(super) enum CountedKind {
    Session,
    Response,
    Replay,
}

/// The bytes of a thing.
#[derive(Clone, Copy, Debug)]
pub(super) enum StoredBytes {
    /// In all.
    Total(u64),
    /// More than before.
    More(u64),
}

impl CountedKind {
    const fn letter(self) -> &'static str {
        match self {
            Self::Session => "s",
            Self::Response => "r",
            Self::Replay => "i",
        }
    }
}

impl RedisStore {
    /// Charges the tenant of `key` for a thing that is to be written, and that lives for `ttl`, or
    /// as long as before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Quota`] if the tenant would keep more than it may.
    pub(super) async fn charge(
        &self,
        key: &Key,
        kind: CountedKind,
        bytes: StoredBytes,
        ttl: Option<Duration>,
    ) -> Result<(), StoreError> {
        let limits = &self.link.limits.tenant;
        let (most, quota) = match kind {
            CountedKind::Session => (limits.sessions, StorageQuota::Sessions),
            CountedKind::Response => (limits.responses, StorageQuota::Responses),
            CountedKind::Replay => (limits.replays, StorageQuota::Replays),
        };
        let (mode, bytes) = match bytes {
            StoredBytes::Total(bytes) => ("set", bytes),
            StoredBytes::More(bytes) => ("add", bytes),
        };
        let arguments = vec![
            usage_name(key, kind).into(),
            kind.letter().into(),
            mode.into(),
            integer(bytes).into(),
            ttl.map_or(-1, |ttl| integer(millis(ttl))).into(),
            integer(limits.bytes).into(),
            integer(most).into(),
        ];
        let reply = self.link.call(&script::TENANT_CHARGE, self.usage_keys(key), arguments).await?;
        match &*reply::tagged_reply(reply)?.0 {
            "OK" => Ok(()),
            "COUNT" => Err(StoreError::Quota(quota)),
            "BYTES" => Err(StoreError::Quota(StorageQuota::Bytes)),
            _ => Err(reply::unreadable()),
        }
    }

    /// Releases what the tenant of `key` was charged for a thing that is gone. If that fails, it
    /// counts until it would have expired.
    pub(super) async fn release_charge(&self, key: &Key, kind: CountedKind) {
        let arguments = vec![usage_name(key, kind).into()];
        drop(self.link.call(&script::TENANT_RELEASE, self.usage_keys(key), arguments).await);
    }

    fn usage_keys(&self, key: &Key) -> Vec<String> {
        let beginning = keys::of_tenant(&self.link.prefix, "q", key.tenant());
        ["z", "h"].map(|letter| format!("{beginning}{letter}")).to_vec()
    }
}

fn usage_name(key: &Key, kind: CountedKind) -> String {
    format!("{}:{}", kind.letter(), key.id())
}
