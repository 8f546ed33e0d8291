//! What the gateway tells of itself and of the models it serves.

use crate::{App, app::Backend, reply};
use gateway_core::{ErrorKind, GatewayError, ModelCard, Result};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// `GET /`
pub(crate) fn root(app: &App) -> Response<reply::Body> {
    let docs = app.about.docs.as_deref().unwrap_or("disabled");
    let body =
        json!({ "service": "LLM Gateway", "version": app.about.version.as_str(), "docs": docs });
    reply::json(StatusCode::OK, &body)
}

/// `GET /health`: the process runs. Asks nobody.
pub(crate) fn health(app: &App) -> Response<reply::Body> {
    let body = json!({
        "status": "healthy",
        "version": app.about.version.as_str(),
        "models_available": usable(app).count(),
    });
    reply::json(StatusCode::OK, &body)
}

/// `GET /metrics`, in Prometheus' text format.
pub(crate) fn metrics(app: &App) -> Result<Response<reply::Body>> {
    let render = app
        .metrics
        .as_ref()
        .ok_or_else(|| GatewayError::new(ErrorKind::NotFound, "metrics are switched off"))?;
    Ok(reply::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", render()))
}

/// `GET /v1/models`: what can be asked for, by its name in the catalogue.
pub(crate) fn models(app: &App) -> Response<reply::Body> {
    let data: Vec<_> = usable(app).map(|card| model_object(card)).collect();
    reply::json(StatusCode::OK, &json!({ "object": "list", "data": data }))
}

/// `GET /v1/models/{id}`: any name that a request could use.
pub(crate) fn model(app: &App, id: &str) -> Result<Response<reply::Body>> {
    let id = percent_decoded(id);
    let route = app.routes.route(&id)?;
    if !app.is_ready(&route.provider) {
        return Err(GatewayError::new(
            ErrorKind::ModelNotFound,
            "the model's provider is not configured",
        )
        .param("model"));
    }
    let object = match &route.target.card {
        Some(card) => model_object(card),
        None => object(&id, &route.provider),
    };
    Ok(reply::json(StatusCode::OK, &object))
}

/// `GET /v1/providers`: who is set up, and which catalogued models each serves.
pub(crate) fn providers(app: &App) -> Response<reply::Body> {
    let mut providers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, backend) in &app.providers {
        if matches!(backend, Backend::Ready(_)) {
            providers.entry(id).or_default();
        }
    }
    for card in app.routes.models() {
        if let Some(models) = providers.get_mut(card.provider.as_str()) {
            models.push(&card.id);
        }
    }
    let names: Vec<_> = providers.keys().copied().collect();
    let body = json!({
        "object": "provider_list",
        "providers": providers,
        "provider_names": names,
    });
    reply::json(StatusCode::OK, &body)
}

fn usable(app: &App) -> impl Iterator<Item = &Arc<ModelCard>> {
    app.routes.models().filter(|card| app.is_ready(&card.provider))
}

fn model_object(card: &ModelCard) -> Value {
    let mut model = object(&card.id, &card.provider);
    if let Some(model) = model.as_object_mut() {
        model
            .extend(card.context_window.map(|window| ("context_window".to_owned(), window.into())));
        model.extend(card.max_output.map(|limit| ("max_output_tokens".to_owned(), limit.into())));
    }
    model
}

/// When a model was made is not known here; clients want a number.
fn object(id: &str, owner: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
}

/// `text` with its percent escapes undone, once. The result is a key of a table, never a path.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let escaped = (byte == b'%').then(|| Some((digit(ahead.next()?)?, digit(ahead.next()?)?)));
        match escaped.flatten() {
            Some((high, low)) => {
                out.push(high << 4 | low);
                bytes = ahead;
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
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
}
