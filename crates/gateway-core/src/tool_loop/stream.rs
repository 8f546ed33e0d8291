//! The stream of a tool loop.
//!
//! ```text
//!            turn over: our calls            results
//!   Hearing ----------------------> Running ---------> Asking
//!     |  ^                                                |
//!     |  +------------------- answer begins --------------+
//!     +--- turn over: no calls, or the caller's ---> Over
//! ```

use super::{
    MAX_CALLS, MAX_RESULTS, ToolLoopLimits, Toolbox,
    turn::{StreamedTurn, TurnPosition, TurnVerdict},
};
use crate::{
    Chunk, ChunkStream, Content, Json, Message, Part, Payload, Provider, ProviderRequest, Result,
    Role, StreamEvent, ToolCall, ToolChoice, ToolContext, ToolError, ToolErrorCode, ToolResult,
    Usage,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::{collections::HashSet, mem, sync::Arc};

pub(super) struct ToolLoopStream {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) toolbox: Arc<Toolbox>,
    pub(super) context: Arc<ToolContext>,
    /// The tools that may be run for this request.
    pub(super) ours: Arc<HashSet<String>>,
    limits: ToolLoopLimits,
    /// Current request, extended by the messages of each round.
    pub(super) call: ProviderRequest,
    round: usize,
    /// Number of tool calls that were run.
    ran: usize,
    spent: Option<Usage>,
    state: State,
}

enum State {
    Hearing(ChunkStream, Box<StreamedTurn>),
    Running(Message, Vec<ToolCall>),
    Asking,
    Over,
}

impl ToolLoopStream {
    pub(super) fn new(
        provider: Arc<dyn Provider>,
        toolbox: Arc<Toolbox>,
        context: ToolContext,
        (ours, limits): (HashSet<String>, ToolLoopLimits),
        call: ProviderRequest,
    ) -> Self {
        let (context, ours) = (Arc::new(context), Arc::new(ours));
        let (round, ran, spent, state) = (0, 0, None, State::Over);
        Self { provider, toolbox, context, ours, limits, call, round, ran, spent, state }
    }

    /// The answer, of which `first` is the first turn. Dropping it stops the model and the tools.
    pub(super) fn chunks(mut self, first: ChunkStream) -> ChunkStream {
        self.state = State::Hearing(first, self.turn());
        let stream = self.call.stream;
        let chunks = stream::try_unfold(self, |mut talk| async move {
            Ok(talk.next().await?.map(|chunk| (chunk, talk)))
        });
        if stream { Box::pin(chunks) } else { Box::pin(stream::once(whole(Box::pin(chunks)))) }
    }

    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            let chunk = match mem::replace(&mut self.state, State::Over) {
                State::Hearing(mut chunks, mut turn) => match chunks.try_next().await? {
                    Some(chunk) => {
                        let chunk = turn.take(chunk)?;
                        self.state = State::Hearing(chunks, turn);
                        chunk
                    }
                    None => self.over(*turn),
                },
                State::Running(said, calls) => self.run(said, calls).await?,
                State::Asking => {
                    let answer = self.provider.generate(self.call.clone()).await?;
                    self.state = State::Hearing(answer.chunks, self.turn());
                    continue;
                }
                State::Over => return Ok(None),
            };
            if chunk != Chunk::default() {
                return Ok(Some(chunk));
            }
        }
    }

    fn turn(&self) -> Box<StreamedTurn> {
        let place = match self.round {
            0 => TurnPosition::First,
            round if round >= self.limits.max_rounds => TurnPosition::Last,
            _ => TurnPosition::Later,
        };
        Box::new(StreamedTurn::new(Arc::clone(&self.ours), place, self.spent))
    }

    fn over(&mut self, turn: StreamedTurn) -> Chunk {
        self.spent = turn.spent();
        let mut seen = Vec::new();
        match turn.end(&mut seen) {
            TurnVerdict::Run(said, calls) => {
                let started_tool_calls = calls.clone();
                self.state = State::Running(said, calls);
                Chunk { started_tool_calls, ..Chunk::from_events(seen) }
            }
            TurnVerdict::Done(said) => {
                Chunk { completed_messages: Vec::from_iter(said), ..Chunk::from_events(seen) }
            }
        }
    }

    /// Runs the calls of a turn, and prepares the next.
    async fn run(&mut self, said: Message, calls: Vec<ToolCall>) -> Result<Chunk> {
        let before = self.ran;
        self.ran = before.saturating_add(calls.len());
        let running = calls.into_iter().enumerate().map(|(at, call)| {
            let toolbox = Arc::clone(&self.toolbox);
            let context = numbered(&self.context, before.saturating_add(at));
            async move {
                let outcome = if at < MAX_CALLS {
                    toolbox.run(&call, &context).await
                } else {
                    let why = format!("more than {MAX_CALLS} calls at once");
                    Err(ToolError::new(ToolErrorCode::TooLarge, why))
                };
                (call, outcome)
            }
        });
        let outcomes: Vec<_> =
            stream::iter(running).buffered(self.limits.max_parallel).collect().await;
        let completed_messages = vec![said, Message::new(Role::Tool, results(outcomes))];
        self.round += 1;
        self.grow(&completed_messages)?;
        self.state = State::Asking;
        Ok(Chunk { completed_messages, ..Chunk::default() })
    }

    /// Adds what was said to what is asked next.
    fn grow(&mut self, completed_messages: &[Message]) -> Result<()> {
        let mut request = self.call.request()?.clone();
        request.messages.extend_from_slice(completed_messages);
        request.tool_choice = if self.round < self.limits.max_rounds {
            request.tool_choice.map(relaxed)
        } else {
            Some(ToolChoice::None)
        };
        self.call.payload = Payload::Parsed(Arc::new(request));
        Ok(())
    }
}

