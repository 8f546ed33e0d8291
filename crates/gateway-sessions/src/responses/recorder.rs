//! The recording of a response while it is sent to its caller.

use super::{
    Responses, lease,
    partial::{self, Interruption},
    record::{self, Record},
    storage_declaration,
};
use crate::commit::{CommitResult, NotStored, StoredItem};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gateway_core::{
    Chunk, ChunkStream, Json, StreamEnd, StreamEvent, StreamObserver, observe,
    state::{Key, StoreError, StoredResponse, Tenant, WriteOutcome},
    sync::lock,
};
use gateway_tasks::failpoint;
use gateway_wire::{
    InboundDialect as _, ResponseContext, StreamWriter,
    responses::{ResponsesInbound, final_response},
    sse,
};
use serde::Deserialize;
use std::{
    mem,
    sync::{Arc, Mutex},
};
use tokio_util::task::AbortOnDropHandle;

/// Maximum size of stored events, in bytes; the response itself is stored in any case.
const MAX_BYTES: usize = 8 << 20;

/// The recorder of one response.
#[derive(Clone)]
pub struct ResponseRecorder {
    responses: Responses,
    tenant: Tenant,
    /// The record without the response.
    record: Arc<Record>,
    /// Whether the response can be retrieved; otherwise it is only part of a conversation.
    is_stored: bool,
}

impl ResponseRecorder {
    pub(super) fn new(
        responses: &Responses,
        tenant: Tenant,
        record: Record,
        is_stored: bool,
    ) -> Self {
        Self { responses: responses.clone(), tenant, record: Arc::new(record), is_stored }
    }

    /// Remembers the taxonomy that the conversation is about.
    pub fn set_taxonomy(&mut self, taxonomy: Option<String>) {
        if taxonomy.is_some() {
            Arc::make_mut(&mut self.record).taxonomy = taxonomy;
        }
    }

    pub(super) fn responses(&self) -> &Responses {
        &self.responses
    }

    pub(super) fn key(&self, id: &str) -> Key {
        self.tenant.key(id)
    }

    pub(super) async fn put(
        &self,
        id: &str,
        response: Json,
        in_progress: bool,
    ) -> Result<(), StoreError> {
        if !self.is_stored {
            return Ok(());
        }
        let record = Record { response, ..Record::clone(&self.record) };
        let lease = in_progress.then_some(lease::LEASE);
        let stored = StoredResponse { body: record.write().into(), in_progress, lease };
        let responses = &self.responses;
        responses.store.put(&self.key(id), &stored, responses.ttl).await
    }

    /// Stores a complete response, which was not stored before because its id was unknown.
    ///
    /// The returned response is to be delivered: it declares its unstored records.
    pub async fn whole(&self, body: Bytes) -> CommitResult {
        let response = serde_json::from_slice::<Json>(&body).ok();
        let Some((response, id)) = response.and_then(|it| record::id_of(&it).map(|id| (it, id)))
        else {
            return declared(body, vec![self.nameless()]);
        };
        let told = RecordedEvents { id: Some(id), ..RecordedEvents::default() };
        let not_stored = self.see_to(response, told).await;
        declared(body, not_stored)
    }

    /// Returns the report of a response without a valid id.
    fn nameless(&self) -> NotStored {
        let item = if self.is_stored { StoredItem::Response } else { StoredItem::Conversation };
        NotStored { item, reason: "unusable_id".into() }
    }

    /// Stores the end of a response even if this future is dropped; a panic costs only the stored
    /// copy.
    async fn see_to(&self, response: Json, told: RecordedEvents) -> Vec<NotStored> {
        let keep = self.clone();
        let finishing = async move {
            failpoint("response_commit");
            keep.finish(response, told).await
        };
        self.responses.tasks.spawn(finishing).await.unwrap_or_else(|_| {
            vec![NotStored { item: StoredItem::Response, reason: "internal_error".into() }]
        })
    }

    /// Appends a completed response to its conversation; returns the record that could not be
    /// stored.
    pub(super) async fn add_to_conversation(&self, response: &Json) -> Option<NotStored> {
        let within = self.record.within.as_ref()?;
        if !record::is_answer(response) {
            return None;
        }
        let record = Record { response: response.clone(), ..Record::clone(&self.record) };
        let items = record.all_items();
        let conversations = self.responses.conversations();
        let added = conversations.add_turn(&self.tenant, &within.id, items).await;
        let error = added.err()?;
        let cause = std::error::Error::source(&error).map(tracing::field::display);
        tracing::warn!(%error, cause, "failed to append a response to its conversation");
        Some(NotStored::by_error(StoredItem::Conversation, &error))
    }

