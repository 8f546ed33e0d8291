//! The recording of a response into its session.

use super::ActiveTurn;
use crate::commit::{NotStored, StorageReport, StoredItem};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use gateway_core::{
    Chunk, ChunkStream, ErrorKind, GatewayError, Provider, ProviderLayer, ProviderRequest,
    ProviderResponse, Result, StreamEvent, sync,
};
use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex},
};

/// A provider layer for one call of a turn: the turn ends with the response.
pub(super) struct SessionRecordingLayer {
    inner: Arc<dyn Provider>,
    /// The turn, until the call is made. Dropped with the layer, it is abandoned.
    turn: Mutex<Option<ActiveTurn>>,
    report: StorageReport,
}

impl SessionRecordingLayer {
    /// Wraps `inner` for `turn`; an unstored turn is reported in `report`.
    pub(super) fn new(inner: Arc<dyn Provider>, turn: ActiveTurn, report: StorageReport) -> Self {
        Self { inner, turn: Mutex::new(Some(turn)), report }
    }
}

#[async_trait]
impl ProviderLayer for SessionRecordingLayer {
    fn inner(&self) -> &dyn Provider {
        self.inner.as_ref()
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let turn = sync::lock(&self.turn).take();
        let Some(turn) = turn else {
            return Err(GatewayError::new(ErrorKind::Internal, "a turn that was taken twice"));
        };
        let stream = call.stream;
        match self.inner.generate(call).await {
            Ok(ProviderResponse { meta, chunks }) => Ok(ProviderResponse {
                meta,
                chunks: turn.remember(chunks, stream, self.report.clone()),
            }),
            Err(error) => {
                turn.abandon().await;
                Err(error)
            }
        }
    }
}

impl ActiveTurn {
    /// Returns `chunks`, with the final chunk held back until the turn is stored, so that a caller
    /// that has seen the end finds the turn in the session. If it cannot be stored, the response is
    /// delivered all the same, and `report` declares it before its end.
    ///
    /// Dropping the stream ends the turn with the chunks passed on so far; with `stream` false,
    /// with none.
    fn remember(self, chunks: ChunkStream, stream: bool, report: StorageReport) -> ChunkStream {
        let recording =
            TurnRecording { stream, report, state: State::Streaming(chunks, Box::new(self)) };
        Box::pin(stream::unfold(recording, |mut recording| async move {
            let chunk = recording.next().await?;
            Some((chunk, recording))
        }))
    }
}

struct TurnRecording {
    stream: bool,
    report: StorageReport,
    state: State,
}

enum State {
    /// The response is in progress.
    Streaming(ChunkStream, Box<ActiveTurn>),
    /// The turn is stored; the final chunks are passed on.
    Stored(VecDeque<Chunk>),
}

impl TurnRecording {
    async fn next(&mut self) -> Option<Result<Chunk>> {
        let nothing = State::Stored(VecDeque::new());
        match mem::replace(&mut self.state, nothing) {
            State::Stored(mut held) => {
                let chunk = held.pop_front();
                self.state = State::Stored(held);
                chunk.map(Ok)
            }
            State::Streaming(mut chunks, mut turn) => match chunks.next().await {
                Some(Ok(chunk)) if self.stream && !ends(&chunk) => {
                    turn.hear(&chunk);
                    self.state = State::Streaming(chunks, turn);
                    Some(Ok(chunk))
                }
                Some(Ok(chunk)) => self.end(chunk, chunks, *turn).await,
                Some(Err(error)) => {
                    turn.abandon().await;
                    Some(Err(error))
                }
                None => {
                    commit(*turn, &self.report).await;
                    None
                }
            },
        }
    }

    /// Collects the chunks after `chunk`, stores the turn, and returns the first of them.
    async fn end(
        &mut self,
        chunk: Chunk,
        mut chunks: ChunkStream,
        mut turn: ActiveTurn,
    ) -> Option<Result<Chunk>> {
        let mut held = VecDeque::from([chunk]);
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => held.push_back(chunk),
                Err(error) => {
                    turn.abandon().await;
                    return Some(Err(error));
                }
            }
        }
        for chunk in &held {
            turn.hear(chunk);
        }
        commit(turn, &self.report).await;
        let first = held.pop_front();
        self.state = State::Stored(held);
        first.map(Ok)
    }
}

