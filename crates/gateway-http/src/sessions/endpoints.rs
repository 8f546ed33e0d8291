//! The endpoints of sessions.

use super::{
    parameters::{BodyMembers, MessagePosition, SessionQuery, expected_version},
    view,
};
use crate::{Endpoint, HttpService, RequestBody, reply, request::query::QueryParams};
use gateway_core::{
    ErrorKind, GatewayError, Result,
    state::{
        MessageRange, SessionContext, SessionPageQuery, SessionPatch, SessionSnapshot, Tenant,
    },
};
use gateway_engine::tenant;
use gateway_limits::Client;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::ETAG};
use std::{net::IpAddr, time::Duration};

/// Default and maximum number of sessions per page.
const SESSIONS: (usize, usize) = (20, 100);

/// Default and maximum number of messages per page.
const MESSAGES: (usize, usize) = (100, 1_000);

/// Serves a sessions request; each client sees those of its tenant.
pub(crate) async fn serve(
    service: &HttpService,
    endpoint: Endpoint<'_>,
    sender: (&Client, IpAddr),
    request: Request<RequestBody>,
) -> Result<Response<reply::Body>> {
    let tenant = tenant(sender.0)?;
    let (head, body) = request.into_parts();
    let body = service.read_body(&head.headers, body, sender).await?;
    let desk = SessionHandler { service, tenant };
    let members = || BodyMembers::read(&body, service.engine.settings.json_depth);
    let query = SessionQuery(QueryParams::parse(head.uri.query()));
    match (endpoint, &head.method) {
        (Endpoint::Sessions, &Method::POST) => desk.create(&members()?).await,
        (Endpoint::Sessions, _) => desk.list(&query).await,
        (Endpoint::Session(id), &Method::DELETE) => desk.delete(id).await,
        (Endpoint::Session(id), &Method::PATCH) => {
            desk.patch(id, &members()?, expected_version(&head.headers)?).await
        }
        (Endpoint::Session(id), _) => desk.show(StatusCode::OK, id).await,
        (Endpoint::SessionFork(id), _) => desk.fork(id, &members()?).await,
        (Endpoint::SessionMessages(id), _) => desk.messages(id, &query).await,
        _ => Err(GatewayError::new(ErrorKind::Internal, "an endpoint without a handler")),
    }
}

/// The operations on one tenant's sessions.
struct SessionHandler<'a> {
    service: &'a HttpService,
    tenant: Tenant,
}

impl SessionHandler<'_> {
    async fn create(&self, members: &BodyMembers) -> Result<Response<reply::Body>> {
        let context = members.get::<SessionContext>("context", "an object")?;
        let (ttl, context) = (ttl(members)?, context.unwrap_or_default());
        let session =
            self.service.engine.sessions.sessions().create(&self.tenant, ttl, context).await?;
        Ok(whole(StatusCode::CREATED, &SessionSnapshot { session, entries: Vec::new() }))
    }

    async fn show(&self, status: StatusCode, id: &str) -> Result<Response<reply::Body>> {
        let snapshot = self
            .service
            .engine
            .sessions
            .sessions()
            .get(&self.tenant, id, MessageRange::ALL)
            .await?;
        Ok(whole(status, &snapshot))
    }

    async fn delete(&self, id: &str) -> Result<Response<reply::Body>> {
        self.service.engine.sessions.sessions().delete(&self.tenant, id).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    async fn patch(
        &self,
        id: &str,
        members: &BodyMembers,
        expected: Option<u64>,
    ) -> Result<Response<reply::Body>> {
        let patch = members.get::<SessionPatch>("context", "an object")?.unwrap_or_default();
        if !patch.is_empty() {
            self.service
                .engine
                .sessions
                .sessions()
                .patch(&self.tenant, id, &patch, expected)
                .await?;
        }
        self.show(StatusCode::OK, id).await
    }

    async fn fork(&self, id: &str, members: &BodyMembers) -> Result<Response<reply::Body>> {
        let at = members.get("at_version", "a version: a whole number")?;
        let copy = self
            .service
            .engine
            .sessions
            .sessions()
            .fork(&self.tenant, id, at, ttl(members)?)
            .await?;
        self.show(StatusCode::CREATED, &copy.id).await
    }

    async fn list(&self, query: &SessionQuery) -> Result<Response<reply::Body>> {
        let limit = query.limit(SESSIONS.0, SESSIONS.1)?;
        let after = query.text("after").map(str::to_owned);
        let page = SessionPageQuery { after, limit };
        let listing = self.service.engine.sessions.sessions().list(&self.tenant, page).await?;
        Ok(reply::json(StatusCode::OK, &view::page(&listing)))
    }

    async fn messages(&self, id: &str, query: &SessionQuery) -> Result<Response<reply::Body>> {
        let limit = query.limit(MESSAGES.0, MESSAGES.1)? as u64;
        let after = query.number::<MessagePosition>("after")?;
        let slice = MessageRange { from: after.map_or(0, MessagePosition::next), limit };
        let snapshot = self.service.engine.sessions.sessions().get(&self.tenant, id, slice).await?;
        Ok(reply::json(StatusCode::OK, &view::messages(&snapshot)))
    }
}

fn ttl(members: &BodyMembers) -> Result<Option<Duration>> {
    let seconds = members.get("ttl_seconds", "a whole number of seconds")?;
    Ok(seconds.map(Duration::from_secs))
}

fn whole(status: StatusCode, snapshot: &SessionSnapshot) -> Response<reply::Body> {
    let mut reply = reply::json(status, &view::whole(snapshot));
    if let Ok(tag) = HeaderValue::try_from(view::tag(snapshot.session.version)) {
        reply.headers_mut().insert(ETAG, tag);
    }
    reply
}