/// Returns the tool context of a call. A request that may be repeated numbers its calls,
/// because models make up new ids each time.
fn numbered(context: &Arc<ToolContext>, number: usize) -> Arc<ToolContext> {
    let Some(key) = &context.idempotency_key else { return Arc::clone(context) };
    let idempotency_key = Some(format!("{key}/{number}").into());
    Arc::new(ToolContext { idempotency_key, ..ToolContext::clone(context) })
}

/// A choice that forced a call would never let the model answer.
fn relaxed(choice: ToolChoice) -> ToolChoice {
    match choice {
        ToolChoice::Required | ToolChoice::Named(_) => ToolChoice::Auto,
        ToolChoice::Allowed { names, required: _ } => {
            ToolChoice::Allowed { names, required: false }
        }
        ToolChoice::Auto | ToolChoice::None => choice,
    }
}

/// Renders the results of tool calls, in order. A failure is a result too.
fn results(outcomes: Vec<(ToolCall, Result<Json, ToolError>)>) -> Vec<Part> {
    let mut room = MAX_RESULTS;
    let outcomes = outcomes.into_iter().map(|(call, outcome)| {
        let outcome = outcome.and_then(|json| fit(json, &mut room));
        let is_error = outcome.is_err();
        let json = outcome.unwrap_or_else(|error| error.to_json());
        let text = Content::Text(json.compact());
        let (call_id, name) = (call.id, Some(call.name));
        Content::ToolResult(ToolResult { call_id, name, parts: vec![text.into()], is_error }).into()
    });
    outcomes.collect()
}

fn fit(json: Json, room: &mut usize) -> Result<Json, ToolError> {
    match room.checked_sub(json.get().len()) {
        Some(rest) => {
            *room = rest;
            Ok(json)
        }
        None => Err(ToolError::new(
            ToolErrorCode::TooLarge,
            "the results of these calls are too large together",
        )),
    }
}

/// An answer that is not streamed comes in one chunk.
async fn whole(mut chunks: ChunkStream) -> Result<Chunk> {
    let mut whole = Chunk::default();
    while let Some(chunk) = chunks.try_next().await? {
        whole.events.extend(chunk.events);
        whole.verbatim = whole.verbatim.or(chunk.verbatim);
        whole.output |= chunk.output;
        whole.completed_messages.extend(chunk.completed_messages);
        whole.started_tool_calls.extend(chunk.started_tool_calls);
        whole.meta = chunk.meta.or(whole.meta);
    }
    // Counts that grew are of no use to anybody who has the last.
    let last = whole.events.iter().rposition(|event| matches!(event, StreamEvent::Usage(_)));
    let mut at = 0..;
    whole.events.retain(|event| {
        let at = at.next();
        !matches!(event, StreamEvent::Usage(_)) || at == last
    });
    Ok(whole)
}
