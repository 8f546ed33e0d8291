//! The port of a catalogue of models.

use crate::{Date, ModelCard};
use std::{fmt, sync::Arc};

/// A catalogue of models by provider and name. A lookup costs no I/O.
pub trait ModelCatalogue: fmt::Debug + Send + Sync {
    /// Returns what is known of the model called `name` at `provider`, by any of its spellings: its
    /// own row, that of its snapshot's base, or the rules and prices of its family.
    fn card(&self, provider: &str, name: &str) -> Option<Arc<ModelCard>>;

    /// Whether the provider has a row of exactly this name, but for case.
    fn has(&self, provider: &str, name: &str) -> bool;

    /// Returns the models of a provider that the gateway's endpoints serve, by name.
    fn cards(&self, provider: &str) -> Vec<Arc<ModelCard>>;

    /// Returns a digest of the contents: that of another catalogue differs.
    fn version(&self) -> u64 {
        0
    }

    /// Returns the day of the prices, if it is known.
    fn prices_of(&self) -> Option<Date> {
        None
    }

    /// Returns the names of [`cards`](Self::cards), without making them.
    fn names(&self, provider: &str) -> Vec<String> {
        self.cards(provider).iter().map(|card| card.id.clone()).collect()
    }

    /// Returns the number of [`cards`](Self::cards), without making them.
    fn count(&self, provider: &str) -> usize {
        self.cards(provider).len()
    }
}
