//! The composition of a request that continues a session.

use super::{
    ActiveTurn, OnConflict, SessionManager, SessionTools, context_window,
    history::JoinedConversation, recording::SessionRecordingLayer, taxonomy::TaxonomyTable,
    tool_pairs,
};
use crate::{commit::StorageReport, responses};
use gateway_core::{
    ChatRequest, Dialect, ErrorKind, Inspection, Message, ModelCard, Payload, Provider,
    ProviderRequest, Result, estimate, state::Tenant,
};
use gateway_wire::responses::ResponseStateFields;
use std::{mem, sync::Arc};

/// The session parameters of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionOptions {
    /// The session's id.
    pub id: String,
    /// The handling of a concurrent turn of the session.
    pub on_conflict: OnConflict,
    /// The name of the turn: the same for every attempt at one request.
    pub turn_token: String,
}

/// A request with its session, if it has one.
#[derive(Debug, Default)]
pub struct OpenedSession {
    /// Boxed, so that it takes little room in a request without a session.
    turn: Option<Box<ActiveTurn>>,
    composed: CompositionFacts,
    /// The session's tool selection.
    pub chosen: SessionTools,
}

impl OpenedSession {
    /// Returns `provider`, wrapped so that the response is stored at its end, and the facts of the
    /// composed request.
    pub fn remembering(self, provider: Arc<dyn Provider>) -> (Arc<dyn Provider>, CompositionFacts) {
        match self.turn {
            Some(turn) => {
                let report = self.composed.not_stored.clone().unwrap_or_default();
                (Arc::new(SessionRecordingLayer::new(provider, *turn, report)), self.composed)
            }
            None => (provider, self.composed),
        }
    }
}

/// The facts of a composed request that are sent as headers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompositionFacts {
    /// The number of messages of the history that were dropped to fit the context window.
    pub dropped: usize,
    /// The taxonomy that holds.
    pub taxonomy: Option<String>,
    /// The report of unstored records, complete at the end of the response; `None` without a
    /// session.
    pub not_stored: Option<StorageReport>,
}

/// Opens the session that a request continues, if any, and composes `call` from its history.
/// `asked` is the request as received.
///
/// # Errors
///
/// If the session does not exist, another turn is in progress, or the store is unavailable.
pub async fn open(
    keeper: &SessionManager,
    tenant: Tenant,
    asked: &Payload,
    call: &mut ProviderRequest,
    options: Option<SessionOptions>,
) -> Result<OpenedSession> {
    let Some(options) = options else { return Ok(OpenedSession::default()) };
    refuse_other_memories(asked)?;
    // Boxed, so that it takes no room in the future of a request without a session.
    Box::pin(resume(keeper, tenant, call, options)).await
}

/// Starts a turn of the session and joins its history with the request.
async fn resume(
    keeper: &SessionManager,
    tenant: Tenant,
    call: &mut ProviderRequest,
    options: SessionOptions,
) -> Result<OpenedSession> {
    let known = keeper.taxonomies();
    let request = call.request()?.clone();
    let mut turn = begin(keeper, tenant, options).await?;
    let mut chosen =
        turn.opened().map(|open| SessionTools::by(&open.session, known)).unwrap_or_default();
    let composed = compose(&mut turn, known, request, call.target.card.as_deref());
    let (request, composed) = match composed {
        Ok(composed) => composed,
        Err(error) => {
            turn.abandon().await;
            return Err(error);
        }
    };
    call.payload = Payload::Parsed(Arc::new(request));
    call.inspection = Inspection::Full;
    chosen.taxonomy.clone_from(&composed.taxonomy);
    Ok(OpenedSession { turn: Some(Box::new(turn)), composed, chosen })
}

/// Refuses a request with `previous_response_id` or `conversation`: a history from two sources
/// would be repeated.
fn refuse_other_memories(asked: &Payload) -> Result<()> {
    let Payload::Raw(original) = asked else { return Ok(()) };
    if original.dialect != Dialect::Responses {
        return Ok(());
    }
    let fields = ResponseStateFields::read(&original.body)?;
    let conversation = fields.conversation.map(|_| "conversation");
    let other = conversation.or(fields.previous_response_id.map(|_| "previous_response_id"));
    match other {
        Some(other) => Err(responses::mutually_exclusive("session_id", other)),
        None => Ok(()),
    }
}

async fn begin(
    keeper: &SessionManager,
    tenant: Tenant,
    options: SessionOptions,
) -> Result<ActiveTurn> {
    let SessionOptions { id, on_conflict, turn_token } = options;
    ActiveTurn::begin(keeper, tenant, (id, turn_token), on_conflict).await.map_err(|error| {
        if error.kind() == ErrorKind::NotFound { error.with_param("session_id") } else { error }
    })
}

/// Prepends the session's history to `request`, as far as it fits the context window.
fn compose(
    turn: &mut ActiveTurn,
    known: &TaxonomyTable,
    mut request: ChatRequest,
    card: Option<&ModelCard>,
) -> Result<(ChatRequest, CompositionFacts)> {
    // It is ours, and means nothing to any upstream.
    request.extra.remove("session_id");
    let asked = mem::take(&mut request.messages);
    let Some(open) = turn.opened() else { return Ok((request, CompositionFacts::default())) };
    let mut joined = mem::take(&mut open.history).join(asked);
    let (holds, to_remember) = open.taxonomy(known, &joined.new);
    turn.record_request(joined.to_remember(), to_remember)?;
    let dropped = fit(&mut joined, &request, card);
    joined.history = tool_pairs::pair(mem::take(&mut joined.history), &joined.new);
    let JoinedConversation { instructions, history, new, .. } = joined;
    request.messages = instructions.into_iter().chain(history).chain(new).collect();
    Ok((
        request,
        CompositionFacts { dropped, taxonomy: holds, not_stored: Some(StorageReport::default()) },
    ))
}

/// Trims the history to the model's context window; returns the number of dropped messages.
fn fit(joined: &mut JoinedConversation, request: &ChatRequest, card: Option<&ModelCard>) -> usize {
    let Some(window) = card.and_then(|card| card.context_window) else { return 0 };
    let most = card.and_then(|card| card.max_output);
    // A window that is mostly kept for the answer would leave no room for what it answers.
    let answer = request.options.max_tokens.or(most).unwrap_or_default().min(window / 2);
    let tokens = |message: &Message| estimate::message(message, &request.model);
    let tools = request.tools.iter().map(|tool| estimate::tool(tool, &request.model));
    let fixed = joined.instructions.iter().chain(&joined.new).map(tokens).chain(tools);
    let fixed = fixed.fold(0, u64::saturating_add);
    let budget = window.saturating_sub(answer).saturating_sub(fixed);
    let cut = context_window::cut(mem::take(&mut joined.history), budget, tokens);
    joined.history = cut.kept;
    cut.dropped
}
