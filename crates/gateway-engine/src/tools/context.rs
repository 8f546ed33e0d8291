//! The context of tool calls: tenant, deadline, and the session's tool selection.

use gateway_core::{Context, ToolContext};
use gateway_sessions::SessionTools;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Returns the context of a request's tool calls, with `limit` as the deadline of its response.
pub fn tool_context(chosen: &SessionTools, request: &Context, limit: Duration) -> ToolContext {
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
