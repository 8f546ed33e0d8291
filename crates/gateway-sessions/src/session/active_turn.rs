//! A turn in progress. However it ends, the session is unlocked.

use super::{OnConflict, OpenTurn, SessionManager, TurnResult};
use futures_util::FutureExt as _;
use gateway_core::{
    Chunk, Collector, Content, ErrorKind, GatewayError, Message, Part, Result, state::Tenant,
};
use gateway_tasks::failpoint;
use std::{fmt, mem, panic::AssertUnwindSafe};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

/// A turn of a session, held for one request.
///
/// It ends with [`commit`](Self::commit) or [`abandon`](Self::abandon). Dropping it is what happens
/// when the caller disconnects: the partial response is stored, marked incomplete; without output,
/// nothing is stored.
pub struct ActiveTurn {
    keeper: SessionManager,
    /// Gone once the turn has been ended.
    open: Option<OpenTurn>,
    /// Holds the session until the turn is ended.
    holding: Option<AbortOnDropHandle<()>>,
    /// The new messages of the request.
    asked: Vec<Message>,
    /// The taxonomy to remember.
    taxonomy: Option<String>,
    /// The response so far, up to the last complete message.
    answered: Vec<Message>,
    /// The message in progress.
    saying: Collector,
}

impl ActiveTurn {
    /// Starts a turn of the session `id` under the name `token`, and holds the session's lock until
    /// it\nends.
    pub async fn begin(
        keeper: &SessionManager,
        tenant: Tenant,
        (id, token): (String, String),
        on_conflict: OnConflict,
    ) -> Result<Self> {
        let (tell, told) = oneshot::channel();
        let own = keeper.clone();
        keeper.leave(async move {
            let begun = own.sessions.begin_turn(&tenant, &id, &token, on_conflict).await;
            // If nobody waits any more, the turn is dropped here, and thereby given up.
            drop(tell.send(begun.map(|open| Self::of(own.clone(), open))));
        });
        told.await.unwrap_or_else(|_| {
            Err(GatewayError::new(ErrorKind::ShuttingDown, "the gateway is stopping"))
        })
    }

    fn of(keeper: SessionManager, open: OpenTurn) -> Self {
        let holding = AbortOnDropHandle::new(keeper.turns.spawn(keeper.sessions.hold(&open)));
        Self {
            keeper,
            open: Some(open),
            holding: Some(holding),
            asked: Vec::new(),
            taxonomy: None,
            answered: Vec::new(),
            saying: Collector::default(),
        }
    }

    /// The turn as the session sees it; absent once it has ended.
    pub(super) fn opened(&mut self) -> Option<&mut OpenTurn> {
        self.open.as_mut()
    }

    /// Records the messages that the session stores of the request.
    ///
    /// # Errors
    ///
    /// `session_full` if there is no room: the upstream is not called for a response that cannot be
    /// stored.
    pub(super) fn record_request(
        &mut self,
        asked: Vec<Message>,
        taxonomy: Option<String>,
    ) -> Result<()> {
        if let Some(open) = &self.open {
            self.keeper.sessions.check_room(open, &asked)?;
        }
        self.asked = asked;
        self.taxonomy = taxonomy;
        Ok(())
    }

    /// Records the content of `chunk`.
    pub(super) fn hear(&mut self, chunk: &Chunk) {
        if chunk.completed_messages.is_empty() {
            self.saying.extend(chunk.events.iter().cloned());
        } else {
            self.answered.extend_from_slice(&chunk.completed_messages);
            self.saying = Collector::default();
        }
    }

    /// Ends the turn and stores all of it atomically.
    pub async fn commit(mut self) -> Result<()> {
        let Some(open) = self.take() else { return Ok(()) };
        let delivered = self.take_result(false);
        end(self.keeper.clone(), open, delivered).await
    }

    /// Ends the turn and stores nothing.
    pub async fn abandon(mut self) {
        let Some(open) = self.take() else { return };
        // Its failure is logged where it happens; the turn's own is what the caller is told.
        drop(end(self.keeper.clone(), open, TurnResult::default()).await);
    }

    /// Takes the open turn in order to end it. From here on its lease is not renewed, so that it
    /// cannot stay locked.
    fn take(&mut self) -> Option<OpenTurn> {
        self.holding = None;
        self.open.take()
    }

    /// Returns the result to store.
    fn take_result(&mut self, incomplete: bool) -> TurnResult {
        let mut answered = mem::take(&mut self.answered);
        let said = mem::take(&mut self.saying).finish().choices.into_iter().next();
        let mut said = said.map(|choice| choice.message);
        if incomplete && let Some(message) = &mut said {
            message.parts.retain(makes_sense);
        }
        answered.extend(said.filter(|message| !message.parts.is_empty()));
        if incomplete && answered.is_empty() {
            return TurnResult::default();
        }
        let (asked, taxonomy) = (mem::take(&mut self.asked), self.taxonomy.take());
        TurnResult { asked, answered, incomplete, taxonomy }
    }
}

impl fmt::Debug for ActiveTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.open.as_ref().map(OpenTurn::id);
        f.debug_struct("ActiveTurn").field("session", &id).finish_non_exhaustive()
    }
}

impl Drop for ActiveTurn {
    fn drop(&mut self) {
        let Some(open) = self.take() else { return };
        let (keeper, delivered) = (self.keeper.clone(), self.take_result(true));
        self.keeper.leave(async move {
            // Nobody is left to be told; a failure is logged where it happens.
            drop(end(keeper, open, delivered).await);
        });
    }
}

/// Whether a part of an interrupted response can be sent to a provider again; a tool call may be
/// incomplete, and has no result.
fn makes_sense(part: &Part) -> bool {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => !text.is_empty(),
        Content::Reasoning(reasoning) => reasoning.seal.is_some(),
        Content::ToolCall(_)
        | Content::Opaque(_)
        | Content::Image(_)
        | Content::Audio(_)
        | Content::File(_)
        | Content::ToolResult(_) => false,
    }
}

/// Ends `open` with the result, even if this future is dropped. If the store is unavailable, the
/// session is unlocked soon after its recovery.
async fn end(keeper: SessionManager, open: OpenTurn, delivered: TurnResult) -> Result<()> {
    let own = keeper.clone();
    let ending = async move {
        let sessions = &own.sessions;
        let empty = delivered.asked.is_empty() && delivered.answered.is_empty();
        let committing = async {
            failpoint("session_commit");
            if empty { Ok(0) } else { sessions.commit_turn(&open, &delivered).await }
        };
        // A panic costs the stored copy, and leaves the session free for its next turn.
        let kept = AssertUnwindSafe(committing).catch_unwind().await;
        let kept = kept.unwrap_or_else(|_| Err(GatewayError::panicked()));
        let released = sessions.release_turn(&open).await;
        if released.is_err() {
            own.leave(sessions.release_later(&open));
        }
        for error in [kept.as_ref().err(), released.as_ref().err()].into_iter().flatten() {
            let cause = std::error::Error::source(error).map(tracing::field::display);
            tracing::warn!(%error, cause, "failed to end a session turn; its session stays locked until the lease expires");
        }
        // What is kept is kept, whether or not the session is free yet.
        kept.map(drop)
    };
    keeper.finish(ending).await?
}
