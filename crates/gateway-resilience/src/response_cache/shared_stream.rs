//! A response shared by several subscribers.
//!
//! ```text
//!                               ┌──▶ Subscriber    each reads at its own pace
//!   provider ──▶ SharedStream ──┼──▶ Subscriber    and sees the response from its beginning
//!                               └──▶ Subscriber
//! ```
//!
//! The provider is read no faster than the fastest subscriber reads. A subscriber that falls too
//! far behind is dropped with an error. When the last one has left, the upstream request is
//! cancelled.

use futures_util::{FutureExt as _, StreamExt as _, stream};
use gateway_core::{
    CacheStatus, Chunk, ChunkStream, ErrorKind, GatewayError, ProviderResponse, ResponseMeta,
    Result, StreamEvent, sync,
};
use gateway_tasks::failpoint;
use std::{
    collections::VecDeque,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Maximum bytes of a response that is cached or can still be joined.
const MAX_CACHED_BYTES: usize = 256 << 10;
/// Maximum bytes read ahead of the fastest subscriber.
const READ_AHEAD_BYTES: usize = 256 << 10;
/// Maximum bytes a subscriber may lag behind.
const MAX_LAG_BYTES: usize = 4 * READ_AHEAD_BYTES;
/// Maximum number of subscribers of a response.
const MAX_SUBSCRIBERS: usize = 1000;

/// A response in flight. Dropping it cancels the upstream request.
pub(super) struct SharedStream {
    log: Arc<StreamLog>,
    _task: AbortOnDropHandle<()>,
}

/// The received part of a response.
struct StreamLog {
    state: Mutex<StreamState>,
    changed: watch::Sender<()>,
    /// The billed subscriber has left: another one is to be billed.
    billing_vacant: AtomicBool,
}

#[derive(Default)]
struct StreamState {
    meta: Option<ResponseMeta>,
    chunks: VecDeque<Chunk>,
    /// Number of chunks evicted from the front.
    evicted_chunks: usize,
    /// The bytes of all chunks so far, those that are gone, and those that the fastest has read.
    received_bytes: usize,
    evicted_bytes: usize,
    read_bytes: usize,
    subscribers: usize,
    end: Option<StreamOutcome>,
}

enum StreamOutcome {
    Complete,
    /// The first subscriber takes the error with its source.
    Failed(Option<GatewayError>, GatewayError),
}

/// A callback for the complete response, awaited before its end is reported.
pub(super) type OnComplete = Box<
    dyn FnOnce(ResponseMeta, Vec<Chunk>) -> futures_util::future::BoxFuture<'static, ()> + Send,
>;

impl SharedStream {
    /// Runs `request` for all subscribers. `failed` is called with a failure before
    /// any subscriber sees it; `on_complete` with the whole response, if it is short enough to be
    /// cached.
    pub(super) fn start(
        request: impl Future<Output = Result<ProviderResponse>> + Send + 'static,
        failed: impl FnOnce(&GatewayError) + Send + 'static,
        on_complete: OnComplete,
    ) -> Arc<Self> {
        let (changed, _) = watch::channel(());
        let log =
            StreamLog { state: Mutex::default(), changed, billing_vacant: AtomicBool::new(false) };
        let log = Arc::new(log);
        let own = Arc::clone(&log);
        let filling = async move {
            // Without its task, subscribers would wait for ever.
            let filling = AssertUnwindSafe(own.fill(request)).catch_unwind();
            match filling.await.unwrap_or_else(|_| Err(GatewayError::panicked())) {
                Ok(()) => {
                    let whole = own.whole();
                    if let Some((meta, chunks)) = whole {
                        // A response that is not cached is still a response.
                        drop(AssertUnwindSafe(on_complete(meta, chunks)).catch_unwind().await);
                    }
                    own.change(|state| state.end = Some(StreamOutcome::Complete));
                }
                Err(error) => {
                    failed(&error);
                    let copy = error.clone_without_source();
                    own.change(|state| state.end = Some(StreamOutcome::Failed(Some(error), copy)));
                }
            }
        };
        #[expect(clippy::disallowed_methods, reason = "every subscriber holds the handle")]
        let task = tokio::spawn(filling);
        Arc::new(Self { log, _task: AbortOnDropHandle::new(task) })
    }

    /// Subscribes from the beginning; `None` if the response is too long or has too many
    /// subscribers. The first `is_billed` for the response.
    pub(super) fn subscribe(self: &Arc<Self>, is_billed: bool) -> Option<Subscriber> {
        let mut state = self.log.lock();
        if state.subscribers >= MAX_SUBSCRIBERS || state.received_bytes > MAX_CACHED_BYTES {
            return None;
        }
        state.subscribers += 1;
        drop(state);
        let changes = self.log.changed.subscribe();
        Some(Subscriber {
            stream: Arc::clone(self),
            changes,
            at: 0,
            read_bytes: 0,
            is_billed,
            is_settled: false,
            is_over: false,
        })
    }

    /// Returns whether the response has ended.
    pub(super) fn is_over(&self) -> bool {
        self.log.lock().end.is_some()
    }
}

impl StreamLog {
    fn lock(&self) -> MutexGuard<'_, StreamState> {
        sync::lock(&self.state)
    }

    fn change(&self, change: impl FnOnce(&mut StreamState)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    async fn fill(&self, request: impl Future<Output = Result<ProviderResponse>>) -> Result<()> {
        let ProviderResponse { meta, mut chunks } = request.await?;
        failpoint("shared_response");
        self.change(|state| state.meta = Some(meta));
        let mut changes = self.changed.subscribe();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            self.change(|state| state.push(chunk));
            // Somebody is there as long as this runs.
            while self.is_ahead() && changes.changed().await.is_ok() {}
        }
        Ok(())
    }

    fn is_ahead(&self) -> bool {
        self.lock().is_ahead()
    }

    fn whole(&self) -> Option<(ResponseMeta, Vec<Chunk>)> {
        let state = self.lock();
        let is_whole = state.evicted_chunks == 0 && state.received_bytes <= MAX_CACHED_BYTES;
        let meta = state.meta.clone().filter(|_| is_whole)?;
        Some((meta, state.chunks.iter().cloned().collect()))
    }
}

