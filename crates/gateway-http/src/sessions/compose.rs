//! What is sent to a model for a request that continues a session.

use super::{Keeper, Turn, passage::Remembering};
use crate::{App, idempotency::Mark, names, responses, tools::Chosen};
use gateway_core::{
    ChatRequest, Dialect, ErrorKind, GatewayError, Inspection, Message, ModelCard, Payload,
    Provider, ProviderRequest, Result, estimate, state::Tenant,
};
use gateway_limits::Client;
use gateway_sessions::{OnConflict, history::Joined, pairs, window};
use gateway_wire::responses::StateFields;
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use std::{mem, sync::Arc, time::Duration};
use uuid::Uuid;

/// How long a request that would rather wait waits for the turn before it.
const PATIENCE: Duration = Duration::from_mins(1);

/// A request as far as sessions have a say in it.
#[derive(Default)]
pub(crate) struct Opened {
    /// Boxed, so that it takes little room in a request without a session.
    turn: Option<Box<Turn>>,
    composed: Composed,
    /// What the session chose for tools.
    pub(crate) chosen: Chosen,
}

impl Opened {
    /// Whom to ask instead of `provider`: one who sees to it that the turn ends. And what the caller
    /// is told of it.
    pub(crate) fn remembering(self, provider: Arc<dyn Provider>) -> (Arc<dyn Provider>, Composed) {
        match self.turn {
            Some(turn) => (Arc::new(Remembering::new(provider, *turn)), self.composed),
            None => (provider, self.composed),
        }
    }
}

/// What the caller is told of a composed request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Composed {
    /// How many messages of the history did not fit the model's window.
    dropped: usize,
    /// The taxonomy that holds.
    taxonomy: Option<String>,
}

/// Opens the session that the request `asked` names, if it names one; then `call` is made to ask
/// with what the session remembers.
///
/// # Errors
///
/// If there is no such session, another turn of it is under way, or the store is away.
pub(crate) async fn open(
    app: &App,
    client: &Client,
    asked: &Payload,
    (call, head): (&mut ProviderRequest, &Parts),
) -> Result<Opened> {
    let headers = &head.headers;
    let inside = match asked {
        Payload::Raw(original) => original.envelope.session.as_ref().map(|(id, _)| id.as_str()),
        Payload::Parsed(_) => None,
    };
    let Some(id) = named(inside, headers)? else { return Ok(Opened::default()) };
    refuse_other_memories(asked)?;
    // Boxed, so that it takes no room in the future of a request without a session.
    Box::pin(resume(app, client, id, (call, head))).await
}

/// Opens the session `id`.
async fn resume(
    app: &App,
    client: &Client,
    id: String,
    (call, head): (&mut ProviderRequest, &Parts),
) -> Result<Opened> {
    let (on_conflict, request) = (on_conflict(&head.headers)?, call.request()?.clone());
    let mut turn = begin(&app.keeper, client, (id, token(head)), on_conflict).await?;
    let mut chosen = turn.opened().map(|open| Chosen::by(&open.session)).unwrap_or_default();
    let composed = compose(&mut turn, request, call.target.card.as_deref());
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
    Ok(Opened { turn: Some(Box::new(turn)), composed, chosen })
}

/// One thing remembers what was said before: what two remember would be said twice.
fn refuse_other_memories(asked: &Payload) -> Result<()> {
    let Payload::Raw(original) = asked else { return Ok(()) };
    if original.dialect != Dialect::Responses {
        return Ok(());
    }
    let fields = StateFields::read(&original.body)?;
    let conversation = fields.conversation.map(|_| "conversation");
    let other = conversation.or(fields.previous_response_id.map(|_| "previous_response_id"));
    match other {
        Some(other) => Err(responses::mutually_exclusive("session_id", other)),
        None => Ok(()),
    }
}

async fn begin(
    keeper: &Keeper,
    client: &Client,
    (id, token): (String, String),
    on_conflict: OnConflict,
) -> Result<Turn> {
    let tenant = tenant(client)?;
    Turn::begin(keeper, tenant, (id, token), on_conflict).await.map_err(|error| {
        if error.kind() == ErrorKind::NotFound { error.with_param("session_id") } else { error }
    })
}

/// The name of a turn: the same whenever a request is sent again under its `Idempotency-Key`.
fn token(head: &Parts) -> String {
    let known = Mark::of(head).map(|mark| mark.name().to_owned());
    known.unwrap_or_else(|| Uuid::new_v4().simple().to_string())
}

/// Whose sessions a client sees.
pub(crate) fn tenant(client: &Client) -> Result<Tenant> {
    Tenant::new(Arc::clone(&client.tenant))
        .ok_or_else(|| GatewayError::new(ErrorKind::Internal, "a client without a tenant"))
}

/// The session that a request names, in its body or beside it.
fn named(inside: Option<&str>, headers: &HeaderMap) -> Result<Option<String>> {
    let Some(beside) = headers.get(names::SESSION_ID) else { return Ok(inside.map(str::to_owned)) };
    // What is not text names no session, like any other name that was not given out.
    let beside = String::from_utf8_lossy(beside.as_bytes()).into_owned();
    match inside {
        Some(inside) if inside != beside => {
            let message = "session_id and x-session-id name different sessions";
            Err(GatewayError::invalid("session_id", message))
        }
        _ => Ok(Some(beside)),
    }
}

