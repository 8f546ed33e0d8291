//! What is kept of requests. When a new configuration is taken up, what is under way goes on.

use crate::{before::Before, config::Config, lasting::Lasting};
use gateway_console::LiveFeed;
use gateway_sessions::{Idempotency, Keeper, Responses, Rules, Sessions};
use std::sync::Arc;

/// How many answers are made at once without their callers.
const BACKGROUND_RESPONSES: usize = 256;
/// The largest reply that is told again; the stores take as much.
const REPLAY_BYTES: usize = 4 << 20;

/// What is shown to operators; whoever watches goes on to watch.
pub(crate) fn feed(lasting: &Lasting, before: Option<Before<'_>>) -> LiveFeed {
    let watched = before.and_then(|it| it.app.console.clone());
    watched.unwrap_or_else(|| LiveFeed::new(lasting.drain.closing.clone()))
}

/// Answers that are kept.
pub(crate) fn responses(
    config: &Config,
    lasting: &Lasting,
    before: Option<Before<'_>>,
) -> Responses {
    let ttl = config.store.response_ttl;
    match before {
        Some(before) => before.app.engine.responses.with(ttl),
        None => Responses::new(Arc::clone(&lasting.stores.responses), ttl, BACKGROUND_RESPONSES),
    }
}

/// Conversations that are kept.
pub(crate) fn keeper(config: &Config, lasting: &Lasting, before: Option<Before<'_>>) -> Keeper {
    let (sessions, limits) = (&config.sessions, gateway_store::StoreLimits::default());
    let rules = Rules {
        ttl: sessions.ttl,
        max_ttl: sessions.max_ttl.max(sessions.ttl),
        sliding: sessions.sliding,
        max_messages: limits.session_messages,
        max_bytes: limits.session_bytes,
        ..Rules::default()
    };
    let sessions = Sessions::new(Arc::clone(&lasting.stores.sessions), rules);
    before.map_or_else(
        || Keeper::new(sessions.clone()),
        |it| it.app.engine.sessions.with(sessions.clone()),
    )
}

/// Replies that are kept, to be told again.
pub(crate) fn idempotency(
    config: &Config,
    lasting: &Lasting,
    before: Option<Before<'_>>,
) -> Idempotency {
    let ttl = config.store.idempotency_ttl;
    match before {
        Some(before) => before.app.idempotency.with(ttl),
        None => Idempotency::new(Arc::clone(&lasting.stores.idempotency), ttl, REPLAY_BYTES),
    }
}