impl StreamState {
    fn push(&mut self, chunk: Chunk) {
        if let Some(meta) = &chunk.meta {
            self.meta = Some(ResponseMeta::clone(meta));
        }
        self.received_bytes += size(&chunk);
        self.chunks.push_back(chunk);
        // What nobody may join any more is kept only for those who are on their way.
        while self.received_bytes > MAX_CACHED_BYTES
            && self.received_bytes - self.evicted_bytes > MAX_LAG_BYTES
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.evicted_chunks += 1;
            self.evicted_bytes += size(&chunk);
        }
    }

    const fn is_ahead(&self) -> bool {
        self.received_bytes.saturating_sub(self.read_bytes) > READ_AHEAD_BYTES
    }
}

/// Estimates the bytes of a chunk.
fn size(chunk: &Chunk) -> usize {
    let said = |event: &StreamEvent| match event {
        StreamEvent::Text(text) | StreamEvent::Refusal(text) | StreamEvent::Reasoning(text) => {
            text.len()
        }
        StreamEvent::Annotation(json)
        | StreamEvent::Logprobs(json)
        | StreamEvent::Extra(_, json) => json.get().len(),
        StreamEvent::ToolCall(delta) => delta.arguments.len(),
        StreamEvent::Opaque(it) => it.json.get().len(),
        StreamEvent::Seal(seal) => seal.data.len(),
        StreamEvent::Started(_)
        | StreamEvent::Choice(_)
        | StreamEvent::Usage(_)
        | StreamEvent::Finished(_) => 0,
    };
    let events: usize = chunk.events.iter().map(|event| 64 + said(event)).sum();
    64 + events + chunk.verbatim.as_ref().map_or(0, bytes::Bytes::len)
}

