//! Background responses.

use super::{
    ResponseRecorder,
    partial::{self, Interruption},
    recorder::{nameless, responses_in, split},
};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};
use gateway_core::{
    ChunkStream, ErrorKind, GatewayError, Json, Result,
    state::{self, Key, StoreError},
    sync,
};
use gateway_tasks::failpoint;
use gateway_wire::{
    InboundDialect as _, StreamWriter,
    responses::{ResponseStage, ResponsesInbound, response_object},
};
use std::{
    collections::HashMap,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_util::sync::CancellationToken;

/// The pauses between attempts to store the end of a response while the store is unavailable.
const FINISH_PAUSES: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
    Duration::from_millis(3_200),
    Duration::from_secs(5),
];
/// Maximum number of chunks that are stored together.
const BATCH: usize = 64;
/// Maximum size of stored events, in bytes; the response itself is stored in any case.
const MAX_BYTES: usize = 8 << 20;

/// The running responses. Clones share them.
#[derive(Clone)]
pub(super) struct RunningResponses {
    places: Arc<Semaphore>,
    jobs: Arc<Mutex<HashMap<Key, RunningHandle>>>,
}

#[derive(Clone)]
struct RunningHandle {
    stop: CancellationToken,
    ended: CancellationToken,
}

impl RunningResponses {
    pub(super) fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), jobs: Arc::default() }
    }

    /// Cancels the response under `key` and waits for its end; returns false if it does not run
    /// here.
    pub(super) async fn stop(&self, key: &Key) -> bool {
        let handle = sync::lock(&self.jobs).get(key).cloned();
        let Some(handle) = handle else { return false };
        handle.stop.cancel();
        handle.ended.cancelled().await;
        true
    }

    fn reserve_slot(&self, key: Key) -> Result<RunningSlot> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            GatewayError::new(ErrorKind::Overloaded, "too many background responses are running")
                .with_retry_after(Some(Duration::from_secs(5)))
        })?;
        let handle =
            RunningHandle { stop: CancellationToken::new(), ended: CancellationToken::new() };
        let mut jobs = sync::lock(&self.jobs);
        jobs.insert(key.clone(), handle.clone());
        Ok(RunningSlot { key, handle, jobs: Arc::clone(&self.jobs), _permit: permit })
    }
}

/// A place among those that run; given back when dropped.
struct RunningSlot {
    key: Key,
    handle: RunningHandle,
    jobs: Arc<Mutex<HashMap<Key, RunningHandle>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for RunningSlot {
    fn drop(&mut self) {
        sync::lock(&self.jobs).remove(&self.key);
        self.handle.ended.cancel();
    }
}

/// The work of a response, which accounts for itself. Dropping it, or its chunks, cancels it.
pub type BackgroundWork = BoxFuture<'static, Result<ChunkStream>>;

/// The reply to a request for a background response.
pub enum BackgroundReply {
    /// The object that stands for it.
    Queued(Vec<u8>),
    /// Its steps, as they come.
    Followed(BoxStream<'static, Bytes>),
}

/// A response that is stored as queued.
pub struct QueuedResponse {
    job: BackgroundJob,
    place: RunningSlot,
    queued: Vec<u8>,
}

impl QueuedResponse {
    /// Takes a slot for a response, and stores it as queued.
    ///
    /// # Errors
    ///
    /// If there is no free slot, or no store.
    pub async fn new(keep: ResponseRecorder, to: gateway_wire::ResponseContext) -> Result<Self> {
        let id = to.ids.clone().next("resp_");
        let key = keep.key(&id);
        let place = keep.responses().running.reserve_slot(key.clone())?;
        let queued = response_object(&id, to.clone(), ResponseStage::Queued);
        let object = serde_json::from_slice(&queued).map_err(|error| {
            GatewayError::new(ErrorKind::Internal, "a response that cannot be read")
                .with_source(error)
        })?;
        keep.put(&id, object, true).await?;
        let job = BackgroundJob {
            keep,
            key,
            id,
            writer: ResponsesInbound.writer(to),
            events: Vec::new(),
            bytes: 0,
            kept: 0,
            has_begun: false,
            ended: None,
        };
        Ok(Self { job, place, queued })
    }

    /// Starts the response in the background; returns its id or, with `follow`, its event stream,
    /// with a keep-alive comment after each silence of `follow`.
    pub fn start(self, work: BackgroundWork, follow: Option<Duration>) -> BackgroundReply {
        let Self { job, place, queued } = self;
        let (responses, key) = (job.keep.responses().clone(), job.key.clone());
        responses.tasks.spawn(unless_panicked(job, work, place));
        match follow {
            Some(keep_alive) => {
                BackgroundReply::Followed(responses.live(key, 0, keep_alive).boxed())
            }
            None => BackgroundReply::Queued(queued),
        }
    }
}

/// A response that runs in the background.
struct BackgroundJob {
    keep: ResponseRecorder,
    key: Key,
    id: String,
    writer: Box<dyn StreamWriter>,
    /// All events so far, each by itself.
    events: Vec<Bytes>,
    bytes: usize,
    /// The number of stored events.
    kept: usize,
    has_begun: bool,
    /// The final response, once it is known.
    ended: Option<Json>,
}

/// The response was ended or deleted elsewhere.
struct EndedElsewhere;

impl BackgroundJob {
    async fn run(mut self, work: BackgroundWork, place: RunningSlot) {
        let responses = self.keep.responses().clone();
        let closing = &responses.closing;
        let key = self.key.clone();
        let is_stopped = tokio::select! {
            biased;
            () = closing.cancelled() => true,
            () = place.handle.stop.cancelled() => true,
            () = responses.until_ended_elsewhere(&key) => false,
            _ = Self::work(&mut self, work) => false,
        };
        if !is_stopped {
            return;
        }
        // It had ended, and was about to be stored.
        if let Some(response) = self.ended.take() {
            if self.append().await.is_ok() {
                self.finish(response).await;
            }
            return;
        }
        if closing.is_cancelled() {
            let error = GatewayError::new(ErrorKind::ShuttingDown, "the gateway was stopped");
            // Whoever ended it before had the last word.
            let _ = self.fail(&error).await;
        } else {
            self.cancel().await;
        }
    }

