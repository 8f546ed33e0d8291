//! The fact headers of a reply: provider, attempts, cost, limits, session, context window.

use super::{cost, rate_limit};
use crate::names;
use gateway_core::{AttemptOutcome, CacheStatus, ResponseMeta};
use gateway_engine::{ContextFit, Decision, ResponseFacts};
use gateway_sessions::{CompositionFacts, StorageReport, describe};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

/// Adds the headers of `facts`.
pub(crate) fn write(facts: &ResponseFacts, headers: &mut HeaderMap) {
    rate_limit::write_headers(&facts.rate_limits, headers);
    write_session(&facts.session, headers);
    write_not_stored(facts, headers);
    if let Some(fit) = facts.context_fit {
        write_context_fit(fit, headers);
    }
    if let Some((usage, price)) = &facts.cost {
        cost::write(headers, usage, price.as_ref());
    }
    let Some(meta) = &facts.meta else { return };
    write_meta(meta, headers);
    if let Some(decision) = &facts.decision {
        write_decision(decision, meta, headers);
    }
}

/// Adds which provider answered, after how many attempts, and what was dropped.
pub(crate) fn write_meta(meta: &ResponseMeta, headers: &mut HeaderMap) {
    let mut add = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if !meta.provider.is_empty() {
        add("x-gateway-provider", &meta.provider);
    }
    if let Some(attempt) = meta.attempts_log.first() {
        add("x-gateway-fallback-from", &format!("{}/{}", attempt.provider, attempt.model));
    }
    if meta.attempts > 1 {
        add("x-gateway-attempts", &meta.attempts.to_string());
    }
    if let Some(cached) = meta.cache {
        add("x-cache", cached.as_str());
        if let CacheStatus::Hit { age } = cached {
            add("age", &age.as_secs().to_string());
        }
    }
    if let Some(id) = &meta.upstream_request_id {
        add("x-upstream-request-id", id);
    }
    if !meta.dropped.is_empty() {
        add("x-gateway-dropped", &meta.dropped.iter().collect::<Vec<_>>().join(","));
    }
}

/// Lists the records of the response and of its session that could not be stored.
fn write_not_stored(facts: &ResponseFacts, headers: &mut HeaderMap) {
    let session = facts.session.not_stored.as_ref().map(StorageReport::entries);
    let records: Vec<_> =
        facts.not_stored.iter().cloned().chain(session.into_iter().flatten()).collect();
    if let (false, Ok(value)) = (records.is_empty(), HeaderValue::try_from(describe(&records))) {
        headers.insert(names::NOT_STORED, value);
    }
}

/// Adds what was left out of the session's history, and the taxonomy in force.
fn write_session(session: &CompositionFacts, headers: &mut HeaderMap) {
    if session.dropped > 0 {
        let name = HeaderName::from_static("x-gateway-history-dropped");
        headers.insert(name, HeaderValue::from(session.dropped));
    }
    let taxonomy = session.taxonomy.as_deref().map(percent_encoded);
    if let Some(Ok(taxonomy)) = taxonomy.map(HeaderValue::try_from) {
        headers.insert(HeaderName::from_static("x-gateway-taxonomy"), taxonomy);
    }
}

fn write_context_fit(fit: ContextFit, headers: &mut HeaderMap) {
    let routed = HeaderValue::from_static(if fit.routed { "true" } else { "false" });
    headers.insert(HeaderName::from_static("x-cms-routed"), routed);
    for (name, value) in [
        ("x-cms-tier", u64::from(fit.tier())),
        ("x-token-count", fit.tokens),
        ("x-token-limit", fit.window),
        ("x-headroom-pct", fit.headroom()),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}

fn write_decision(decision: &Decision, meta: &ResponseMeta, headers: &mut HeaderMap) {
    let passed_by = meta.attempts_log.iter().map(|attempt| {
        let verdict = match attempt.outcome {
            AttemptOutcome::Failed(_) => "failed",
            AttemptOutcome::Skipped(_) => "passed_over",
        };
        let (provider, model) = (&*attempt.provider, &*attempt.model);
        let reason = attempt.outcome.to_string();
        json!({ "provider": provider, "model": model, "verdict": verdict, "reason": reason })
    });
    let report = json!({
        "rule": decision.rule.as_str(),
        "name": decision.group.as_deref(),
        "passed_by": passed_by.collect::<Vec<_>>(),
        "provider": &*meta.provider,
        "model": &*meta.model,
        "attempts": meta.attempts,
        "dropped": meta.dropped.iter().collect::<Vec<_>>(),
        "cache": meta.cache.map(CacheStatus::as_str),
    });
    if let Ok(value) = HeaderValue::from_bytes(report.to_string().as_bytes()) {
        headers.insert(HeaderName::from_static("x-gateway-decision"), value);
    }
}

/// `text` as a header can carry it: bytes that are not visible ASCII are percent-encoded.
fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| {
        if byte.is_ascii_graphic() && byte != b'%' {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_facts_are_written_percent_encoded() {
        let mut headers = HeaderMap::new();
        write_session(&CompositionFacts::default(), &mut headers);
        assert!(headers.is_empty());
        let taxonomy = Some("Größe 5%_taxonomy".to_owned());
        let session = CompositionFacts { dropped: 3, taxonomy, not_stored: None };
        write_session(&session, &mut headers);
        assert_eq!(headers["x-gateway-history-dropped"], "3");
        assert_eq!(headers["x-gateway-taxonomy"], "Gr%C3%B6%C3%9Fe%205%25_taxonomy");
    }
}
