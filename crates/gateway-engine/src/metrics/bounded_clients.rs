//! The names of clients as metric labels: a bounded number of them.

use foldhash::HashSet;
use gateway_core::sync;
use std::sync::{Arc, Mutex};

/// The number of clients that have series of their own.
const CLIENTS: usize = 200;

/// The labels of a refused request. Absent ones are unknown.
#[derive(Clone, Copy, Debug)]
pub struct RefusalLabels<'a> {
    /// The code of the refusal.
    pub code: &'a str,
    /// The setting of the limit.
    pub limit: Option<&'a str>,
    /// The tenant and the name of the client.
    pub client: Option<(&'a Arc<str>, &'a Arc<str>)>,
    /// The catalogued model, or `other`.
    pub model: Option<&'a str>,
}

/// The clients that have series: the first that were refused.
#[derive(Debug, Default)]
pub(super) struct BoundedClients(Mutex<HashSet<(Arc<str>, Arc<str>)>>);

impl BoundedClients {
    /// Whether the client has series of its own.
    pub(super) fn admits(&self, tenant: &Arc<str>, client: &Arc<str>) -> bool {
        let mut clients = sync::lock(&self.0);
        let key = (Arc::clone(tenant), Arc::clone(client));
        clients.contains(&key) || (clients.len() < CLIENTS && clients.insert(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_beyond_the_bound_have_no_series() {
        let clients = BoundedClients::default();
        let admits = |name: usize| clients.admits(&"t".into(), &name.to_string().into());
        assert!((0..CLIENTS).all(admits));
        assert!(!admits(CLIENTS));
        assert!(admits(0));
    }
}
