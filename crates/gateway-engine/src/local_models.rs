//! The models that local servers have, as they report them.

use gateway_core::sync;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

/// The models of local providers, as their servers last reported them. A provider without a report is
/// as the catalogue has it.
#[derive(Debug, Default)]
pub struct LocalModels {
    reported: RwLock<BTreeMap<Arc<str>, Arc<[LocalModel]>>>,
    is_wanted: AtomicBool,
    first_wanted: Notify,
}

/// A model of a local server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalModel {
    /// The server's name for it.
    pub name: String,
    /// The context window in tokens, if the server reports it.
    pub context_window: Option<u64>,
}

impl LocalModels {
    /// Notes that a list of models was asked for: from then on, servers that are asked for nothing but
    /// their list are asked for it.
    pub fn want(&self) {
        if !self.is_wanted.swap(true, Ordering::Relaxed) {
            self.first_wanted.notify_one();
        }
    }

    /// Whether a list of models was ever asked for.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Waits until a list of models is asked for the first time.
    pub async fn first_wanted(&self) {
        self.first_wanted.notified().await;
    }

    /// Replaces the models of `provider` by those that its server reports now.
    pub fn update(&self, provider: &str, models: Vec<LocalModel>) {
        sync::write(&self.reported).insert(provider.into(), models.into());
    }

    /// Returns the models of `provider`, if its server has reported them.
    pub fn of(&self, provider: &str) -> Option<Arc<[LocalModel]>> {
        sync::read(&self.reported).get(provider).cloned()
    }

    /// Returns the providers whose servers have reported their models.
    pub fn providers(&self) -> Vec<Arc<str>> {
        sync::read(&self.reported).keys().cloned().collect()
    }
}
