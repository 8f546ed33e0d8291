//! The list of available models, in OpenAI's format and in Anthropic's.

use crate::{HttpService, platform::usable, reply, request::query::QueryParams};
use gateway_core::{ErrorKind, GatewayError, ModelCard, Result};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Whether a caller is one of Anthropic's.
pub(crate) fn is_for_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

/// `GET /v1/models`: the names of the catalogue, and those that stand for others.
pub(crate) fn list(
    service: &HttpService,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let usable = usable(service);
    let models = listed(service, &usable);
    if is_for_anthropic(headers) {
        let page = Page::read(&QueryParams::parse(query))?.of(&models)?;
        return Ok(reply::json(StatusCode::OK, &page));
    }
    let data: Vec<_> = models.values().map(Model::openai).collect();
    Ok(reply::json(StatusCode::OK, &json!({ "object": "list", "data": data })))
}

/// `GET /v1/models/{id}`: any name that a request could use.
pub(crate) fn show(
    service: &HttpService,
    headers: &HeaderMap,
    id: &str,
) -> Result<Response<reply::Body>> {
    let id = percent_decoded(id);
    let route = service.engine.directory.routes().route(&id)?;
    if !service.engine.directory.is_ready(&route.provider) {
        return Err(GatewayError::new(
            ErrorKind::ModelNotFound,
            "the model's provider is not configured",
        )
        .with_param("model"));
    }
    let model = Model { id: &id, owner: &route.provider, card: route.target.card.clone() };
    let model = if is_for_anthropic(headers) { model.anthropic() } else { model.openai() };
    Ok(reply::json(StatusCode::OK, &model))
}

/// A name that a request could use.
struct Model<'a> {
    id: &'a str,
    owner: &'a str,
    card: Option<Arc<ModelCard>>,
}

/// Returns every model and alias that can be requested, by name.
fn listed<'a>(
    service: &'a HttpService,
    usable: &'a [Arc<ModelCard>],
) -> BTreeMap<String, Model<'a>> {
    let mut models = BTreeMap::new();
    for card in usable {
        let model = Model { id: &card.id, owner: &card.provider, card: Some(Arc::clone(card)) };
        models.insert(card.id.to_lowercase(), model);
    }
    let names = service
        .engine
        .directory
        .routes()
        .aliases()
        .map(|(name, _)| name)
        .chain(service.engine.directory.routes().chains());
    for name in names {
        let Ok(route) = service.engine.directory.routes().route(name) else { continue };
        let Some((owner, _)) = service.engine.directory.backend(&route.provider) else { continue };
        if service.engine.directory.is_ready(owner) {
            // An alias beats a model of its name.
            let card = route.target.card;
            models.insert(name.to_lowercase(), Model { id: name, owner, card });
        }
    }
    models
}

impl Model<'_> {
    /// Returns the model in OpenAI's format; `created` is unknown, and clients require a number.
    fn openai(&self) -> Value {
        let mut object =
            json!({ "id": self.id, "object": "model", "created": 0, "owned_by": self.owner });
        if let (Some(object), Some(card)) = (object.as_object_mut(), self.card.as_deref()) {
            let window = card.context_window.map(|it| ("context_window".to_owned(), it.into()));
            object.extend(window);
            let limit = card.max_output.map(|it| ("max_output_tokens".to_owned(), it.into()));
            object.extend(limit);
        }
        object
    }

    /// The creation time of a model of unknown age, as the Anthropic API reports it.
    fn anthropic(&self) -> Value {
        json!({
            "type": "model",
            "id": self.id,
            "display_name": self.id,
            "created_at": "1970-01-01T00:00:00Z",
        })
    }
}

/// The requested page of the list.
#[derive(Debug)]
struct Page {
    limit: usize,
    before: Option<String>,
    after: Option<String>,
}

impl Page {
    fn read(query: &QueryParams) -> Result<Self> {
        let mut page = Self { limit: 20, before: None, after: None };
        for (name, value) in query.iter() {
            match name {
                "limit" => page.limit = limit(value)?,
                "before_id" => page.before = Some(value.to_lowercase()),
                "after_id" => page.after = Some(value.to_lowercase()),
                _ => {}
            }
        }
        if page.before.is_some() && page.after.is_some() {
            let message = "before_id and after_id are mutually exclusive";
            return Err(GatewayError::invalid("before_id", message));
        }
        Ok(page)
    }

