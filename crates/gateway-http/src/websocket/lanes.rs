//! Lanes: responses of one `stream_id` are made one after the other, those of others beside them.

use super::{frames::CreateFrame, turn::TurnEvent};
use futures_util::{
    Stream, StreamExt as _,
    stream::{self, BoxStream, SelectAll},
};
use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    task::{Context, Poll},
};
use tokio_util::sync::CancellationToken;

/// The most lanes of a connection.
const MAX_LANES: usize = 16;
/// The most responses that wait in a lane.
const MAX_WAITING: usize = 32;

/// The most bytes of responses that wait in all lanes, unless it is one.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// The name of a lane; the nameless one is a lane too.
pub(super) type LaneId = Option<String>;

/// A step of a lane.
#[derive(Debug)]
pub(super) enum LaneEvent {
    /// A step of its response.
    Turn(TurnEvent),
    /// Its response has ended.
    Ended,
}

/// The lanes of a connection.
#[derive(Default)]
pub(super) struct ResponseLanes {
    active: HashMap<LaneId, CancellationToken>,
    waiting: HashMap<LaneId, VecDeque<CreateFrame>>,
    turns: SelectAll<BoxStream<'static, (LaneId, LaneEvent)>>,
}

impl ResponseLanes {
    /// Whether no response is being made.
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    /// Whether a response is being made in the lane of `frame`.
    pub(super) fn is_busy(&self, id: &LaneId) -> bool {
        self.active.contains_key(id)
    }

    /// Lets `frame` wait; returns it if there is no room.
    pub(super) fn wait(&mut self, frame: CreateFrame) -> Result<(), CreateFrame> {
        let waiting = self.waiting.entry(frame.stream_id.clone()).or_default();
        if waiting.len() >= MAX_WAITING {
            return Err(frame);
        }
        waiting.push_back(frame);
        Ok(())
    }

    /// Whether another lane may begin.
    pub(super) fn has_room(&self) -> bool {
        self.active.len() < MAX_LANES
    }

    /// Begins `turn` in the lane `id`.
    pub(super) fn begin(
        &mut self,
        id: LaneId,
        turn: impl Stream<Item = TurnEvent> + Send + 'static,
    ) {
        let cancelled = CancellationToken::new();
        self.active.insert(id.clone(), cancelled.clone());
        let steps = turn.map(LaneEvent::Turn).take_until(cancelled.cancelled_owned());
        let steps = steps.chain(stream::iter([LaneEvent::Ended]));
        self.turns.push(steps.map(move |step| (id.clone(), step)).boxed());
    }

    /// Whether a frame of `bytes` may wait besides those that do: they would keep the connection from
    /// being read if they took all memory.
    pub(super) fn may_wait(&self, bytes: usize) -> bool {
        let frames = self.waiting.values().flatten();
        let waiting: usize = frames.filter_map(|it| Some(it.lease.as_ref()?.bytes())).sum();
        waiting == 0 || waiting.saturating_add(bytes) <= MAX_WAITING_BYTES
    }

    /// Ends the response of the lane `id`; returns whether there was one.
    pub(super) fn cancel(&self, id: &LaneId) -> bool {
        let active = self.active.get(id);
        active.inspect(|token| token.cancel()).is_some()
    }

    /// The response of the lane `id` has ended: returns the next that waits there.
    pub(super) fn end(&mut self, id: &LaneId) -> Option<CreateFrame> {
        self.active.remove(id);
        let waiting = self.waiting.get_mut(id)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(id);
        }
        next
    }

    /// Drops the waiting responses.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }
}

/// The steps of all lanes. Pending while there is none: a connection that waits is not at its end.
impl Stream for ResponseLanes {
    type Item = (LaneId, LaneEvent);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.turns.poll_next_unpin(cx);
        if matches!(polled, Poll::Ready(None)) { Poll::Pending } else { polled }
    }
}
