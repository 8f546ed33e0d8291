//! The list of available models, in OpenAI's format and in Anthropic's.

mod codex;

use crate::{HttpService, names, platform::usable, reply, request::query::QueryParams};
use gateway_core::{Date, ErrorKind, GatewayError, ModelCard, Result, Routes};
use gateway_limits::{Client, DAY};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Whether a caller is one of Anthropic's.
pub(crate) fn is_for_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key(names::ANTHROPIC_VERSION)
}

/// `GET /v1/models`: the models that `client` may use, and the names that stand for others.
pub(crate) fn list(
    service: &HttpService,
    client: &Client,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response<reply::Body>> {
    let models = usable_models(service, client);
    let is_codex = QueryParams::parse(query).iter().any(|(name, _)| name == codex::CLIENT_VERSION);
    if is_codex {
        return Ok(codex::catalogue(models.values(), headers));
    }
    if is_for_anthropic(headers) {
        let page = ModelPage::read(&QueryParams::parse(query))?.of(&models)?;
        return Ok(reply::json(StatusCode::OK, &page));
    }
    let data: Vec<_> = models.values().map(Model::openai).collect();
    Ok(reply::json(StatusCode::OK, &json!({ "object": "list", "data": data })))
}

/// `GET /v1/models/{id}`: any name that a request of `client` could use.
pub(crate) fn show(
    service: &HttpService,
    client: &Client,
    headers: &HeaderMap,
    id: &str,
) -> Result<Response<reply::Body>> {
    let id = percent_decoded(id);
    let routes = service.engine.directory.routes();
    let route = routes.route(&id)?;
    if !service.engine.directory.is_ready(&route.provider) {
        return Err(GatewayError::new(
            ErrorKind::ModelNotFound,
            "the model's provider is not configured",
        )
        .with_param("model"));
    }
    let names = routes.permitted_names(&route);
    client.check_model(&id, || &names)?;
    let model = Model { id, owner: route.provider.to_string(), card: route.target.card };
    let model = if is_for_anthropic(headers) { model.anthropic() } else { model.openai() };
    Ok(reply::json(StatusCode::OK, &model))
}

/// A name that a request could use.
struct Model {
    id: String,
    owner: String,
    card: Option<Arc<ModelCard>>,
}

/// Returns every model and alias that `client` can request, by name.
fn usable_models(service: &HttpService, client: &Client) -> BTreeMap<String, Model> {
    let (directory, routes) = (&service.engine.directory, service.engine.directory.routes());
    let mut models = BTreeMap::new();
    service.engine.local_models.want();
    let reported = service.engine.local_models.providers();
    for card in usable(service) {
        // What a local server reports goes before what it is known to have had.
        if reported.iter().any(|provider| **provider == *card.provider) {
            continue;
        }
        let id = callable_name(routes, &card.provider, &card.id);
        let owner = card.provider.clone();
        insert(&mut models, routes, client, Model { id, owner, card: Some(card) });
    }
    for provider in reported.iter().filter(|provider| directory.is_ready(provider)) {
        for local in service.engine.local_models.of(provider).iter().flat_map(|it| it.iter()) {
            let id = callable_name(routes, provider, &local.name);
            let known = routes.route(&id).ok().and_then(|route| route.target.card);
            let known = known
                .map_or_else(|| ModelCard::new(&*local.name, &**provider), |card| (*card).clone());
            let context_window = local.context_window.or(known.context_window);
            let card = Some(Arc::new(ModelCard { context_window, ..known }));
            insert(&mut models, routes, client, Model { id, owner: provider.to_string(), card });
        }
    }
    for name in routes.aliases().map(|(name, _)| name).chain(routes.chains()) {
        let Ok(route) = routes.route(name) else { continue };
        if directory.is_ready(&route.provider) {
            // An alias beats a model of its name.
            let (id, owner) = (name.to_owned(), route.provider.to_string());
            insert(&mut models, routes, client, Model { id, owner, card: route.target.card });
        }
    }
    models
}

/// Adds a model that `client` may use.
fn insert(models: &mut BTreeMap<String, Model>, routes: &Routes, client: &Client, model: Model) {
    let is_permitted = client.models.is_none() || {
        let names = routes.route(&model.id).map(|route| routes.permitted_names(&route));
        let names = names.unwrap_or_default();
        client.check_model(&model.id, || &names).is_ok()
    };
    if is_permitted {
        models.insert(model.id.to_lowercase(), model);
    }
}

/// The name by which a request reaches the model `id` of `provider`.
fn callable_name(routes: &Routes, provider: &str, id: &str) -> String {
    if routes.is_bare(provider, id) { id.to_owned() } else { format!("{provider}/{id}") }
}

impl Model {
    /// Returns the model in OpenAI's format; clients require a number of `created`, 0 if unknown.
    fn openai(&self) -> Value {
        let created = self.released().and_then(Date::days).unwrap_or_default() * DAY;
        let mut object =
            json!({ "id": self.id, "object": "model", "created": created, "owned_by": self.owner });
        if let (Some(object), Some(card)) = (object.as_object_mut(), self.card.as_deref()) {
            let mut put = |name: &str, value: Option<Value>| {
                object.extend(value.map(|value| (name.to_owned(), value)));
            };
            put("display_name", card.display_name.clone().map(Value::from));
            put("context_window", card.context_window.map(Value::from));
            put("max_output_tokens", card.max_output.map(Value::from));
            put("default_reasoning_level", card.rules.default_effort.map(|it| it.as_str().into()));
            let efforts = card.rules.efforts.iter();
            let efforts: Vec<_> = efforts.map(|it| json!({ "effort": it.as_str() })).collect();
            put("supported_reasoning_levels", (!efforts.is_empty()).then(|| efforts.into()));
        }
        object
    }

    /// Returns the model in Anthropic's format; one of unknown age is of 1970, as in that API.
    fn anthropic(&self) -> Value {
        let day = self.released().unwrap_or(Date { year: 1970, month: 1, day: 1 });
        let card = self.card.as_deref();
        let name = card.and_then(|card| card.display_name.as_deref()).unwrap_or(&self.id);
        let mut model = json!({
            "type": "model",
            "id": self.id,
            "display_name": name,
            "created_at": format!("{}T00:00:00Z", day.text()),
        });
        if let (Some(model), Some(card)) = (model.as_object_mut(), card) {
            let window = card.context_window.map(|it| ("max_input_tokens".to_owned(), it.into()));
            let output = card.max_output.map(|it| ("max_tokens".to_owned(), it.into()));
            model.extend(window.into_iter().chain(output));
        }
        model
    }

    fn released(&self) -> Option<Date> {
        self.card.as_ref()?.released
    }
}

/// The requested page of the list.
#[derive(Debug)]
struct ModelPage {
    limit: usize,
    before: Option<String>,
    after: Option<String>,
}

impl ModelPage {
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
    fn of(&self, models: &BTreeMap<String, Model>) -> Result<Value> {
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
            "first_id": data.first().map(|model| &model.id),
            "last_id": data.last().map(|model| &model.id),
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
        let model = |id: &str| Model { id: id.to_owned(), owner: "lab".to_owned(), card: None };
        let models = ids.into_iter().map(|id| (id.to_owned(), model(id))).collect();
        let page =
            ModelPage::read(&QueryParams::parse(Some(query))).and_then(|page| page.of(&models));
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
    fn invalid_page_is_rejected() {
        for limit in ["0", "1001", "x", "-1", ""] {
            check_page(&format!("limit={limit}"), "refused: limit");
        }
        check_page("after_id=x", "refused: after_id");
        check_page("before_id=%61%62", "refused: before_id");
        check_page("before_id=a&after_id=b", "refused: before_id");
    }
}
