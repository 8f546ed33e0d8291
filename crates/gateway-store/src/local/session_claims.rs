//! Claims of sessions by running turns.

use crate::clock::millis;
use gateway_core::state::{ClaimResult, Key};
use gateway_core::sync;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// The claims of this process. An unreleased claim expires.
#[derive(Default)]
pub(crate) struct SessionClaims(Mutex<HashMap<Key, HeldClaim>>);

struct HeldClaim {
    token: String,
    until: u64,
}

/// From how many claims on those that ended are looked for.
const TIDY: usize = 1_024;

impl SessionClaims {
    /// Claims `key` for `token`, at `now`.
    pub(crate) fn claim(&self, now: u64, key: &Key, token: &str, lease: Duration) -> ClaimResult {
        let mut claims = self.lock();
        if let Some(held) = claims.get(key).filter(|held| held.until > now && held.token != token) {
            return ClaimResult::Held(Duration::from_millis(held.until - now));
        }
        if claims.len() >= TIDY && claims.len() == claims.capacity() {
            claims.retain(|_, held| held.until > now);
        }
        let until = now.saturating_add(millis(lease));
        claims.insert(key.clone(), HeldClaim { token: token.to_owned(), until });
        ClaimResult::Granted
    }

    /// Gives up the claim of `token`.
    pub(crate) fn release(&self, key: &Key, token: &str) {
        let mut claims = self.lock();
        if claims.get(key).is_some_and(|held| held.token == token) {
            claims.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, HeldClaim>> {
        sync::lock(&self.0)
    }
}