/// Stores `turn`, or reports that it is not stored.
async fn commit(turn: ActiveTurn, report: &StorageReport) {
    if let Err(error) = turn.commit().await {
        report.add(NotStored::by_error(StoredItem::Session, &error));
    }
}

/// Whether `chunk` completes a response.
fn ends(chunk: &Chunk) -> bool {
    chunk.events.iter().any(|event| matches!(event, StreamEvent::Finished(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OnConflict, SessionManager, SessionRules, Sessions};
    use gateway_core::{
        FinishReason, Message, Role, ToolCallDelta,
        state::{MessageRange, SessionContext, Tenant},
    };
    use gateway_store::{StoreBackend, StoreSettings, Stores};

    /// A name that no other turn has.
    fn token() -> String {
        uuid::Uuid::new_v4().to_string()
    }

    /// A keeper with one session, in which a turn that asked `hello` is under way.
    async fn begin() -> (SessionManager, Stores, Tenant, String, ActiveTurn) {
        let stores = gateway_store::open(StoreSettings::new(StoreBackend::Memory)).await.unwrap();
        let keeper =
            SessionManager::new(Sessions::new(stores.sessions.clone(), SessionRules::default()));
        let tenant = Tenant::new("acme").unwrap();
        let context = SessionContext::new();
        let id = keeper.sessions.create(&tenant, None, context).await.unwrap().id;
        let turn =
            ActiveTurn::begin(&keeper, tenant.clone(), (id.clone(), token()), OnConflict::Refuse);
        let mut turn = turn.await.unwrap();
        turn.record_request(vec![Message::text(Role::User, "hello")], None).unwrap();
        (keeper, stores, tenant, id, turn)
    }

    /// What the session remembers, in short: `~` before a message that was broken off.
    async fn stored_messages(keeper: &SessionManager, tenant: &Tenant, id: &str) -> String {
        let snapshot = keeper.sessions.get(tenant, id, MessageRange::ALL).await.unwrap();
        let entries = snapshot.entries.iter().map(|entry| {
            let calls = entry.message.tool_calls().map(|call| format!("({})", call.id));
            let mark = if entry.incomplete { "~" } else { "" };
            format!("{mark}{}{}", entry.message.plain_text(), calls.collect::<String>())
        });
        entries.collect::<Vec<_>>().join(" ")
    }

    /// An answer, spelt: letters are text, `(` a call, `.` the end, `!` a failure, `$` the last
    /// message of a conversation with tools that says `x`.
    fn chunks(spelling: &str) -> ChunkStream {
        let chunks = spelling.chars().map(|letter| match letter {
            '.' => Ok(Chunk::from_events(vec![StreamEvent::Finished(FinishReason::Stop.into())])),
            '!' => Err(GatewayError::new(ErrorKind::UpstreamCut, "cut")),
            '(' => Ok(Chunk::from_events(vec![StreamEvent::ToolCall(ToolCallDelta {
                id: "c1".to_owned(),
                ..ToolCallDelta::default()
            })])),
            '$' => {
                let said = Message::text(Role::Assistant, "x");
                let events = vec![StreamEvent::Finished(FinishReason::Stop.into())];
                Ok(Chunk { completed_messages: vec![said], ..Chunk::from_events(events) })
            }
            letter => Ok(Chunk::from_events(vec![StreamEvent::Text(letter.to_string())])),
        });
        Box::pin(stream::iter(chunks.collect::<Vec<_>>()))
    }

    /// Of an answer the caller takes `wanted` chunks, and leaves: what is remembered.
    async fn check(answer: &str, stream: bool, wanted: usize, expected: &str) {
        let (keeper, stores, tenant, id, turn) = begin().await;
        let passed: Vec<_> = turn
            .remember(chunks(answer), stream, StorageReport::default())
            .take(wanted)
            .map(|it| it.is_ok())
            .collect()
            .await;
        assert!(passed.len() <= wanted);
        keeper.settled().await;
        assert_eq!(stored_messages(&keeper, &tenant, &id).await, expected, "{answer} {wanted}");
        let again = ActiveTurn::begin(&keeper, tenant, (id, token()), OnConflict::Refuse).await;
        assert!(again.is_ok(), "the session is free");
        drop(stores);
    }

    #[tokio::test(start_paused = true)]
    async fn complete_turn_is_stored() {
        for stream in [true, false] {
            check("ab.", stream, 9, "hello ab").await;
            check("a(.", stream, 9, "hello a(c1)").await;
            check("a$", stream, 9, "hello x").await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failed_turn_is_not_stored() {
        for stream in [true, false] {
            check("!", stream, 9, "").await;
            check("ab!", stream, 9, "").await;
            check("ab.!", stream, 9, "").await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn partial_turn_of_disconnected_caller_is_stored() {
        check("ab.", true, 2, "~hello ~ab").await;
        check("ab.", true, 1, "~hello ~a").await;
        check("ab.", true, 0, "").await;
        check("a(.", true, 2, "~hello ~a").await;
        check("(.", true, 1, "").await;
    }

    #[tokio::test(start_paused = true)]
    async fn final_chunk_follows_stored_turn() {
        let (keeper, _stores, tenant, id, turn) = begin().await;
        let mut chunks = turn.remember(chunks("a."), true, StorageReport::default());
        chunks.next().await.unwrap().unwrap();
        assert_eq!(stored_messages(&keeper, &tenant, &id).await, "");
        assert!(ends(&chunks.next().await.unwrap().unwrap()));
        assert_eq!(stored_messages(&keeper, &tenant, &id).await, "hello a");
        assert!(chunks.next().await.is_none());
    }

    /// Takes the rest of an answer: it is complete, and `report` says that its turn is not stored.
    async fn check_delivered(mut chunks: ChunkStream, report: &StorageReport) {
        assert!(ends(&chunks.next().await.unwrap().unwrap()));
        assert!(chunks.next().await.is_none());
        let reason = "session_not_found".into();
        assert_eq!(report.entries(), [NotStored { item: StoredItem::Session, reason }]);
    }

    #[tokio::test(start_paused = true)]
    async fn turn_that_cannot_be_stored_is_delivered_and_reported() {
        let (keeper, _stores, tenant, id, turn) = begin().await;
        keeper.sessions.delete(&tenant, &id).await.unwrap();
        let report = StorageReport::default();
        let mut chunks = turn.remember(chunks("a."), true, report.clone());
        assert!(chunks.next().await.unwrap().is_ok());
        assert_eq!(report.entries(), []);
        check_delivered(chunks, &report).await;
    }

    #[tokio::test(start_paused = true)]
    async fn session_that_expired_during_a_turn_is_not_brought_back() {
        let (keeper, _stores, tenant, id, turn) = begin().await;
        let report = StorageReport::default();
        let mut chunks = turn.remember(chunks("a."), true, report.clone());
        assert!(chunks.next().await.unwrap().is_ok());
        tokio::time::sleep(std::time::Duration::from_hours(2)).await;
        check_delivered(chunks, &report).await;
        assert!(keeper.sessions.get(&tenant, &id, MessageRange::ALL).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn disconnected_caller_frees_turn() {
        let (keeper, _stores, tenant, id, turn) = begin().await;
        turn.abandon().await;
        let begin =
            ActiveTurn::begin(&keeper, tenant.clone(), (id.clone(), token()), OnConflict::Refuse);
        assert!(futures_util::FutureExt::now_or_never(begin).is_none(), "it is under way");
        keeper.settled().await;
        assert!(
            ActiveTurn::begin(&keeper, tenant, (id, token()), OnConflict::Refuse).await.is_ok()
        );
    }
}
