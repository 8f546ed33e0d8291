//! Keys that are given out while the gateway runs, as this gateway last read them.

use crate::{Client, KeyGrant, LimitAccounts};
use arc_swap::ArcSwap;
use foldhash::HashMap;
use gateway_core::state::{ClientKey, ClientKeys, KeyHash, StoreError};
use std::{fmt, mem, sync::Arc, time::Duration};
use tokio::{sync::Mutex, time};

/// The interval of checks for changed keys: a revoked key is rejected by other replicas after at
/// most this time.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// The virtual keys in the store. The default has none.
#[derive(Clone, Default)]
pub struct VirtualKeys {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    store: Arc<dyn ClientKeys>,
    accounts: LimitAccounts,
    known: ArcSwap<HashMap<KeyHash, Arc<Client>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    version: Option<u64>,
    failing: bool,
}

impl VirtualKeys {
    /// Creates the virtual keys of `store`, whose clients have their limits in `accounts`.
    pub fn new(store: Arc<dyn ClientKeys>, accounts: LimitAccounts) -> Self {
        let inner = Inner { store, accounts, known: ArcSwap::default(), state: Mutex::default() };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Looks for changes, until it is dropped.
    pub async fn run(self) {
        let mut ticks = time::interval(REFRESH_INTERVAL);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh().await;
        }
    }

    /// Reads the keys, if they have changed, and ends the requests of those that were revoked or
    /// have expired. While the store is unavailable, those last read count.
    pub async fn refresh(&self) {
        let Some(inner) = &self.inner else { return };
        inner.end_expired();
        let mut state = inner.state.lock().await;
        match inner.read(state.version).await {
            Ok(version) => {
                state.version = Some(version);
                state.failing = false;
            }
            Err(error) => {
                if !mem::replace(&mut state.failing, true) {
                    tracing::warn!(%error, "failed to read virtual keys; using the last known ones");
                }
            }
        }
    }

    /// Returns the client whose key has this hash.
    pub fn find(&self, hash: &KeyHash) -> Option<Arc<Client>> {
        self.inner.as_ref()?.known.load().get(hash).cloned()
    }

    /// Returns the store of the keys, if there is one.
    pub fn store(&self) -> Option<&Arc<dyn ClientKeys>> {
        self.inner.as_ref().map(|inner| &inner.store)
    }
}

impl Inner {
    async fn read(&self, known: Option<u64>) -> Result<u64, StoreError> {
        let version = self.store.version().await?;
        if known != Some(version) {
            let keys = self.store.all().await?;
            let before = self.known.load_full();
            let read = |key| client(key, &self.accounts, &before);
            let known: HashMap<_, _> = keys.iter().filter_map(read).collect();
            for (_, client) in before.iter().filter(|(hash, _)| !known.contains_key(*hash)) {
                client.revoke();
            }
            self.known.store(Arc::new(known));
            self.end_expired();
        }
        Ok(version)
    }

    fn end_expired(&self) {
        for client in self.known.load().values().filter(|client| !client.is_valid()) {
            client.revoke();
        }
    }
}

/// Returns the hash and the client of `key`, whose requests end with it; `None` if the stored record
/// is unreadable.
fn client(
    key: &ClientKey,
    accounts: &LimitAccounts,
    before: &HashMap<KeyHash, Arc<Client>>,
) -> Option<(KeyHash, Arc<Client>)> {
    match serde_json::from_str::<KeyGrant>(&key.grant) {
        Ok(grant) => {
            let mut client = grant.client(accounts);
            client.expires = key.expires;
            // A key that is only changed keeps its requests, unless it had ended.
            let kept = before.get(&key.hash).and_then(|it| it.revocation.clone());
            let kept = kept.filter(|it| !it.is_cancelled());
            client.revocation = Some(kept.unwrap_or_default());
            Some((key.hash, Arc::new(client)))
        }
        Err(error) => {
            tracing::warn!(key = key.id, %error, "ignoring an unreadable virtual key");
            None
        }
    }
}

impl fmt::Debug for VirtualKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("kept", &self.inner.is_some()).finish()
    }
}