    /// The page of `models` that is wanted.
    fn of(&self, models: &BTreeMap<String, Model<'_>>) -> Result<Value> {
        let find = |id: &String, param| {
            let found = models.keys().position(|key| key == id);
            found.ok_or_else(|| GatewayError::invalid(param, "unknown model id"))
        };
        let (from, to) = match (&self.after, &self.before) {
            (Some(after), _) => {
                let from = find(after, "after_id")? + 1;
                (from, from.saturating_add(self.limit).min(models.len()))
            }
            (None, Some(before)) => {
                let to = find(before, "before_id")?;
                (to.saturating_sub(self.limit), to)
            }
            (None, None) => (0, self.limit.min(models.len())),
        };
        let more = if self.before.is_some() { from > 0 } else { to < models.len() };
        let data: Vec<_> = models.values().skip(from).take(to.saturating_sub(from)).collect();
        Ok(json!({
            "data": data.iter().map(|model| model.anthropic()).collect::<Vec<_>>(),
            "has_more": more,
            "first_id": data.first().map(|model| model.id),
            "last_id": data.last().map(|model| model.id),
        }))
    }
}

fn limit(value: &str) -> Result<usize> {
    let limit = value.parse().ok().filter(|limit| (1..=1000).contains(limit));
    limit.ok_or_else(|| GatewayError::invalid("limit", "limit must be from 1 to 1000"))
}

/// Returns `text` percent-decoded, once. The result is a key of a table, never a path.
pub(crate) fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(percent_decoded(text), expected);
    }

    #[test]
    fn escapes_are_undone_once() {
        check("meta%2Fllama-3%3afree", "meta/llama-3:free");
        check("%252e", "%2e");
        check("100%", "100%");
        check("%zz%4", "%zz%4");
        check("%c3%a9", "é");
    }

    /// The ids on the page that `query` wants of the models `a` to `e`; `+` if there are more.
    #[track_caller]
    fn check_page(query: &str, expected: &str) {
        let ids = ["a", "b", "c", "d", "e"];
        let model = |id| Model { id, owner: "lab", card: None };
        let models = ids.into_iter().map(|id| (id.to_owned(), model(id))).collect();
        let page = Page::read(&QueryParams::parse(Some(query))).and_then(|page| page.of(&models));
        let told = page.map_or_else(
            |error| format!("refused: {}", error.param().unwrap_or_default()),
            |page| {
                let data = page["data"].as_array().unwrap();
                let ids: String = data.iter().map(|it| it["id"].as_str().unwrap()).collect();
                let end = |id: &Value| id.as_str().unwrap_or_default().to_owned();
                let ends = end(&page["first_id"]) + &end(&page["last_id"]);
                let (first, last) = (ids.get(..1), ids.get(ids.len().saturating_sub(1)..));
                assert_eq!(ends, first.unwrap_or_default().to_owned() + last.unwrap_or_default());
                ids + if page["has_more"] == true { "+" } else { "" }
            },
        );
        assert_eq!(told, expected, "{query}");
    }

    #[test]
    fn models_come_in_pages() {
        check_page("", "abcde");
        check_page("limit=2", "ab+");
        check_page("limit=2&after_id=b", "cd+");
        check_page("limit=2&after_id=c", "de");
        check_page("limit=2&after_id=e", "");
        check_page("limit=2&before_id=d", "bc+");
        check_page("limit=2&before_id=C", "ab");
        check_page("before_id=a", "");
        check_page("beta=true&limit=1000", "abcde");
    }

    #[test]
    fn a_page_that_cannot_be_is_refused() {
        for limit in ["0", "1001", "x", "-1", ""] {
            check_page(&format!("limit={limit}"), "refused: limit");
        }
        check_page("after_id=x", "refused: after_id");
        check_page("before_id=%61%62", "refused: before_id");
        check_page("before_id=a&after_id=b", "refused: before_id");
    }
}
