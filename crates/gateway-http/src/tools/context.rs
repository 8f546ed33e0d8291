//! What goes with the call of a tool: whose it is, and what the user or the session chose.

use crate::names;
use gateway_core::{Context, ToolContext};
use gateway_sessions::Chosen;
use http::HeaderMap;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The longest name of a request that is taken from its caller.
const MAX_KEY: usize = 255;

/// What goes with the calls of a request that has `limit` to be answered.
pub(super) fn of(chosen: &Chosen, about: &Context, limit: Duration) -> ToolContext {
    let conversation = chosen.session.as_ref().unwrap_or(&about.request_id);
    ToolContext {
        tenant: Arc::clone(&about.tenant),
        request_id: Arc::clone(&about.request_id),
        conversation: Arc::clone(conversation),
        traceparent: about.traceparent.clone(),
        tracestate: about.tracestate.clone(),
        deadline: Instant::now().checked_add(limit).map(Instant::into_std),
        taxonomy: chosen.taxonomy.clone(),
        tier_filter: chosen.tier_filter.clone(),
        ..ToolContext::default()
    }
}

/// The caller's own name for what it wants done once.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Option<Arc<str>> {
    let key = headers.get(names::IDEMPOTENCY_KEY)?.to_str().ok()?;
    (1..=MAX_KEY).contains(&key.len()).then(|| key.into())
}
