//! The storage plan of a request: the records it writes and the earlier responses it needs.

use super::{
    ResponseRecorder, Responses, chain, compaction, items,
    record::{ConversationPosition, Record},
    references,
};
use crate::conversations;
use gateway_core::{
    CacheDirective, ChatRequest, Dialect, ErrorKind, GatewayError, Json, JsonObject, Payload,
    Provider, ProviderRequest, RawRequest, Result, Target, state::Tenant,
};
use gateway_wire::{
    IdGenerator, InboundDialect as _, responses::ResponseStateFields, responses::ResponsesInbound,
};
use std::sync::Arc;

/// The id counter from which on ids belong to input items: no response has so many items.
const INPUT_IDS: u64 = 1 << 15;

/// The storage plan of a response.
#[derive(Debug, Default)]
pub struct Plan {
    /// The recorder, if the response is to be stored.
    pub keep: Option<ResponseRecorder>,
    /// It is to be made without its caller.
    pub background: bool,
    /// It is to be a summary of the conversation.
    pub compacts: bool,
    /// The taxonomy that the continued conversation is about.
    pub taxonomy: Option<String>,
}

/// Reads the storage parameters of `call`, with new ids from `ids`; prepends the earlier responses
/// that it continues, unless its provider stores them, and resolves item references.
///
/// # Errors
///
/// If the continued response does not exist, or if the request needs a store and there is none.
pub async fn plan(
    responses: &Responses,
    provider: &Arc<dyn Provider>,
    call: &mut ProviderRequest,
    ids: &IdGenerator,
) -> Result<Plan> {
    if call.original(Dialect::Responses).is_none() {
        return Ok(Plan::default());
    }
    // Boxed, so that it takes no room in the future of a request of another dialect.
    Box::pin(read(responses, provider, call, ids)).await
}

async fn read(
    responses: &Responses,
    provider: &Arc<dyn Provider>,
    call: &mut ProviderRequest,
    ids: &IdGenerator,
) -> Result<Plan> {
    let Some(original) = call.original(Dialect::Responses) else { return Ok(Plan::default()) };
    let fields = ResponseStateFields::read(&original.body)?;
    let background = fields.background;
    check(&fields)?;
    let tenant = Tenant::new(Arc::clone(&call.context.tenant)).ok_or_else(|| {
        GatewayError::new(ErrorKind::Internal, "a request that belongs to nobody")
    })?;
    // The account of a caller's own key is not known: the gateway stores the response then.
    let is_own_account = call.context.provider_key.is_none();
    let keeper = is_own_account.then(|| keeper(&**provider, &call.target)).flatten();
    let is_native = keeper.is_some();
    let answered_by = keeper.clone().unwrap_or_else(|| provider.id().to_owned());
    let mut record = Record::new(&answered_by, is_native && !background);
    record.background = background;
    let (kept_by, asked) = (keeper.as_deref(), original.body.len());
    let EarlierItems { items, within, taxonomy } =
        earlier(responses, &tenant, &fields, kept_by, asked).await?;
    let items = items.map(|items| compaction::restore_earlier(items, &tenant)).transpose()?;
    let keeps = fields.store || within.is_some();
    if keeps || fields.has_references || fields.has_compactions {
        let input = members(original)?.remove("input").unwrap_or_else(Json::null);
        record.input = items::of_input(&input, &mut ids.from(INPUT_IDS));
    }
    let before = items.as_deref().unwrap_or_default();
    let input = resolve_input(responses, &tenant, &fields, (&record.input, before), is_native);
    let ResolvedInput { items: resolved, compacts } = input.await?;
    let mut composed = None;
    if items.is_some() || resolved.is_some() {
        // What is wrong with the request is told in the caller's own places.
        call.request()?;
        let mut members = members(original)?;
        if let Some(resolved) = resolved {
            members.insert("input".to_owned(), Json::of(&resolved));
            record.input = resolved;
        }
        composed = Some(continued(members, items.unwrap_or_default())?);
    }
    record.previous = fields.previous_response_id;
    record.within = within;
    if background {
        composed = Some(uncomposed_request(call, composed)?);
    }
    if let Some(request) = composed {
        call.payload = Payload::Parsed(Arc::new(request));
    }
    if keeps && call.context.caching != CacheDirective::Off {
        // A kept answer has a name of its own.
        call.context.caching = CacheDirective::Bypass("kept");
    }
    let keep = keeps.then(|| ResponseRecorder::new(responses, tenant, record, fields.store));
    Ok(Plan { keep, background, compacts, taxonomy })
}

/// The input of a request, with resolved references.
struct ResolvedInput {
    /// The items; none if they are as they were.
    items: Option<Vec<Json>>,
    /// The conversation is to be compacted.
    compacts: bool,
}

