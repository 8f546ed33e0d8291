//! One answer on its way to several who asked the same.
//!
//! ```text
//!                         ┌──▶ Seat of the first      each reads at its own pace
//!   provider ──▶ Flight ──┼──▶ Seat of another        and sees the answer from its beginning
//!                         └──▶ Seat of a third
//! ```
//!
//! The provider is read no faster than the fastest of them reads. Whoever falls too far behind is
//! let go with an error. When the last one has left, the provider's answer is cancelled.

use futures_util::{StreamExt as _, stream};
use gateway_core::{
    Cached, Chunk, ChunkStream, ErrorKind, GatewayError, ProviderResponse, ResponseMeta, Result,
    StreamEvent,
};
use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// An answer of more bytes is not kept, and nobody joins it once it has grown so long.
const KEPT_BYTES: usize = 256 << 10;
/// So far the provider's answer may be ahead of the fastest reader.
const AHEAD_BYTES: usize = 256 << 10;
/// So far a reader may be behind the answer.
const BEHIND_BYTES: usize = 4 * AHEAD_BYTES;
/// So many may wait for one answer.
const SEATS: usize = 1000;

/// An answer that is on its way. Dropping it cancels it.
pub(super) struct Flight {
    log: Arc<Log>,
    _task: AbortOnDropHandle<()>,
}

/// What has come of an answer.
struct Log {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// The one who asked first has left: somebody else pays.
    unpaid: AtomicBool,
}

#[derive(Default)]
struct State {
    meta: Option<ResponseMeta>,
    chunks: VecDeque<Chunk>,
    /// How many chunks are gone from the front.
    gone: usize,
    /// The bytes of all chunks so far, those that are gone, and those that the fastest has read.
    came: usize,
    gone_bytes: usize,
    read: usize,
    seats: usize,
    end: Option<End>,
}

enum End {
    Complete,
    /// The first who asks takes it with its cause.
    Failed(Option<GatewayError>, GatewayError),
}

/// What is done with the whole answer before its end is told.
pub(super) type Landing = Box<
    dyn FnOnce(ResponseMeta, Vec<Chunk>) -> futures_util::future::BoxFuture<'static, ()> + Send,
>;

impl Flight {
    /// Lets `asking` go on for everybody who takes a seat. `failed` learns of a failure before
    /// anybody does; `landing` of the whole answer, if it was short enough to be kept.
    pub(super) fn start(
        asking: impl Future<Output = Result<ProviderResponse>> + Send + 'static,
        failed: impl FnOnce(&GatewayError) + Send + 'static,
        landing: Landing,
    ) -> Arc<Self> {
        let (changed, _) = watch::channel(());
        let log = Log { state: Mutex::default(), changed, unpaid: AtomicBool::new(false) };
        let log = Arc::new(log);
        let own = Arc::clone(&log);
        let filling = async move {
            match own.fill(asking).await {
                Ok(()) => {
                    let whole = own.whole();
                    if let Some((meta, chunks)) = whole {
                        landing(meta, chunks).await;
                    }
                    own.change(|state| state.end = Some(End::Complete));
                }
                Err(error) => {
                    failed(&error);
                    let copy = error.clone_without_source();
                    own.change(|state| state.end = Some(End::Failed(Some(error), copy)));
                }
            }
        };
        #[expect(clippy::disallowed_methods, reason = "whoever has a seat holds the handle")]
        let task = tokio::spawn(filling);
        Arc::new(Self { log, _task: AbortOnDropHandle::new(task) })
    }

    /// A seat, if there is one, and the answer can still be seen from its beginning. The first
    /// `pays` for the answer.
    pub(super) fn board(self: &Arc<Self>, pays: bool) -> Option<Seat> {
        let mut state = self.log.lock();
        if state.seats >= SEATS || state.came > KEPT_BYTES {
            return None;
        }
        state.seats += 1;
        drop(state);
        let changes = self.log.changed.subscribe();
        Some(Seat {
            flight: Arc::clone(self),
            changes,
            at: 0,
            read: 0,
            pays,
            is_settled: false,
            is_over: false,
        })
    }

