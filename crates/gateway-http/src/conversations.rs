//! The endpoints of conversations.

use crate::{Endpoint, HttpService, RequestBody, reply, request::query::QueryParams};
use gateway_core::{ErrorKind, GatewayError, Result, state::Tenant};
use gateway_limits::Client;
use gateway_sessions::{
    conversations::{ConversationCommand, ConversationHandler, not_found},
    responses::ItemPageQuery,
};
use gateway_tasks::unix_time;
use http::{Method, Request, Response, StatusCode};
use std::{net::IpAddr, sync::Arc};

/// Serves a conversations request; each client sees those of its tenant.
pub(crate) async fn serve(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    sender: (&Client, IpAddr),
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>> {
    let tenant = Tenant::new(Arc::clone(&sender.0.tenant)).ok_or_else(not_found)?;
    let (head, body) = request.into_parts();
    let body = service.read_body(&head.headers, body, sender).await?;
    let desk = ConversationHandler::new(service.engine.responses.conversations(), tenant);
    let wish = || ConversationCommand::read(&body, service.engine.settings.json_depth);
    let object = match (endpoint, &head.method) {
        (Endpoint::Conversations, _) => desk.create(wish()?, unix_time().as_secs()).await,
        (Endpoint::Conversation(id), &Method::POST) => desk.update(id, wish()?).await,
        (Endpoint::Conversation(id), &Method::DELETE) => desk.delete(id).await,
        (Endpoint::Conversation(id), _) => desk.show(id).await,
        (Endpoint::ConversationItems(id), &Method::POST) => desk.add(id, wish()?).await,
        (Endpoint::ConversationItems(id), _) => {
            let query = QueryParams::parse(head.uri.query());
            desk.list(id, &ItemPageQuery::read(&query.by_name())?).await
        }
        (Endpoint::ConversationItem(id, item), &Method::DELETE) => desk.take_out(id, item).await,
        (Endpoint::ConversationItem(id, item), _) => desk.item(id, item).await,
        _ => Err(GatewayError::new(ErrorKind::Internal, "an endpoint without a handler")),
    };
    Ok(reply::written(StatusCode::OK, object?.get().to_owned()))
}
