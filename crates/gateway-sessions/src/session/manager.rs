//! The manager of sessions, which sees every turn to its end.

use super::{service::Sessions, taxonomy::TaxonomyTable};
use gateway_core::{ErrorKind, GatewayError, Result};
use std::{future::Future, sync::Arc};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// The sessions, and the turns in progress, which are completed even if their caller disconnects.
///
/// Clones share the turns.
#[derive(Clone, Debug)]
pub struct SessionManager {
    pub(super) sessions: Sessions,
    pub(super) turns: TaskTracker,
    taxonomies: Arc<TaxonomyTable>,
}

impl SessionManager {
    /// Creates a manager of `sessions`.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, turns: TaskTracker::new(), taxonomies: Arc::default() }
    }

    /// Returns a manager of `sessions`, which shares the turns in progress.
    #[must_use]
    pub fn with(&self, sessions: Sessions) -> Self {
        Self { sessions, ..self.clone() }
    }

    /// Sets the taxonomies that users may name. Default: none is known, and any name is recognized.
    #[must_use]
    pub fn with_taxonomies(self, taxonomies: TaxonomyTable) -> Self {
        Self { taxonomies: Arc::new(taxonomies), ..self }
    }

    /// Returns the taxonomies that users may name.
    pub fn taxonomies(&self) -> &TaxonomyTable {
        &self.taxonomies
    }

    /// Returns the managed sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Waits until every turn has ended. Dropping the future waits no longer, and cancels nothing.
    pub async fn settled(&self) {
        self.turns.close();
        self.turns.wait().await;
    }

    /// Does `work` to its end, even if this future is dropped.
    pub(super) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        self.turns.spawn(work).await.map_err(|error| {
            GatewayError::new(ErrorKind::Internal, "the gateway failed").with_source(error)
        })
    }

    /// Runs `work` to its end in the background; only [`settled`](Self::settled) waits for it.
    pub(super) fn leave(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Without a runtime nothing is under way that could be continued.
        if let Ok(runtime) = Handle::try_current() {
            drop(self.turns.spawn_on(work, &runtime));
        }
    }
}