    /// Whether it has ended, one way or the other.
    pub(super) fn is_over(&self) -> bool {
        self.log.lock().end.is_some()
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    async fn fill(&self, asking: impl Future<Output = Result<ProviderResponse>>) -> Result<()> {
        let ProviderResponse { meta, mut chunks } = asking.await?;
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
        let is_whole = state.gone == 0 && state.came <= KEPT_BYTES;
        let meta = state.meta.clone().filter(|_| is_whole)?;
        Some((meta, state.chunks.iter().cloned().collect()))
    }
}

impl State {
    fn push(&mut self, chunk: Chunk) {
        if let Some(meta) = &chunk.meta {
            self.meta = Some(ResponseMeta::clone(meta));
        }
        self.came += size(&chunk);
        self.chunks.push_back(chunk);
        // What nobody may join any more is kept only for those who are on their way.
        while self.came > KEPT_BYTES
            && self.came - self.gone_bytes > BEHIND_BYTES
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.gone += 1;
            self.gone_bytes += size(&chunk);
        }
    }

    const fn is_ahead(&self) -> bool {
        self.came.saturating_sub(self.read) > AHEAD_BYTES
    }
}

/// Roughly the bytes of a chunk.
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

/// A place from which an answer is seen.
pub(super) struct Seat {
    flight: Arc<Flight>,
    changes: watch::Receiver<()>,
    at: usize,
    read: usize,
    /// Who asked first pays; the others have what was paid for.
    pays: bool,
    /// It saw what it pays for.
    is_settled: bool,
    is_over: bool,
}

impl Seat {
    /// Waits until the answer has begun.
    pub(super) async fn begun(&mut self) -> Result<ResponseMeta> {
        loop {
            self.changes.borrow_and_update();
            {
                let mut state = self.flight.log.lock();
                if let Some(meta) = &state.meta {
                    return Ok(self.paid(meta.clone()));
                }
                if let Some(End::Failed(first, copy)) = &mut state.end {
                    return Err(first.take().unwrap_or_else(|| copy.clone_without_source()));
                }
            }
            if self.changes.changed().await.is_err() {
                return Err(lost());
            }
        }
    }

    pub(super) fn chunks(self) -> ChunkStream {
        Box::pin(stream::unfold(self, |mut seat| async move {
            let chunk = seat.next().await?;
            Some((chunk, seat))
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
                return Some(Err(lost()));
            }
        }
    }

    /// What comes next, if it is there: a chunk, an error, or the end.
    fn take(&mut self) -> Poll<Option<Result<Chunk>>> {
        let mut guard = self.flight.log.lock();
        let state = &mut *guard;
        let Some(at) = self.at.checked_sub(state.gone) else {
            self.is_over = true;
            return Poll::Ready(Some(Err(left_behind())));
        };
        if let Some(chunk) = state.chunks.get(at) {
            let chunk = chunk.clone();
            self.at += 1;
            self.read += size(&chunk);
            let was_ahead = state.is_ahead();
            state.read = state.read.max(self.read);
            let meta = state.meta.clone();
            drop(guard);
            if was_ahead {
                self.flight.log.changed.send_replace(());
            }
            return Poll::Ready(Some(Ok(self.told(chunk, meta))));
        }
        let Some(end) = &mut state.end else { return Poll::Pending };
        self.is_over = true;
        Poll::Ready(match end {
            End::Complete => None,
            End::Failed(first, copy) => {
                Some(Err(first.take().unwrap_or_else(|| copy.clone_without_source())))
            }
        })
    }

    /// If nobody else is left to pay, the next one does, as soon as it is known what.
    fn told(&mut self, mut chunk: Chunk, meta: Option<ResponseMeta>) -> Chunk {
        let is_finish = |event: &StreamEvent| matches!(event, StreamEvent::Finished(_));
        if chunk.events.iter().any(is_finish) {
            self.is_settled = self.pays;
            if !self.pays && self.flight.log.unpaid.swap(false, Ordering::Relaxed) {
                (self.pays, self.is_settled) = (true, true);
                chunk.meta = meta.map(Box::new);
            }
        }
        chunk.meta = chunk.meta.map(|meta| Box::new(self.paid(*meta)));
        chunk
    }

    fn paid(&self, mut meta: ResponseMeta) -> ResponseMeta {
        let shared = Cached::Hit { age: Duration::ZERO };
        meta.cache = Some(if self.pays { Cached::Miss } else { shared });
        meta
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.pays && !self.is_settled {
            self.flight.log.unpaid.store(true, Ordering::Relaxed);
        }
        let mut state = self.flight.log.lock();
        state.seats -= 1;
    }
}

fn lost() -> GatewayError {
    GatewayError::new(ErrorKind::Internal, "the answer was lost on its way")
}

fn left_behind() -> GatewayError {
    GatewayError::new(ErrorKind::Overloaded, "the answer was not read fast enough to be shared")
}
