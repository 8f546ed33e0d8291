//! The endpoints with information about the gateway.

use crate::{HttpService, reply};
use gateway_core::{ErrorKind, GatewayError, ModelCard, Result};
use gateway_engine::Backend;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Serves `GET /`: service name, version, and the path of the API reference.
pub(crate) fn root(service: &HttpService) -> Response<reply::Body> {
    let docs = service.about.docs.as_deref().unwrap_or("disabled");
    let body = json!({ "service": "LLM Gateway", "version": service.about.version.as_str(), "docs": docs });
    reply::json(StatusCode::OK, &body)
}

/// Serves `GET /health`: the process runs. Checks no dependency.
pub(crate) fn health(service: &HttpService) -> Response<reply::Body> {
    let body = json!({
        "status": "healthy",
        "version": service.about.version.as_str(),
        "models_available": count_usable(service),
        "inference_service": "not_managed",
    });
    reply::json(StatusCode::OK, &body)
}

/// `GET /metrics`, in Prometheus' text format.
pub(crate) fn metrics(service: &HttpService) -> Result<Response<reply::Body>> {
    let render = service
        .metrics
        .as_ref()
        .ok_or_else(|| GatewayError::new(ErrorKind::NotFound, "metrics are disabled"))?;
    Ok(reply::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", render()))
}

/// `GET /v1/providers`: the configured providers, their models and their status.
pub(crate) fn providers(service: &HttpService) -> Response<reply::Body> {
    let cards = usable(service);
    let mut providers: BTreeMap<&str, Vec<&str>> =
        ready(service).map(|id| (id, Vec::new())).collect();
    for card in &cards {
        if let Some(models) = providers.get_mut(card.provider.as_str()) {
            models.push(&card.id);
        }
    }
    let names: Vec<_> = providers.keys().copied().collect();
    let status = service
        .engine
        .directory
        .backends()
        .map(|(id, backend)| (&**id, status(service, id, backend)));
    let status: BTreeMap<&str, Value> = status.collect();
    let body = json!({
        "object": "provider_list",
        "providers": providers,
        "provider_names": names,
        "status": status,
    });
    reply::json(StatusCode::OK, &body)
}

fn status(service: &HttpService, id: &str, backend: &Backend) -> Value {
    match backend {
        Backend::Ready(_) => json!({ "configured": true, "healthy": !(service.circuits)(id) }),
        Backend::NotReady(why) => json!({ "configured": false, "healthy": false, "reason": why }),
    }
}

/// Returns the ids of providers that can be called.
fn ready(service: &HttpService) -> impl Iterator<Item = &str> {
    service
        .engine
        .directory
        .backends()
        .filter(|(_, backend)| backend.is_ready())
        .map(|(id, _)| &**id)
}

/// The configured and catalogued models that can be asked.
pub(crate) fn usable(service: &HttpService) -> Vec<Arc<ModelCard>> {
    service.engine.directory.routes().models(ready(service))
}

/// The number of models that can be asked.
pub(crate) fn count_usable(service: &HttpService) -> usize {
    service.engine.directory.routes().count_models(ready(service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endpoint, admin, openapi::OPENAPI};
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::from_str(OPENAPI).unwrap()
    }

    #[test]
    fn openapi_document_lists_exactly_all_endpoints() {
        let document = document();
        let mut told = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let methods = item.as_object().unwrap().keys().filter(|it| *it != "parameters");
            told.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
        }
        let mut served = BTreeSet::new();
        for endpoint in Endpoint::ALL {
            let methods = endpoint.methods().iter();
            served.extend(methods.map(|method| format!("{method} {}", endpoint.label())));
        }
        served.extend(admin::OPERATIONS.iter().map(|it| (*it).to_owned()));
        assert_eq!(told, served);
    }

    #[test]
    fn openapi_references_resolve() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            if let Some(to) = value.get("$ref").and_then(Value::as_str) {
                found.push(to);
            }
            if let Some(object) = value.as_object() {
                object.values().for_each(|value| references(value, found));
            }
            if let Some(list) = value.as_array() {
                for value in list {
                    references(value, found);
                }
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_failure_has_a_shape() {
        let document = document();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                for (status, mut reply) in operation["responses"].as_object().unwrap() {
                    if let Some(reference) = reply["$ref"].as_str() {
                        reply = document.pointer(&reference[1..]).unwrap();
                    }
                    let schema = &reply["content"]["application/json"]["schema"];
                    let succeeded = status.starts_with('2') || status == "101";
                    assert!(succeeded || schema["$ref"].is_string(), "{path} {status}");
                }
                for status in ["500", "503"] {
                    assert!(operation["responses"][status].is_object(), "{path} {status}");
                }
            }
        }
    }
}
