//! Keys of clients: made, shown, changed, replaced, revoked.
//!
//! A change is made to the key as it was read, in one step with what depends on it: if it was
//! changed or revoked meanwhile, it is read again. So a revoked key never comes back, and no
//! successor of it is ever valid.

use super::{
    AdminApi,
    audit::AuditRecord,
    bodies::{self, expiry},
    missing,
};
use crate::reply;
use gateway_core::{
    ErrorKind, GatewayError, Result,
    state::{ClientKey, ClientKeys, KeyHash, StoreError},
    time::millis,
};
use gateway_limits::KeyGrant;
use gateway_tasks::unix_time;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{slice, sync::Arc};
use uuid::Uuid;

/// Maximum number of attempts to change a key that others change at the same time.
const MAX_TRIES: usize = 20;

impl AdminApi {
    pub(super) async fn list(&self) -> Result<Response<reply::Body>> {
        let keys = self.store()?.all().await.map_err(unavailable)?;
        let keys: Vec<_> = keys.iter().map(key_json).collect();
        Ok(reply::json(StatusCode::OK, &json!({ "object": "list", "data": keys })))
    }

    pub(super) async fn show(&self, id: &str) -> Result<Response<reply::Body>> {
        Ok(reply::json(StatusCode::OK, &key_json(&self.key(id).await?)))
    }

    pub(super) async fn create(
        &self,
        body: &[u8],
        record: &mut AuditRecord,
    ) -> Result<Response<reply::Body>> {
        let request = bodies::read_key(body)?;
        record.client(&request.grant.client);
        self.check_client(&request.grant).await?;
        let (key, secret) = new_key(&request.grant, expiry(request.expires_in_seconds)?);
        self.store()?.put(&key).await.map_err(unavailable)?;
        self.refresh().await;
        record.created(&key.id);
        Ok(reply::json(StatusCode::CREATED, &shown_once(&key, &secret)))
    }

    /// Changes what a key allows, and when it ends.
    pub(super) async fn update(
        &self,
        id: &str,
        body: &[u8],
        record: &mut AuditRecord,
    ) -> Result<Response<reply::Body>> {
        for _ in 0..MAX_TRIES {
            let old = self.key(id).await?;
            let change = bodies::read_change(body, &grant(&old)?, old.expires)?;
            let new = ClientKey {
                expires: change.expires,
                grant: serde_json::to_string(&change.grant).unwrap_or_default(),
                ..old.clone()
            };
            if self.replace(&old, &new, &[]).await? {
                record.client(&change.grant.client);
                record.changed(change.members);
                return Ok(reply::json(StatusCode::OK, &key_json(&new)));
            }
        }
        Err(contended())
    }

    /// Makes a key in place of another, which is valid for a while yet. The new one allows what the
    /// old one does, and ends no later.
    pub(super) async fn rotate(
        &self,
        id: &str,
        body: &[u8],
        record: &mut AuditRecord,
    ) -> Result<Response<reply::Body>> {
        let rotation = bodies::read_rotation(body)?;
        let asked = expiry(rotation.expires_in_seconds)?;
        for _ in 0..MAX_TRIES {
            let old = self.key(id).await?;
            let grant = grant(&old)?;
            let (new, secret) = new_key(&grant, earlier(old.expires, asked));
            let end = expiry(Some(rotation.overlap_seconds))?;
            let ending = ClientKey { expires: earlier(old.expires, end), ..old.clone() };
            if self.replace(&old, &ending, slice::from_ref(&new)).await? {
                record.client(&grant.client);
                record.created(&new.id);
                return Ok(reply::json(StatusCode::CREATED, &shown_once(&new, &secret)));
            }
        }
        Err(contended())
    }

    pub(super) async fn revoke(&self, id: &str) -> Result<Response<reply::Body>> {
        if !self.store()?.remove(id).await.map_err(unavailable)? {
            return Err(missing());
        }
        self.refresh().await;
        Ok(reply::json(StatusCode::OK, &json!({ "id": id, "object": "key", "deleted": true })))
    }

