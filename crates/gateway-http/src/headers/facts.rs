//! The fact headers of a reply: provider, attempts, cost, limits, session, context window.

use super::{batch::HeaderBatch, cost, rate_limit};
use crate::names;
use gateway_core::{AttemptOutcome, CacheStatus, ResponseMeta};
use gateway_engine::{ContextFit, Decision, ResponseFacts};
use gateway_limits::RateLimitStatus;
use gateway_sessions::{CompositionFacts, StorageReport, describe};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;

/// Adds the headers of `facts` to a reply that may have some of them.
pub(crate) fn write(facts: &ResponseFacts, headers: &mut HeaderMap) {
    usual(facts).insert_into(headers);
    write_rare(facts, headers);
}

/// Adds the headers of `facts` to a new reply, which has none of them.
pub(crate) fn write_first(facts: &ResponseFacts, headers: &mut HeaderMap) {
    usual(facts).append_to(headers);
    write_rare(facts, headers);
}

/// Returns the headers that most replies get.
fn usual(facts: &ResponseFacts) -> HeaderBatch {
    let mut batch = HeaderBatch::new();
    rate_limit::write_headers(&facts.rate_limits, &mut batch);
    if facts.usage_is_estimated {
        batch.text(names::ESTIMATED, "true");
    }
    if let Some(cost) = facts.cost {
        cost::write(&mut batch, cost);
    }
    if let Some(meta) = &facts.meta {
        add_meta(meta, &mut batch);
    }
    batch
}

/// Adds the headers that few replies get.
fn write_rare(facts: &ResponseFacts, headers: &mut HeaderMap) {
    write_session(&facts.session, headers);
    write_not_stored(facts, headers);
    if let Some(fit) = facts.context_fit {
        write_context_fit(fit, headers);
    }
    if let (Some(meta), Some(decision)) = (&facts.meta, &facts.decision) {
        write_decision(decision, meta, headers);
    }
}

/// Adds the state of the caller's rate limits.
pub(crate) fn write_rate_limits(status: &RateLimitStatus, headers: &mut HeaderMap) {
    let mut batch = HeaderBatch::new();
    rate_limit::write_headers(status, &mut batch);
    batch.insert_into(headers);
}

/// Adds the provider, the number of attempts, and the dropped parameters.
pub(crate) fn write_meta(meta: &ResponseMeta, headers: &mut HeaderMap) {
    let mut batch = HeaderBatch::new();
    add_meta(meta, &mut batch);
    batch.insert_into(headers);
}

fn add_meta(meta: &ResponseMeta, batch: &mut HeaderBatch) {
    let mut add = |name: HeaderName, value: &str| batch.text(name, value);
    let assumed = meta.card.as_ref().and_then(|card| card.assumed_from.as_deref());
    if let Some(assumed) = assumed {
        add(names::ASSUMED, assumed);
    }
    if !meta.provider.is_empty() {
        add(names::PROVIDER, &meta.provider);
    }
    if let Some(attempt) = meta.attempts_log.first() {
        add(names::FALLBACK_FROM, &format!("{}/{}", attempt.provider, attempt.model));
    }
    if meta.attempts > 1 {
        add(names::ATTEMPTS, &meta.attempts.to_string());
    }
    if let Some(cached) = meta.cache {
        add(names::CACHE_STATUS, cached.as_str());
        if let CacheStatus::Hit { age } = cached {
            add(header::AGE, &age.as_secs().to_string());
        }
    }
    for (name, value) in meta.relayed_headers.iter().flat_map(|it| it.iter()) {
        if let Ok(name) = HeaderName::try_from(name) {
            add(name, value);
        }
    }
    if let Some(id) = &meta.upstream_request_id {
        add(names::UPSTREAM_REQUEST_ID, id);
    }
    if !meta.dropped.is_empty() {
        add(names::DROPPED, &meta.dropped.iter().collect::<Vec<_>>().join(","));
    }
}

/// Lists the records of the response and of its session that could not be stored.
fn write_not_stored(facts: &ResponseFacts, headers: &mut HeaderMap) {
    if facts.not_stored.is_empty() && facts.session.not_stored.is_none() {
        return;
    }
    let session = facts.session.not_stored.as_ref().map(StorageReport::entries);
    let records: Vec<_> =
        facts.not_stored.iter().cloned().chain(session.into_iter().flatten()).collect();
    if let (false, Ok(value)) = (records.is_empty(), HeaderValue::try_from(describe(&records))) {
        headers.insert(names::NOT_STORED, value);
    }
}

/// Adds the dropped part of the session's history, and the current taxonomy.
fn write_session(session: &CompositionFacts, headers: &mut HeaderMap) {
    if session.dropped > 0 {
        headers.insert(names::HISTORY_DROPPED, HeaderValue::from(session.dropped));
    }
    write_taxonomy(session.taxonomy.as_deref(), headers);
}

/// Adds the taxonomy that applied to a request.
pub(crate) fn write_taxonomy(taxonomy: Option<&str>, headers: &mut HeaderMap) {
    if let Some(Ok(taxonomy)) = taxonomy.map(percent_encoded).map(HeaderValue::try_from) {
        headers.insert(names::TAXONOMY, taxonomy);
    }
}

fn write_context_fit(fit: ContextFit, headers: &mut HeaderMap) {
    let routed = HeaderValue::from_static(if fit.routed { "true" } else { "false" });
    headers.insert(names::CMS_ROUTED, routed);
    for (name, value) in [
        (names::CMS_TIER, u64::from(fit.tier())),
        (names::TOKEN_COUNT, fit.tokens),
        (names::TOKEN_LIMIT, fit.window),
        (names::HEADROOM_PCT, fit.headroom()),
    ] {
        headers.insert(name, HeaderValue::from(value));
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
        headers.insert(names::DECISION, value);
    }
}

/// The characters of a header value that are percent-encoded, like all that are not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Returns `text` as a header value: characters that are not visible ASCII are percent-encoded.
fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
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
