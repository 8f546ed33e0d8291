//! The endpoints of conversations.

use super::{
    change::Change,
    kept::{self, Kept},
    key, not_found,
};
use crate::{
    App, Endpoint, body,
    generate::now,
    reply,
    responses::{Page, items, parameters},
};
use bytes::Bytes;
use gateway_core::{
    BoxError, ErrorKind, GatewayError, Json, Result,
    state::{Key, Tenant},
};
use gateway_limits::Client;
use gateway_wire::{Ids, json as wire};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

/// Items that can be added at once.
const MAX_ITEMS: usize = 20;
/// What an application may write down: pairs, and the letters of a name and of a value.
const METADATA: (usize, usize, usize) = (16, 64, 512);

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
    let desk = Desk { app, tenant };
    let wish = || Wish::read(&body, app.json_depth);
    let query = head.uri.query();
    match (endpoint, &head.method) {
        (Endpoint::Conversations, _) => desk.create(wish()?).await,
        (Endpoint::Conversation(id), &Method::POST) => desk.update(id, wish()?).await,
        (Endpoint::Conversation(id), &Method::DELETE) => desk.delete(id).await,
        (Endpoint::Conversation(id), _) => Ok(shown(&desk.get(id).await?.object())),
        (Endpoint::ConversationItems(id), &Method::POST) => desk.add(id, wish()?).await,
        (Endpoint::ConversationItems(id), _) => desk.list(id, query).await,
        (Endpoint::ConversationItem(id, item), &Method::DELETE) => desk.take_out(id, item).await,
        (Endpoint::ConversationItem(id, item), _) => desk.item(id, item).await,
        _ => Err(GatewayError::new(ErrorKind::Internal, "an endpoint without a handler")),
    }
}

/// What the body of a request says.
#[derive(Default, Deserialize)]
struct Wish {
    items: Option<Json>,
    metadata: Option<Json>,
}

impl Wish {
    /// Reads a body; an absent one wishes for nothing.
    fn read(body: &[u8], depth: usize) -> Result<Self> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        wire::validate(body, &wire::Limits { depth })?;
        serde_json::from_slice(body).map_err(|error| {
            GatewayError::invalid("body", "the body is not a JSON object").with_source(error)
        })
    }

    /// The items, each with a type and an id.
    fn items(&self) -> Result<Vec<Json>> {
        let Some(items) = self.items.as_ref().filter(|items| items.get() != "null") else {
            return Ok(Vec::new());
        };
        let wrong = |what: &'static str| GatewayError::invalid("items", what);
        let list: Vec<Json> = items.read().map_err(|_| wrong("items is a list"))?;
        if list.len() > MAX_ITEMS {
            return Err(wrong("at most 20 items can be added at once"));
        }
        if list.iter().any(|item| !item.get().starts_with('{')) {
            return Err(wrong("an item is an object"));
        }
        Ok(items::of_input(items, &mut Ids::new(Uuid::new_v4().as_u128())))
    }

    fn metadata(&self) -> Result<Option<Json>> {
        let Some(metadata) = self.metadata.as_ref().filter(|it| it.get() != "null") else {
            return Ok(None);
        };
        let wrong = || {
            let message = "metadata is at most 16 pairs of text: names of up to 64 letters, values of up to 512";
            GatewayError::invalid("metadata", message)
        };
        let pairs: BTreeMap<String, String> = metadata.read().map_err(|_| wrong())?;
        let (most, name, value) = METADATA;
        let fits = |(key, text): (&String, &String)| {
            key.chars().count() <= name && text.chars().count() <= value
        };
        if pairs.len() > most || !pairs.iter().all(fits) {
            return Err(wrong());
        }
        Ok(Some(Json::of(&pairs)))
    }
}

/// Where one tenant's wishes are met.
struct Desk<'a> {
    app: &'a App,
    tenant: Tenant,
}

impl Desk<'_> {
    async fn create(&self, wish: Wish) -> Result<Response<reply::Body>> {
        let first = Change { items: wish.items()?, metadata: wish.metadata()?, ..kept::change() };
        let kept = kept::create(self.app, &self.tenant, now(), first).await?;
        Ok(shown(&kept.object()))
    }

    async fn get(&self, id: &str) -> Result<Kept> {
        kept::load(self.app, &self.tenant, id, None).await?.ok_or_else(not_found)
    }

    async fn update(&self, id: &str, wish: Wish) -> Result<Response<reply::Body>> {
        let metadata = wish.metadata()?;
        let metadata = metadata.or_else(|| Json::parse("{}").ok());
        self.change(id, Change { metadata, ..kept::change() }).await?;
        Ok(shown(&self.get(id).await?.object()))
    }

    async fn delete(&self, id: &str) -> Result<Response<reply::Body>> {
        if !self.app.responses.store().delete(&self.key(id)?).await? {
            return Err(not_found());
        }
        let deleted = json!({ "id": id, "object": "conversation.deleted", "deleted": true });
        Ok(reply::json(StatusCode::OK, &deleted))
    }

    async fn add(&self, id: &str, wish: Wish) -> Result<Response<reply::Body>> {
        let items = wish.items()?;
        if items.is_empty() {
            return Err(GatewayError::invalid("items", "items is a list of at least one item"));
        }
        self.change(id, Change { items: items.clone(), ..kept::change() }).await?;
        Ok(shown(&list(&items, false)))
    }

    async fn list(&self, id: &str, query: Option<&str>) -> Result<Response<reply::Body>> {
        let page = Page::read(&parameters(query))?;
        let found = page.of(self.get(id).await?.items().to_vec())?;
        Ok(shown(&list(&found.items, found.has_more)))
    }

    async fn item(&self, id: &str, item: &str) -> Result<Response<reply::Body>> {
        let kept = self.get(id).await?;
        let is_it = |it: &&Json| items::id_of(it).is_some_and(|name| name == item);
        Ok(shown(kept.items().iter().find(is_it).ok_or_else(no_item)?))
    }

    async fn take_out(&self, id: &str, item: &str) -> Result<Response<reply::Body>> {
        self.item(id, item).await?;
        self.change(id, Change { deleted: Some(item.to_owned()), ..kept::change() }).await?;
        Ok(shown(&self.get(id).await?.object()))
    }

    async fn change(&self, id: &str, change: Change) -> Result<()> {
        kept::append(self.app.responses.store(), &self.key(id)?, &change).await
    }

    fn key(&self, id: &str) -> Result<Key> {
        key(&self.tenant, id).ok_or_else(not_found)
    }
}

fn no_item() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "there is no such item in the conversation")
        .with_param("item_id")
}

fn list(items: &[Json], has_more: bool) -> Json {
    let id = |item: Option<&Json>| item.and_then(items::id_of);
    Json::of(&json!({
        "object": "list",
        "data": items,
        "first_id": id(items.first()),
        "last_id": id(items.last()),
        "has_more": has_more,
    }))
}

fn shown(object: &Json) -> Response<reply::Body> {
    reply::written(StatusCode::OK, object.get().to_owned())
}