    /// Refuses the name of a client that is another's: its usage and its limits go by its name.
    async fn check_client(&self, grant: &KeyGrant) -> Result<()> {
        let keys = self.store()?.all().await.map_err(unavailable)?;
        let tenant = grant.tenant();
        let is_anothers = |key: &ClientKey| {
            let known: Option<KeyGrant> = serde_json::from_str(&key.grant).ok();
            known.is_some_and(|it| it.client == grant.client && it.tenant() != tenant)
        };
        if self.service.access.has_client(&grant.client) || keys.iter().any(is_anothers) {
            let message = "the name belongs to another client: choose another";
            return Err(GatewayError::new(ErrorKind::Conflict, message)
                .with_code("client_name_taken")
                .with_param("client"));
        }
        Ok(())
    }

    async fn key(&self, id: &str) -> Result<ClientKey> {
        let keys = self.store()?.all().await.map_err(unavailable)?;
        keys.into_iter().find(|key| key.id == id).ok_or_else(missing)
    }

    /// Puts `new` in place of `old`, with `added`; false if it has changed meanwhile.
    async fn replace(&self, old: &ClientKey, new: &ClientKey, added: &[ClientKey]) -> Result<bool> {
        let is_replaced = self.store()?.replace(old, new, added).await.map_err(unavailable)?;
        if is_replaced {
            self.refresh().await;
        }
        Ok(is_replaced)
    }

    /// Makes a change count here at once.
    async fn refresh(&self) {
        self.service.engine.limits.virtual_keys.refresh().await;
    }

    fn store(&self) -> Result<&Arc<dyn ClientKeys>> {
        let keys = &self.service.engine.limits.virtual_keys;
        keys.store().ok_or_else(|| {
            GatewayError::new(ErrorKind::Unavailable, "there is no store for virtual keys")
        })
    }
}

/// A key for the client that `grant` describes, and its secret.
fn new_key(grant: &KeyGrant, expires: Option<u64>) -> (ClientKey, String) {
    let random = || Uuid::new_v4().simple();
    let secret = format!("sk-gw-{}{}", random(), random());
    let key = ClientKey {
        id: format!("key_{}", random()),
        hash: KeyHash::new(Sha256::digest(&secret).into()),
        hint: secret.chars().take(10).collect(),
        created: millis(unix_time()),
        expires,
        grant: serde_json::to_string(grant).unwrap_or_default(),
    };
    (key, secret)
}

/// The earlier of two ends; absent is never.
fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (end, None) | (None, end) => end,
    }
}

fn grant(key: &ClientKey) -> Result<KeyGrant> {
    serde_json::from_str(&key.grant).map_err(|error| {
        GatewayError::new(ErrorKind::Internal, "the stored key is unreadable").with_source(error)
    })
}

/// A key as operators see it: never the key, and not its hash.
fn key_json(key: &ClientKey) -> Value {
    let mut shown = json!({
        "object": "key",
        "id": key.id,
        "hint": format!("{}...", key.hint),
        "created_at": key.created / 1_000,
        "expires_at": key.expires.map(|at| at / 1_000),
        "expired": key.expires.is_some_and(|at| at <= millis(unix_time())),
    });
    if let (Value::Object(shown), Ok(Value::Object(grant))) =
        (&mut shown, serde_json::from_str(&key.grant))
    {
        shown.extend(grant);
    }
    shown
}

/// A new key: the only time that its secret is shown.
fn shown_once(key: &ClientKey, secret: &str) -> Value {
    let mut shown = key_json(key);
    if let Value::Object(shown) = &mut shown {
        shown.insert("key".to_owned(), secret.into());
    }
    shown
}

fn contended() -> GatewayError {
    GatewayError::new(ErrorKind::Conflict, "the key is being changed by others: try again")
}

fn unavailable(error: StoreError) -> GatewayError {
    GatewayError::new(ErrorKind::Unavailable, "the key store is unavailable")
        .with_code(error.code())
        .with_source(error)
}
