//! Keys that are given out while the gateway runs, as this gateway last read them.

use crate::{Client, KeyGrant, LimitAccounts, LimitPolicy};
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
    /// The limits of keys that have none of a kind.
    defaults: ArcSwap<LimitPolicy>,
    known: ArcSwap<HashMap<KeyHash, Arc<Client>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    version: Option<u64>,
    /// The default limits that the known keys were read with.
    defaults: Arc<LimitPolicy>,
    failing: bool,
}

impl VirtualKeys {
    /// Creates the virtual keys of `store`, whose clients have their limits in `accounts`.
    pub fn new(store: Arc<dyn ClientKeys>, accounts: LimitAccounts) -> Self {
        let (known, state) = (ArcSwap::default(), Mutex::default());
        let inner = Inner { store, accounts, defaults: ArcSwap::default(), known, state };
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Sets the limits of keys that have none of a kind; known keys get them with the next look at
    /// the store.
    pub fn set_defaults(&self, defaults: LimitPolicy) {
        if let Some(inner) = &self.inner
            && **inner.defaults.load() != defaults
        {
            inner.defaults.store(Arc::new(defaults));
        }
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
        let defaults = inner.defaults.load_full();
        if !Arc::ptr_eq(&state.defaults, &defaults) {
            state.version = None;
            state.defaults = defaults;
        }
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
            let defaults = self.defaults.load();
            let read = |key| client(key, (&self.accounts, &defaults), &before);
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
    (accounts, defaults): (&LimitAccounts, &LimitPolicy),
    before: &HashMap<KeyHash, Arc<Client>>,
) -> Option<(KeyHash, Arc<Client>)> {
    match serde_json::from_str::<KeyGrant>(&key.grant) {
        Ok(grant) => {
            let mut client = grant.client(accounts, defaults);
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
