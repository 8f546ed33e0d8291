//! Sessions: their endpoints, and the turns that requests to models take in them.

mod asked;
mod compose;
mod endpoints;
mod passage;
mod turn;
mod view;

pub(crate) use self::{
    compose::{open, tenant},
    endpoints::serve,
};

use self::turn::Turn;
use gateway_core::{ErrorKind, GatewayError, Result};
use gateway_sessions::Sessions;
use std::future::Future;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Keeps sessions, and sees every turn to its end, whether or not its caller is still there.
///
/// Clones share the turns.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub(crate) sessions: Sessions,
    turns: TaskTracker,
}

impl Keeper {
    /// Keeps `sessions`.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, turns: TaskTracker::new() }
    }

    /// Keeps `sessions` from now on, which share the turns that are under way.
    #[must_use]
    pub fn with(&self, sessions: Sessions) -> Self {
        Self { sessions, turns: self.turns.clone() }
    }

    /// Waits until every turn has ended. Dropping the future waits no longer, and cancels nothing.
    pub async fn settled(&self) {
        self.turns.close();
        self.turns.wait().await;
    }

    /// Does `work` to its end, even if this future is dropped.
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        self.turns.spawn(work).await.map_err(|error| {
            GatewayError::new(ErrorKind::Internal, "the gateway failed").with_source(error)
        })
    }

    /// Does `work` to its end, which nobody waits for but [`settled`](Self::settled).
    fn leave(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Without a runtime nothing is under way that could be continued.
        if let Ok(runtime) = Handle::try_current() {
            drop(self.turns.spawn_on(work, &runtime));
        }
    }
}
