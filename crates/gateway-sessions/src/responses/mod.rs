//! Answers that are kept: asked for later, continued, made without their caller.
//!
//! ```text
//!   POST   plan -- earlier answers, if any --> the upstream
//!            \---- keep / background <-------- its answer
//!                       |
//!                 ResponseStore
//!                       |
//!   GET, DELETE, cancel, input_items, replay
//! ```
//!
//! An upstream that speaks Responses keeps its answers itself, under its own ids; what is kept here
//! is a copy. Any other gets the whole conversation put before each request.

mod background;
mod chain;
mod compaction;
mod compaction_request;
mod count;
mod declare;
pub(crate) mod items;
mod keep;
mod page;
mod partial;
mod plan;
mod record;
mod references;
mod replay;
mod retrieve;
mod synthetic;

pub(crate) use self::plan::mutually_exclusive;
pub use self::{
    background::{QueuedResponse, Reply as BackgroundReply, Work},
    compaction::item as compaction_item,
    compaction_request::CompactionRequest,
    keep::ResponseRecorder,
    page::Page,
    plan::{Plan, plan},
};

use self::record::Record;
use crate::conversations::Conversations;
use gateway_core::{
    ErrorKind, GatewayError, Result,
    state::{Key, ResponseStore, StoreError},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Maximum wait of [`Responses::close`] for running work.
const CLOSING_TIME: Duration = Duration::from_secs(3);

/// The answers that are kept, and those being made in the background. Clones share them.
#[derive(Clone)]
pub struct Responses {
    store: Arc<dyn ResponseStore>,
    ttl: Duration,
    running: background::RunningResponses,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// The store failed when it was last written to.
    failing: Arc<AtomicBool>,
}

impl Responses {
    /// Keeps answers in `store` for `ttl`; makes at most `background` of them at once without their
    /// callers.
    pub fn new(store: Arc<dyn ResponseStore>, ttl: Duration, background: usize) -> Self {
        Self {
            store,
            ttl,
            running: background::RunningResponses::new(background),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            failing: Arc::default(),
        }
    }

    /// Keeps answers for `ttl` from now on; those that are being made are shared.
    #[must_use]
    pub fn with(&self, ttl: Duration) -> Self {
        Self { ttl, ..self.clone() }
    }

    /// Ends what is made in the background, and waits until that is kept.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        // What has not ended by then is not worth waiting for.
        let _ = time::timeout(CLOSING_TIME, self.tasks.wait()).await;
    }

    /// The conversations that are kept in the same store, for the same time.
    pub fn conversations(&self) -> Conversations {
        Conversations::new(Arc::clone(&self.store), self.ttl)
    }

    /// Returns the record under `key`, and whether the response is still running.
    async fn get(&self, key: &Key) -> Result<Option<(Record, bool)>, StoreError> {
        let Some(kept) = self.store.get(key).await? else { return Ok(None) };
        Ok(Some((Record::read(&kept.body)?, kept.in_progress)))
    }

    /// Logs a failing store once, until it works again.
    fn note<T>(&self, done: Result<T, StoreError>) -> Option<T> {
        match done {
            Ok(done) => {
                self.failing.store(false, Ordering::Relaxed);
                Some(done)
            }
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "response store unavailable; responses are not stored");
                }
                None
            }
        }
    }
}

impl fmt::Debug for Responses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responses").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

/// Returns the error for a response that does not exist, or belongs to another tenant.
pub fn not_found() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "there is no such response").with_param("response_id")
}
