//! What a request wants kept, and what of earlier answers it needs.

use super::{Keep, chain, items, record::Members, record::Record};
use crate::App;
use gateway_core::{
    Ask, Call, ChatRequest, Dialect, ErrorKind, GatewayError, Json, Original, Provider, Result,
    state::Tenant,
};
use gateway_wire::{Caller as _, Ids, responses::ResponsesCaller, responses::StateFields};
use std::sync::Arc;
use uuid::Uuid;

/// What is to be done about an answer beside giving it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// It is to be kept.
    pub(crate) keep: Option<Keep>,
    /// It is to be made without its caller.
    pub(crate) background: bool,
}

/// Reads what `call` says of keeping its answer, and puts the earlier answers that it continues
/// into it, unless its provider knows them.
///
/// # Errors
///
/// If the call continues an answer that nobody knows, or wants what only a store can give while
/// there is none.
pub(crate) async fn plan(
    app: &Arc<App>,
    provider: &Arc<dyn Provider>,
    call: &mut Call,
) -> Result<Plan> {
    let Some(original) = call.original(Dialect::Responses) else { return Ok(Plan::default()) };
    let fields = StateFields::read(&original.body)?;
    let background = fields.background;
    if background && !fields.store {
        let message = "an answer that is made in the background has to be stored";
        return Err(GatewayError::invalid("background", message));
    }
    let tenant = Tenant::new(Arc::clone(&call.context.tenant)).ok_or_else(|| {
        GatewayError::new(ErrorKind::Internal, "a request that belongs to nobody")
    })?;
    let is_native = provider.speaks(&call.target, Dialect::Responses) == Some(Dialect::Responses);
    let mut record = Record::new(provider.id(), is_native && !background);
    record.background = background;
    if fields.store {
        let mut ids = Ids::new(Uuid::new_v4().as_u128());
        let input = members(original)?.remove("input").unwrap_or_else(Json::null);
        record.input = items::of_input(&input, &mut ids);
    }
    let mut composed = None;
    if let Some(previous) = fields.previous_response_id {
        let kept_by = is_native.then(|| provider.id());
        if let Some(earlier) = chain::resolve(app, &tenant, &previous, kept_by).await? {
            // What is wrong with the request is told in the caller's own places.
            call.request()?;
            composed = Some(continued(members(original)?, earlier)?);
        }
        record.previous = Some(previous);
    }
    if background {
        let mut request = match composed.take() {
            Some(request) => request,
            None => call.request()?.clone(),
        };
        request.extra.remove("background");
        request.stream = true;
        call.stream = true;
        composed = Some(request);
    }
    if let Some(request) = composed {
        call.ask = Ask::Composed(Arc::new(request));
    }
    let keep = fields.store.then(|| Keep::new(app, tenant, record));
    Ok(Plan { keep, background })
}

fn members(original: &Original) -> Result<Members> {
    serde_json::from_slice(&original.body).map_err(|error| {
        GatewayError::invalid("body", "the body is not a JSON object").because(error)
    })
}

/// The request of `members` with the items of `earlier` answers put before its own.
pub(super) fn continued(mut members: Members, earlier: Vec<Json>) -> Result<ChatRequest> {
    let own = members.remove("input").unwrap_or_else(Json::null);
    let mut input = earlier;
    match own.read::<Vec<Json>>() {
        Ok(items) => input.extend(items),
        Err(_) if own.get() == "null" => {}
        Err(_) => input.push(own),
    }
    members.insert("input".to_owned(), Json::of(&input));
    let mut request = ResponsesCaller.decode()(Json::of(&members).get().as_bytes())?;
    StateFields::untie(&mut request);
    Ok(request)
}
