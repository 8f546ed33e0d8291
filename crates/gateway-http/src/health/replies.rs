//! The replies of the health endpoints.

use super::{CheckState, HealthReport, Readiness, STORE, TASKS};
use crate::{HttpService, platform, reply};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

/// `GET /health/ready`: whether requests should be sent here.
pub(crate) async fn ready(service: &HttpService) -> Response<reply::Body> {
    let report = service.health.report().await;
    let readiness = service.health.readiness(&report);
    let body = json!({
        "status": readiness.as_str(),
        "checks": checks(&report),
        "models_available": platform::count_usable(service),
    });
    reply::json(readiness.status(), &body)
}

/// `GET /health/detailed`: how everything is, for operators.
pub(crate) async fn detailed(service: &HttpService) -> Response<reply::Body> {
    let report = service.health.report().await;
    let readiness = service.health.readiness(&report);
    let models = platform::count_usable(service);
    let healthy = readiness == Readiness::Ready && models > 0;
    let inference = service.engine.directory.is_ready("inference")
        || service.engine.directory.is_ready("llamacpp");
    let mut body = (service.health.told)();
    let mut tell = |name: &str, value: Value| body.insert(name.to_owned(), value);
    tell("status", if healthy { "healthy" } else { "degraded" }.into());
    tell("ready", readiness.as_str().into());
    tell("version", service.about.version.as_str().into());
    tell("models_available", models.into());
    tell("inference_service", if inference { "registered" } else { "no_providers" }.into());
    tell("dependencies", dependencies(&report));
    tell("admission", service.engine.limits.admission.status().into());
    let status = if models > 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json(status, &Value::Object(body))
}

/// Returns the status of each dependency, by name. The store and the search are always there: without a
/// store nothing of it can fail. Tasks are there if one has failed.
pub(super) fn checks(report: &HealthReport) -> Map<String, Value> {
    let always = [(STORE, Value::from(true)), ("semantic_search", Value::Null)];
    let always = always.into_iter().map(|(name, value)| (name.to_owned(), value));
    let shown = report.looks.iter().filter(|look| look.name != TASKS || !look.finding.well);
    always.chain(shown.map(|look| (look.name.clone(), look.check()))).collect()
}

fn dependencies(report: &HealthReport) -> Value {
    let told = |look: &CheckState| {
        let mut told = look.finding.details.clone();
        told.insert("status".to_owned(), look.status().into());
        told.insert("critical".to_owned(), look.critical.into());
        let micros = u32::try_from(look.took.as_micros()).unwrap_or(u32::MAX);
        told.insert("latency_ms".to_owned(), (f64::from(micros) / 1000.0).into());
        (look.name.clone(), Value::Object(told))
    };
    Value::Object(report.looks.iter().map(told).collect())
}

impl CheckState {
    /// Returns whether the dependency does its work; `null` if it is not used.
    fn check(&self) -> Value {
        if self.finding.unused { Value::Null } else { self.finding.well.into() }
    }

    const fn status(&self) -> &'static str {
        match (self.finding.unused, self.finding.well) {
            (true, _) => "unused",
            (false, true) => "up",
            (false, false) => "down",
        }
    }
}

impl Readiness {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NotReady => "not_ready",
            Self::Draining => "draining",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Ready | Self::Degraded => StatusCode::OK,
            Self::NotReady | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
