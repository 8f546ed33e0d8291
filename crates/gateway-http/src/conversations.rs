//! The endpoints of conversations.

use crate::{App, Endpoint, body, generate::now, reply, responses::parameters};
use bytes::Bytes;
use gateway_core::{BoxError, ErrorKind, GatewayError, Result, state::Tenant};
use gateway_limits::Client;
use gateway_sessions::{
    conversations::{Desk, Wish, not_found},
    responses::Page,
};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use std::sync::Arc;

/// Answers a request about conversations; each client sees those of its tenant.
pub(crate) async fn serve<B>(
    app: &App,
    endpoint: Endpoint<'_>,
    client: &Client,
    request: Request<B>,
) -> Result<Response<reply::Body>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let tenant = Tenant::new(Arc::clone(&client.tenant)).ok_or_else(not_found)?;
    let (head, body) = request.into_parts();
    let (body, _share) = body::read(&head.headers, body, &app.limits).await?;
    let desk = Desk::new(app.responses.conversations(), tenant);
    let wish = || Wish::read(&body, app.json_depth);
    let object = match (endpoint, &head.method) {
        (Endpoint::Conversations, _) => desk.create(wish()?, now()).await,
        (Endpoint::Conversation(id), &Method::POST) => desk.update(id, wish()?).await,
        (Endpoint::Conversation(id), &Method::DELETE) => desk.delete(id).await,
        (Endpoint::Conversation(id), _) => desk.show(id).await,
        (Endpoint::ConversationItems(id), &Method::POST) => desk.add(id, wish()?).await,
        (Endpoint::ConversationItems(id), _) => {
            desk.list(id, &Page::read(&parameters(head.uri.query()))?).await
        }
        (Endpoint::ConversationItem(id, item), &Method::DELETE) => desk.take_out(id, item).await,
        (Endpoint::ConversationItem(id, item), _) => desk.item(id, item).await,
        _ => Err(GatewayError::new(ErrorKind::Internal, "an endpoint without a handler")),
    };
    Ok(reply::written(StatusCode::OK, object?.get().to_owned()))
}
