//! What the gateway tells of itself.

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

/// `GET /openapi.json`: what there is to call, for programs.
pub(crate) fn openapi(app: &App) -> Result<Response<reply::Body>> {
    let mut document: Value = serde_json::from_str(OPENAPI).map_err(|error| {
        GatewayError::new(ErrorKind::Internal, "the document is unreadable").because(error)
    })?;
    if let Some(version) = document.pointer_mut("/info/version") {
        *version = app.about.version.as_str().into();
    }
    Ok(reply::json(StatusCode::OK, &document))
}

const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// The catalogued models that can be asked.
pub(crate) fn usable(app: &App) -> impl Iterator<Item = &Arc<ModelCard>> {
    app.routes.models().filter(|card| app.is_ready(&card.provider))
}