    async fn work(&mut self, work: BackgroundWork) -> Result<(), EndedElsewhere> {
        failpoint("background_response");
        let chunks = match work.await {
            Ok(chunks) => chunks,
            Err(error) => return self.fail(&error).await,
        };
        let mut batches = nameless(chunks).ready_chunks(BATCH);
        while let Some(batch) = batches.next().await {
            let mut out = Vec::new();
            let mut failed = None;
            for chunk in batch {
                match chunk {
                    Ok(chunk) => self.writer.write(chunk, &mut out),
                    Err(error) => failed = Some(error),
                }
            }
            self.store_block(&out).await?;
            if let Some(error) = failed {
                return self.fail(&error).await;
            }
        }
        let mut out = Vec::new();
        self.writer.end(&mut out);
        self.store_block(&out).await
    }

    async fn fail(&mut self, error: &GatewayError) -> Result<(), EndedElsewhere> {
        let mut out = Vec::new();
        self.writer.fail(error, &mut out);
        self.store_block(&out).await
    }

    /// Stores the events in `block`, and the end if it is among them.
    async fn store_block(&mut self, block: &[u8]) -> Result<(), EndedElsewhere> {
        self.bytes = self.bytes.saturating_add(block.len());
        if self.bytes <= MAX_BYTES {
            self.events.extend(split(block));
        }
        let (first, last) = responses_in(block);
        if let Some(response) = first.filter(|_| !self.has_begun && last.is_none()) {
            self.has_begun = true;
            let put = self.keep.put(&self.id, response, true).await;
            self.note(put);
        }
        self.ended.clone_from(&last);
        self.append().await?;
        if let Some(response) = last {
            self.keep.add_to_conversation(&response).await;
            self.finish(response).await;
        }
        Ok(())
    }

    /// Stores the end of the response, with retries while the store is unavailable, because the
    /// response was paid for.
    async fn finish(&mut self, response: Json) {
        let mut put = self.keep.put(&self.id, response.clone(), false).await;
        for pause in FINISH_PAUSES {
            if !put.as_ref().is_err_and(StoreError::is_outage) {
                break;
            }
            time::sleep(pause).await;
            put = self.keep.put(&self.id, response.clone(), false).await;
        }
        self.note(put);
    }

    /// Appends the events that are not stored yet. After a failure, the next call retries.
    async fn append(&mut self) -> Result<(), EndedElsewhere> {
        let new = self.events.get(self.kept..).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        let store = &self.keep.responses().store;
        let appended = store.append(&self.key, self.kept as u64, new).await;
        match self.note(appended) {
            Some(state::WriteOutcome::Gone) => return Err(EndedElsewhere),
            Some(state::WriteOutcome::Full) => {
                // Those that have no place need not be tried again; the end counts, and is short.
                self.bytes = MAX_BYTES;
                self.kept = self.events.len();
            }
            Some(
                state::WriteOutcome::Done(_)
                | state::WriteOutcome::Duplicate(_)
                | state::WriteOutcome::Conflict(_),
            ) => self.kept = self.events.len(),
            None => {}
        }
        Ok(())
    }

    /// Cancels the response at its current state.
    async fn cancel(&mut self) {
        let events = self.events.iter().map(|event| &**event);
        let told = partial::response(events, Interruption::Cancelled);
        let response = match told {
            Some(response) => Some(response),
            None => lost_response(&self.keep, &self.key).await,
        };
        if let Some(response) = response {
            let put = self.keep.put(&self.id, response, false).await;
            self.note(put);
        }
    }

    fn note<T>(&self, done: Result<T, StoreError>) -> Option<T> {
        self.keep.responses().note(done)
    }
}

/// Runs `job`; a panic ends the response as failed.
async fn unless_panicked(job: BackgroundJob, work: BackgroundWork, place: RunningSlot) {
    let (responses, key) = (job.keep.responses().clone(), job.key.clone());
    if AssertUnwindSafe(job.run(work, place)).catch_unwind().await.is_err() {
        responses.note(responses.end_panicked(&key).await);
    }
}

/// Returns the stored response without output, marked as cancelled.
async fn lost_response(keep: &ResponseRecorder, key: &Key) -> Option<Json> {
    let (record, _) = keep.responses().get(key).await.ok()??;
    partial::cancelled(&record.response)
}

impl fmt::Debug for BackgroundReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Queued(_)) { "Queued" } else { "Followed" })
    }
}

impl fmt::Debug for QueuedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedResponse").field("id", &self.job.id).finish_non_exhaustive()
    }
}