    /// Returns `chunks` as sent to the caller; each is stored before it is passed on.
    ///
    /// A caller that has read the start or the end can retrieve the response at once. If the stream
    /// is dropped, the partial response is stored.
    pub fn stream(self, chunks: ChunkStream, to: ResponseContext) -> ChunkStream {
        let log = Arc::new(Mutex::new(EventBuffer::default()));
        let leaving = RecordOnDisconnect { keep: self.clone(), log: Arc::clone(&log) };
        let writer = ResponsesInbound.writer(to);
        let chunks = self.named(chunks);
        let keeping = RecordingStream { chunks, writer, keep: self, log, lease: None };
        let kept = stream::unfold(Some(keeping), |keeping| async move { keeping?.next().await });
        observe(Box::pin(kept), Box::new(leaving))
    }

    /// Returns `chunks` without the upstream's id of the response, unless the upstream stores it.
    pub fn named(&self, chunks: ChunkStream) -> ChunkStream {
        if self.record.native { chunks } else { nameless(chunks) }
    }

    /// Stores the end of a response, unless it was deleted meanwhile; returns the unstored records.
    async fn finish(&self, response: Json, log: RecordedEvents) -> Vec<NotStored> {
        let Some(id) = log.id else { return vec![self.nameless()] };
        let mut not_stored: Vec<_> =
            self.add_to_conversation(&response).await.into_iter().collect();
        let responses = &self.responses;
        if self.is_stored && !log.events.is_empty() {
            let events: Vec<_> = log.events.iter().flat_map(|block| split(block)).collect();
            let appended = responses.store.append(&self.key(&id), 0, &events).await;
            if matches!(appended, Ok(WriteOutcome::Gone)) && log.has_begun {
                return not_stored;
            }
            responses.note(appended);
        }
        not_stored.extend(self.store(&id, response, false).await.err());
        not_stored
    }

    /// Stores the current state of the response.
    async fn store(&self, id: &str, response: Json, in_progress: bool) -> Result<(), NotStored> {
        self.put(id, response, in_progress).await.map_err(|error| {
            let not_stored = NotStored::by_store(StoredItem::Response, &error);
            self.responses.note(Err::<(), _>(error));
            not_stored
        })?;
        self.responses.note(Ok(()));
        Ok(())
    }
}

/// `body`, and in it that the records of `not_stored` do not exist.
fn declared(body: Bytes, not_stored: Vec<NotStored>) -> CommitResult {
    CommitResult { body: storage_declaration::in_object(body, &not_stored), not_stored }
}

/// Returns `chunks` without the upstream's id of the response.
pub(super) fn nameless(chunks: ChunkStream) -> ChunkStream {
    Box::pin(chunks.map_ok(|mut chunk| {
        for event in &mut chunk.events {
            if let StreamEvent::Started(started) = event {
                started.id = None;
            }
        }
        chunk
    }))
}

/// The events of `block`, each by itself.
pub(super) fn split(block: &[u8]) -> impl Iterator<Item = Bytes> {
    sse::events(block).map(|event| {
        let mut out = Vec::new();
        sse::write(&mut out, Some(event.name).filter(|name| !name.is_empty()), &event.data);
        out.into()
    })
}

/// Returns the first response object of the events in `block`, and the final one if it is there.
pub(super) fn responses_in(block: &[u8]) -> (Option<Json>, Option<Json>) {
    #[derive(Deserialize)]
    struct Event {
        response: Option<Json>,
    }
    // Most events are about items.
    if !std::str::from_utf8(block).is_ok_and(|block| block.contains("\"response\"")) {
        return (None, None);
    }
    let first =
        sse::events(block).find_map(|it| serde_json::from_str::<Event>(&it.data).ok()?.response);
    (first, final_response(block))
}

/// The events of a response so far.
#[derive(Default)]
struct EventBuffer {
    told: RecordedEvents,
    bytes: usize,
    is_over: bool,
}

#[derive(Default)]
struct RecordedEvents {
    id: Option<String>,
    events: Vec<Bytes>,
    /// Whether the response is stored as in progress.
    has_begun: bool,
}