/// A subscriber of a shared response.
pub(super) struct Subscriber {
    stream: Arc<SharedStream>,
    changes: watch::Receiver<()>,
    at: usize,
    read_bytes: usize,
    /// Whether this subscriber is billed for the response.
    is_billed: bool,
    /// Whether the billed usage was seen.
    is_settled: bool,
    is_over: bool,
}

impl Subscriber {
    /// Waits for the start of the response.
    pub(super) async fn started(&mut self) -> Result<ResponseMeta> {
        loop {
            self.changes.borrow_and_update();
            {
                let mut state = self.stream.log.lock();
                if let Some(meta) = &state.meta {
                    return Ok(self.with_cache_status(meta.clone()));
                }
                if let Some(StreamOutcome::Failed(first, copy)) = &mut state.end {
                    return Err(first.take().unwrap_or_else(|| copy.clone_without_source()));
                }
            }
            if self.changes.changed().await.is_err() {
                return Err(stream_lost());
            }
        }
    }

    pub(super) fn chunks(self) -> ChunkStream {
        Box::pin(stream::unfold(self, |mut subscriber| async move {
            let chunk = subscriber.next().await?;
            Some((chunk, subscriber))
        }))
    }

    async fn next(&mut self) -> Option<Result<Chunk>> {
        loop {
            if self.is_over {
                return None;
            }
            self.changes.borrow_and_update();
            if let Poll::Ready(next) = self.take() {
                return next;
            }
            if self.changes.changed().await.is_err() {
                self.is_over = true;
                return Some(Err(stream_lost()));
            }
        }
    }

    /// Returns the next item, if available: a chunk, an error, or the end.
    fn take(&mut self) -> Poll<Option<Result<Chunk>>> {
        let mut guard = self.stream.log.lock();
        let state = &mut *guard;
        let Some(at) = self.at.checked_sub(state.evicted_chunks) else {
            self.is_over = true;
            return Poll::Ready(Some(Err(fell_behind())));
        };
        if let Some(chunk) = state.chunks.get(at) {
            let chunk = chunk.clone();
            self.at += 1;
            self.read_bytes += size(&chunk);
            let was_ahead = state.is_ahead();
            state.read_bytes = state.read_bytes.max(self.read_bytes);
            let meta = state.meta.clone();
            drop(guard);
            if was_ahead {
                self.stream.log.changed.send_replace(());
            }
            return Poll::Ready(Some(Ok(self.with_billing(chunk, meta))));
        }
        let Some(end) = &mut state.end else { return Poll::Pending };
        self.is_over = true;
        Poll::Ready(match end {
            StreamOutcome::Complete => None,
            StreamOutcome::Failed(first, copy) => {
                Some(Err(first.take().unwrap_or_else(|| copy.clone_without_source())))
            }
        })
    }

    /// Bills this subscriber if the billed one has left, once the usage is known.
    fn with_billing(&mut self, mut chunk: Chunk, meta: Option<ResponseMeta>) -> Chunk {
        let is_finish = |event: &StreamEvent| matches!(event, StreamEvent::Finished(_));
        if chunk.events.iter().any(is_finish) {
            self.is_settled = self.is_billed;
            if !self.is_billed && self.stream.log.billing_vacant.swap(false, Ordering::Relaxed) {
                (self.is_billed, self.is_settled) = (true, true);
                chunk.meta = meta.map(Box::new);
            }
        }
        chunk.meta = chunk.meta.map(|meta| Box::new(self.with_cache_status(*meta)));
        chunk
    }

    fn with_cache_status(&self, mut meta: ResponseMeta) -> ResponseMeta {
        let shared = CacheStatus::Hit { age: Duration::ZERO };
        meta.cache = Some(if self.is_billed { CacheStatus::Miss } else { shared });
        meta
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if self.is_billed && !self.is_settled {
            self.stream.log.billing_vacant.store(true, Ordering::Relaxed);
        }
        let mut state = self.stream.log.lock();
        state.subscribers -= 1;
    }
}

fn stream_lost() -> GatewayError {
    GatewayError::new(ErrorKind::Internal, "the shared response was lost")
}

fn fell_behind() -> GatewayError {
    GatewayError::new(ErrorKind::Overloaded, "the shared response was read too slowly")
}
