//! What was decided about a request, told to the caller who asks for it.

use crate::names;
use gateway_core::{AttemptOutcome, ResponseMeta, Route, Rule};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use std::sync::Arc;

/// What was decided before anybody was asked.
pub(crate) struct Decision {
    rule: Rule,
    chain: Option<Arc<str>>,
}

impl Decision {
    /// What was decided, if `headers` ask for it: `x-gateway-explain: true`.
    pub(crate) fn wanted(headers: &HeaderMap, route: &Route) -> Option<Self> {
        let asked = headers.get(names::EXPLAIN);
        let is_wanted = asked.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
        is_wanted.then(|| Self { rule: route.rule, chain: route.chain.clone() })
    }

    /// Tells it, and what `meta` knows of what came then.
    pub(crate) fn add_to(&self, meta: &ResponseMeta, headers: &mut HeaderMap) {
        let passed_by = meta.attempts_log.iter().map(|step| {
            let verdict = match step.outcome {
                AttemptOutcome::Failed(_) => "failed",
                AttemptOutcome::Skipped(_) => "passed_over",
            };
            let (provider, model) = (&*step.provider, &*step.model);
            let reason = step.outcome.to_string();
            json!({ "provider": provider, "model": model, "verdict": verdict, "reason": reason })
        });
        let told = json!({
            "rule": self.rule.as_str(),
            "name": self.chain.as_deref(),
            "passed_by": passed_by.collect::<Vec<_>>(),
            "provider": &*meta.provider,
            "model": &*meta.model,
            "attempts": meta.attempts,
            "dropped": meta.dropped.iter().collect::<Vec<_>>(),
            "cache": meta.cache.map(gateway_core::Cached::as_str),
        });
        if let Ok(value) = HeaderValue::from_bytes(told.to_string().as_bytes()) {
            headers.insert(HeaderName::from_static("x-gateway-decision"), value);
        }
    }
}