struct RecordingStream {
    chunks: ChunkStream,
    writer: Box<dyn StreamWriter>,
    keep: ResponseRecorder,
    log: Arc<Mutex<EventBuffer>>,
    /// Renews the lease of the response while it is stored as in progress.
    lease: Option<AbortOnDropHandle<()>>,
}

impl RecordingStream {
    async fn next(mut self) -> Option<(gateway_core::Result<Chunk>, Option<Self>)> {
        match self.chunks.next().await {
            Some(Ok(chunk)) => {
                let chunk = self.write(chunk).await;
                Some((Ok(chunk), Some(self)))
            }
            Some(Err(error)) => {
                let mut out = Vec::new();
                self.writer.fail(&error, &mut out);
                self.record_block(&out.into()).await;
                Some((Err(error), None))
            }
            None => {
                let mut out = Vec::new();
                self.writer.end(&mut out);
                let out = self.record_block(&out.into()).await;
                let verbatim = Some(out).filter(|out| !out.is_empty());
                Some((Ok(Chunk { verbatim, ..Chunk::default() }), None))
            }
        }
    }

    /// Stores the chunk, and returns it as written.
    async fn write(&mut self, mut chunk: Chunk) -> Chunk {
        let (output, output_events) = (chunk.output, chunk.output_count());
        let completed_messages = mem::take(&mut chunk.completed_messages);
        let started_tool_calls = mem::take(&mut chunk.started_tool_calls);
        let meta = chunk.meta.take();
        let bytes = self.writer.pass(&mut chunk).unwrap_or_else(|| {
            let mut out = Vec::new();
            self.writer.write(chunk, &mut out);
            out.into()
        });
        let bytes = self.record_block(&bytes).await;
        let verbatim = Some(bytes).filter(|bytes| !bytes.is_empty());
        Chunk {
            verbatim,
            output,
            output_events,
            completed_messages,
            started_tool_calls,
            meta,
            ..Chunk::default()
        }
    }

    /// Stores the events of `block`; returns the block to pass on, in which a response that could
    /// not be stored is declared as such.
    async fn record_block(&mut self, block: &Bytes) -> Bytes {
        let is_new = lock(&self.log).add(block);
        let (first, last) = responses_in(block);
        let mut not_stored = Vec::new();
        if let Some(response) = first.filter(|_| is_new)
            && let Some(id) = record::id_of(&response)
        {
            lock(&self.log).told.id = Some(id.clone());
            let begun = self.keep.store(&id, response, true).await;
            lock(&self.log).told.has_begun = begun.is_ok();
            if begun.is_ok() {
                self.lease = Some(self.keep.responses.hold(self.keep.key(&id)));
            }
            not_stored.extend(begun.err());
        }
        if let Some(response) = last {
            let told = lock(&self.log).end();
            self.lease = None;
            not_stored = self.keep.see_to(response, told).await;
        }
        storage_declaration::in_events(block, &not_stored)
    }
}

impl EventBuffer {
    /// Adds a block of events; returns whether it is the first one.
    fn add(&mut self, block: &Bytes) -> bool {
        self.bytes = self.bytes.saturating_add(block.len());
        if self.bytes <= MAX_BYTES && !block.is_empty() {
            self.told.events.push(block.clone());
        }
        self.told.id.is_none()
    }

    /// Returns the events to store; an event log with a gap is dropped.
    fn end(&mut self) -> RecordedEvents {
        self.is_over = true;
        let mut told = mem::take(&mut self.told);
        if self.bytes > MAX_BYTES {
            told.events.clear();
        }
        told
    }
}

/// Stores the partial response of a disconnected caller on drop.
struct RecordOnDisconnect {
    keep: ResponseRecorder,
    log: Arc<Mutex<EventBuffer>>,
}

impl StreamObserver for RecordOnDisconnect {
    fn on_chunk(&mut self, _: &Chunk) {}

    fn on_end(self: Box<Self>, end: StreamEnd<'_>) {
        let Self { keep, log } = *self;
        if !matches!(end, StreamEnd::Cancelled) || lock(&log).is_over {
            return;
        }
        let told = {
            let mut log = lock(&log);
            log.is_over = true;
            mem::take(&mut log.told)
        };
        let Some(response) =
            partial::response(told.events.iter().map(|it| &**it), Interruption::Left)
        else {
            return;
        };
        let tasks = keep.responses.tasks.clone();
        tasks.spawn(async move { keep.finish(response, told).await });
    }
}

impl std::fmt::Debug for ResponseRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseRecorder").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}
