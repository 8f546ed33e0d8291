//! What goes with the calls of tools: the tenant, the deadline, and what the session chose.

use gateway_core::{Context, ToolContext};
use gateway_sessions::Chosen;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// What goes with the tool calls of a request that has `limit` to be answered.
pub fn tool_context(chosen: &Chosen, request: &Context, limit: Duration) -> ToolContext {
    let conversation = chosen.session.as_ref().unwrap_or(&request.request_id);
    ToolContext {
        tenant: Arc::clone(&request.tenant),
        request_id: Arc::clone(&request.request_id),
        conversation: Arc::clone(conversation),
        traceparent: request.traceparent.clone(),
        tracestate: request.tracestate.clone(),
        deadline: Instant::now().checked_add(limit).map(Instant::into_std),
        taxonomy: chosen.taxonomy.clone(),
        tier_filter: chosen.tier_filter.clone(),
        ..ToolContext::default()
    }
}
