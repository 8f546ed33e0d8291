//! What goes with the call of a tool: whose it is, and what the user or the session chose.

use crate::names;
use gateway_core::{Context, ToolContext, state::Session};
use gateway_sessions::context;
use http::HeaderMap;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The longest name of a request that is taken from its caller.
const MAX_KEY: usize = 255;

/// What a session chose for the tools of its turns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chosen {
    /// The session's name.
    pub(crate) session: Option<Arc<str>>,
    /// The tools that its requests offer.
    pub(crate) tools: Vec<String>,
    /// The taxonomy that holds.
    pub(crate) taxonomy: Option<String>,
    /// The tiers that hold.
    pub(crate) tier_filter: Option<Vec<i64>>,
}

impl Chosen {
    /// What `session` says.
    pub(crate) fn by(session: &Session) -> Self {
        let tiers = context::tier_filter(&session.context);
        Self {
            session: Some(session.id.as_str().into()),
            tools: context::tools(&session.context),
            taxonomy: context::taxonomy(&session.context),
            tier_filter: tiers.and_then(|tiers| tiers.read().ok()),
        }
    }

    /// What goes with the calls of a request that has `limit` to be answered.
    pub(super) fn context(&self, about: &Context, limit: Duration) -> ToolContext {
        let conversation = self.session.as_ref().unwrap_or(&about.request_id);
        ToolContext {
            tenant: Arc::clone(&about.tenant),
            request_id: Arc::clone(&about.request_id),
            conversation: Arc::clone(conversation),
            traceparent: about.traceparent.clone(),
            tracestate: about.tracestate.clone(),
            deadline: Instant::now().checked_add(limit).map(Instant::into_std),
            taxonomy: self.taxonomy.clone(),
            tier_filter: self.tier_filter.clone(),
            ..ToolContext::default()
        }
    }
}

/// The caller's own name for what it wants done once.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Option<Arc<str>> {
    let key = headers.get(names::IDEMPOTENCY_KEY)?.to_str().ok()?;
    (1..=MAX_KEY).contains(&key.len()).then(|| key.into())
}