fn on_conflict(headers: &HeaderMap) -> Result<OnConflict> {
    match headers.get(names::SESSION_CONFLICT).map(HeaderValue::as_bytes) {
        None | Some(b"refuse") => Ok(OnConflict::Refuse),
        Some(b"wait") => Ok(OnConflict::Wait(PATIENCE)),
        Some(_) => Err(GatewayError::new(
            ErrorKind::InvalidRequest,
            "x-session-conflict must be 'refuse' or 'wait'",
        )),
    }
}

/// Puts what the session remembers before what `request` says, as far as it fits the model.
fn compose(
    turn: &mut Turn,
    mut request: ChatRequest,
    card: Option<&ModelCard>,
) -> Result<(ChatRequest, Composed)> {
    // It is ours, and means nothing to any upstream.
    request.extra.remove("session_id");
    let asked = mem::take(&mut request.messages);
    let Some(open) = turn.opened() else { return Ok((request, Composed::default())) };
    let mut joined = mem::take(&mut open.history).join(asked);
    let (holds, to_remember) = open.taxonomy(&joined.new);
    turn.ask(joined.to_remember(), to_remember)?;
    let dropped = fit(&mut joined, &request, card);
    joined.history = pairs::mend(mem::take(&mut joined.history), &joined.new);
    let Joined { instructions, history, new, .. } = joined;
    request.messages = instructions.into_iter().chain(history).chain(new).collect();
    Ok((request, Composed { dropped, taxonomy: holds }))
}

/// Cuts the history to what the model's window has room for; tells how much was left out.
fn fit(joined: &mut Joined, request: &ChatRequest, card: Option<&ModelCard>) -> usize {
    let Some(window) = card.and_then(|card| card.context_window) else { return 0 };
    let most = card.and_then(|card| card.max_output);
    // A window that is mostly kept for the answer would leave no room for what it answers.
    let answer = request.options.max_tokens.or(most).unwrap_or_default().min(window / 2);
    let tokens = |message: &Message| estimate::message(message, &request.model);
    let tools = request.tools.iter().map(|tool| estimate::tool(tool, &request.model));
    let fixed = joined.instructions.iter().chain(&joined.new).map(tokens).chain(tools);
    let fixed = fixed.fold(0, u64::saturating_add);
    let budget = window.saturating_sub(answer).saturating_sub(fixed);
    let cut = window::cut(mem::take(&mut joined.history), budget, tokens);
    joined.history = cut.kept;
    cut.dropped
}

impl Composed {
    /// Tells what was left out of the history, and which taxonomy holds.
    pub(crate) fn add_facts(&self, headers: &mut HeaderMap) {
        if self.dropped > 0 {
            let name = HeaderName::from_static("x-gateway-history-dropped");
            headers.insert(name, HeaderValue::from(self.dropped));
        }
        let taxonomy = self.taxonomy.as_deref().map(visible);
        if let Some(Ok(taxonomy)) = taxonomy.map(HeaderValue::try_from) {
            headers.insert(HeaderName::from_static("x-gateway-taxonomy"), taxonomy);
        }
    }
}

/// `text` as a header can carry it: what is not visible ASCII is percent-encoded.
fn visible(text: &str) -> String {
    let encoded = |byte: u8| {
        if byte.is_ascii_graphic() && byte != b'%' {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(headers: &[(&'static str, &str)]) -> HeaderMap {
        let parse = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        headers.iter().map(parse).collect()
    }

    #[track_caller]
    fn check_named(
        inside: Option<&str>,
        beside: Option<&str>,
        expected: Result<Option<&str>, &str>,
    ) {
        let beside: Vec<_> = beside.into_iter().map(|id| ("x-session-id", id)).collect();
        let named = named(inside, &headers(&beside));
        let named = named.as_ref().map(Option::as_deref).map_err(GatewayError::code);
        assert_eq!(named, expected);
    }

    #[test]
    fn a_session_is_named_in_the_body_or_beside_it() {
        check_named(None, None, Ok(None));
        check_named(Some("a"), None, Ok(Some("a")));
        check_named(None, Some("a"), Ok(Some("a")));
        check_named(Some("a"), Some("a"), Ok(Some("a")));
        check_named(Some("a"), Some("b"), Err("invalid_request"));
    }

    #[track_caller]
    fn check_conflict(said: &[(&'static str, &str)], expected: Option<OnConflict>) {
        assert_eq!(on_conflict(&headers(said)).ok(), expected);
    }

    #[test]
    fn a_request_says_whether_it_waits() {
        check_conflict(&[], Some(OnConflict::Refuse));
        check_conflict(&[("x-session-conflict", "refuse")], Some(OnConflict::Refuse));
        check_conflict(&[("x-session-conflict", "wait")], Some(OnConflict::Wait(PATIENCE)));
        check_conflict(&[("x-session-conflict", "hope")], None);
    }

    #[test]
    fn facts_are_told_in_headers() {
        let mut told = HeaderMap::new();
        Composed::default().add_facts(&mut told);
        assert!(told.is_empty());
        let composed = Composed { dropped: 3, taxonomy: Some("Größe 5%_taxonomy".to_owned()) };
        composed.add_facts(&mut told);
        assert_eq!(told["x-gateway-history-dropped"], "3");
        assert_eq!(told["x-gateway-taxonomy"], "Gr%C3%B6%C3%9Fe%205%25_taxonomy");
    }
}