/// Resolves the references and compactions among the items of an `input` behind those of `earlier`
/// responses.
async fn resolve_input(
    responses: &Responses,
    tenant: &Tenant,
    fields: &ResponseStateFields,
    (input, earlier): (&[Json], &[Json]),
    is_native: bool,
) -> Result<ResolvedInput> {
    let mut items = None;
    if fields.has_references {
        items = references::resolve(responses, tenant, input, earlier, is_native).await?;
    }
    let mut compacts = false;
    if fields.has_compactions {
        let read = compaction::read(items.as_deref().unwrap_or(input), tenant, is_native)?;
        compacts = read.is_requested;
        items = read.items.or(items);
    }
    Ok(ResolvedInput { items, compacts })
}

/// Returns the account that stores responses itself, if `provider` has a single account and the
/// Responses API: accounts do not share responses.
fn keeper(provider: &dyn Provider, target: &Target) -> Option<String> {
    let speaks = provider.upstream_dialect(target, Dialect::Responses);
    if speaks != Some(Dialect::Responses) {
        return None;
    }
    match provider.seal_owners(target).as_slice() {
        [] => Some(provider.id().to_owned()),
        [owner] => Some(owner.as_str().to_owned()),
        _ => None,
    }
}

/// Returns the error for two members that each select a history.
pub(crate) fn mutually_exclusive(one: &'static str, other: &'static str) -> GatewayError {
    let message = format!("{one} and {other} are mutually exclusive: each selects a history");
    GatewayError::invalid(other, message).with_code("mutually_exclusive_parameters")
}

/// Checks that the state parameters of `fields` are compatible.
pub(super) fn check(fields: &ResponseStateFields) -> Result<()> {
    if fields.background && !fields.store {
        let message = "a background response must be stored: `store` must not be false";
        return Err(GatewayError::invalid("background", message));
    }
    if fields.conversation.is_some() && fields.previous_response_id.is_some() {
        return Err(mutually_exclusive("previous_response_id", "conversation"));
    }
    Ok(())
}

/// The conversation before a request.
#[derive(Default)]
pub(super) struct EarlierItems {
    /// All of it; none if nothing was, or the provider knows it.
    pub(super) items: Option<Vec<Json>>,
    /// The taxonomy that it is about, as far as it is known.
    taxonomy: Option<String>,
    /// The conversation that it is part of.
    within: Option<ConversationPosition>,
}

/// Returns the conversation before the request of `fields`, whose input has `asked` bytes; empty if
/// the provider `kept_by` stores it, or may.
pub(super) async fn earlier(
    responses: &Responses,
    tenant: &Tenant,
    fields: &ResponseStateFields,
    kept_by: Option<&str>,
    asked: usize,
) -> Result<EarlierItems> {
    if let Some(previous) = &fields.previous_response_id {
        let turns = chain::resolve(responses, tenant, previous, kept_by).await?;
        return Ok(EarlierItems { items: turns.items, taxonomy: turns.taxonomy, within: None });
    }
    let Some(id) = &fields.conversation else { return Ok(EarlierItems::default()) };
    let kept = match responses.conversations().load(tenant, id, None).await {
        Ok(Some(kept)) => kept,
        Ok(None) | Err(_) if kept_by.is_some() => return Ok(EarlierItems::default()),
        Ok(None) => return Err(conversations::not_found()),
        Err(error) => return Err(error.into()),
    };
    kept.check_room(asked)?;
    let within = ConversationPosition { id: id.clone(), changes: kept.changes() };
    Ok(EarlierItems { items: Some(kept.input()), within: Some(within), taxonomy: None })
}

/// Returns the request in the form for a background run.
fn uncomposed_request(
    call: &mut ProviderRequest,
    composed: Option<ChatRequest>,
) -> Result<ChatRequest> {
    let mut request = match composed {
        Some(request) => request,
        None => call.request()?.clone(),
    };
    request.extra.remove("background");
    request.stream = true;
    call.stream = true;
    Ok(request)
}

fn members(original: &RawRequest) -> Result<JsonObject> {
    serde_json::from_slice(&original.body).map_err(|error| {
        GatewayError::invalid("body", "the body is not a JSON object").with_source(error)
    })
}

/// Returns the request of `members` with the items of `earlier` responses prepended.
pub(super) fn continued(mut members: JsonObject, earlier: Vec<Json>) -> Result<ChatRequest> {
    let own = members.remove("input").unwrap_or_else(Json::null);
    let mut input = earlier;
    match own.read::<Vec<Json>>() {
        Ok(items) => input.extend(items),
        Err(_) if own.get() == "null" => {}
        Err(_) => input.push(own),
    }
    members.insert("input".to_owned(), Json::of(&input));
    let mut request = ResponsesInbound.decode()(Json::of(&members).get().as_bytes())?;
    ResponseStateFields::untie(&mut request);
    Ok(request)
}
