//! The places of connections: no tenant has them all.

use gateway_core::sync;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// The limit on open connections.
const MAX_CONNECTIONS: usize = 4096;
/// The limit on those of one tenant.
const MAX_OF_TENANT: usize = MAX_CONNECTIONS / 2;

/// The open connections by tenant. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionPlaces(Arc<Mutex<HashMap<Arc<str>, usize>>>);

/// The place of one connection; free again when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    places: ConnectionPlaces,
    tenant: Arc<str>,
}

impl ConnectionPlaces {
    /// Takes a place for a connection of `tenant`, of which there may be `most`; `None` if none is
    /// free.
    fn take_of(&self, tenant: &Arc<str>, most: usize) -> Option<ConnectionPlace> {
        let mut taken = sync::lock(&self.0);
        if taken.values().sum::<usize>() >= MAX_CONNECTIONS {
            return None;
        }
        let own = taken.entry(Arc::clone(tenant)).or_default();
        if *own >= most {
            return None;
        }
        *own += 1;
        Some(ConnectionPlace { places: self.clone(), tenant: Arc::clone(tenant) })
    }

    /// Takes a place for a connection of `tenant`, which shares them with others if it is named by a
    /// key.
    pub(super) fn take(&self, tenant: &Arc<str>, is_anonymous: bool) -> Option<ConnectionPlace> {
        let most = if is_anonymous { MAX_CONNECTIONS } else { MAX_OF_TENANT };
        self.take_of(tenant, most)
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut taken = sync::lock(&self.places.0);
        let own = taken.get_mut(&self.tenant);
        let left = own.map_or(0, |own| {
            *own = own.saturating_sub(1);
            *own
        });
        if left == 0 {
            taken.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_free_again_when_it_is_dropped() {
        let (places, tenant) = (ConnectionPlaces::default(), Arc::from("a"));
        let one = places.take_of(&tenant, 1);
        assert!(one.is_some() && places.take_of(&tenant, 1).is_none());
        assert!(places.take_of(&Arc::from("b"), 1).is_some());
        drop(one);
        assert!(places.take_of(&tenant, 1).is_some());
        assert!(sync::lock(&places.0).is_empty());
    }

    #[test]
    fn tenant_leaves_places_for_others() {
        let (places, tenant) = (ConnectionPlaces::default(), Arc::from("a"));
        let taken: Vec<_> = std::iter::from_fn(|| places.take(&tenant, false)).collect();
        assert_eq!(taken.len(), MAX_OF_TENANT);
        let other = Arc::from("b");
        let others: Vec<_> = std::iter::from_fn(|| places.take(&other, true)).collect();
        assert_eq!(others.len(), MAX_CONNECTIONS - MAX_OF_TENANT);
    }
}
