//! Stored responses: retrieved later, continued, run in the background.
//!
//! ```text
//! POST   plan -- earlier responses, if any --> the upstream
//!         \---- recorder, background <--- its response
//!                     |
//!               ResponseStore
//!                     |
//! GET, DELETE, cancel, input_items, replay
//! ```
//!
//! An upstream with the Responses API stores its responses itself, under its own ids; the records
//! here are copies. Any other upstream gets the whole conversation with each request.

mod background;
mod chain;
mod compaction;
mod compaction_request;
mod count_tokens;
pub(crate) mod items;
mod lease;
mod page;
mod partial;
mod plan;
mod record;
mod recorder;
mod references;
mod replay;
mod retrieve;
mod storage_declaration;
mod synthetic;

pub(crate) use self::plan::mutually_exclusive;
pub use self::{
    background::{BackgroundReply, BackgroundWork, QueuedResponse},
    compaction::item as compaction_item,
    compaction_request::CompactionRequest,
    page::ItemPageQuery,
    plan::{Plan, plan},
    recorder::ResponseRecorder,
};

use self::record::Record;
use crate::{conversations::Conversations, threads::MessageThreads};
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

/// Maximum wait of [`Responses::close`] for work that ends by itself.
const NOTICE_TIME: Duration = Duration::from_secs(1);

/// The default lifetime of threads.
const THREAD_TTL: Duration = Duration::from_hours(1);

/// Maximum wait of [`Responses::close`] for running work.
const CLOSING_TIME: Duration = Duration::from_secs(3);

/// The stored responses, and those running in the background. Clones share them.
#[derive(Clone)]
pub struct Responses {
    store: Arc<dyn ResponseStore>,
    ttl: Duration,
    thread_ttl: Duration,
    running: background::RunningResponses,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// The store failed when it was last written to.
    failing: Arc<AtomicBool>,
}

impl Responses {
    /// Creates a service that stores responses in `store` for `ttl`, with at most `background`
    /// concurrent background responses.
    pub fn new(store: Arc<dyn ResponseStore>, ttl: Duration, background: usize) -> Self {
        Self {
            store,
            ttl,
            thread_ttl: THREAD_TTL,
            running: background::RunningResponses::new(background),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            failing: Arc::default(),
        }
    }

    /// Returns a service with another `ttl`, which shares the running responses.
    #[must_use]
    pub fn with(&self, ttl: Duration) -> Self {
        Self { ttl, ..self.clone() }
    }

    /// Returns a service whose threads live for `thread_ttl` after each turn; with zero, none are
    /// held.
    #[must_use]
    pub fn with_thread_ttl(self, thread_ttl: Duration) -> Self {
        Self { thread_ttl, ..self }
    }

    /// Waits until no response runs in the background, and every end is stored.
    pub async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Ends background responses, and waits until their end is stored. Those whose upstream was
    /// given notice end by themselves; the others are cancelled after a moment.
    pub async fn close(&self) {
        if time::timeout(NOTICE_TIME, self.idle()).await.is_ok() {
            return;
        }
        self.closing.cancel();
        // What has not ended by then is not worth waiting for.
        let _ = time::timeout(CLOSING_TIME, self.tasks.wait()).await;
    }

    /// Returns the conversations in the same store, with the same lifetime.
    pub fn conversations(&self) -> Conversations {
        Conversations::new(Arc::clone(&self.store), self.ttl)
    }

    /// Returns the threads in the same store.
    pub fn threads(&self) -> MessageThreads {
        MessageThreads::new(Arc::clone(&self.store), self.thread_ttl, self.tasks.clone())
    }

    /// Returns the record under `key`, and whether the response is still running. One whose gateway
    /// has crashed is ended.
    async fn get(&self, key: &Key) -> Result<Option<(Record, bool)>, StoreError> {
        let Some(kept) = self.store.get(key).await? else { return Ok(None) };
        if kept.is_abandoned() {
            return self.end_abandoned(key).await;
        }
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
