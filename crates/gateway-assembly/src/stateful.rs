//! Sessions, stored responses, idempotency and the live feed: work in progress continues across a
//! reload.

use crate::{previous::PreviousGeneration, shared::SharedResources};
use gateway_config::Config;
use gateway_console::LiveFeed;
use gateway_sessions::{
    Idempotency, McpSessions, Responses, SessionManager, SessionRules, Sessions,
    taxonomy::{AmbiguousName, TaxonomyTable},
};
use std::sync::Arc;

/// The number of responses that are generated in the background at one time.
const BACKGROUND_RESPONSES: usize = 256;
/// The largest replay of an idempotent request in bytes; the stores accept as much.
const REPLAY_BYTES: usize = 4 << 20;

/// The live feed of the console; its subscribers stay connected.
pub(crate) fn feed(shared: &SharedResources, previous: Option<PreviousGeneration<'_>>) -> LiveFeed {
    let running = previous.and_then(|it| it.app.console.clone());
    running.unwrap_or_else(|| LiveFeed::new(shared.process.shutdown.closing.clone()))
}

/// The stored responses.
pub(crate) fn responses(
    config: &Config,
    shared: &SharedResources,
    previous: Option<PreviousGeneration<'_>>,
) -> Responses {
    let ttl = config.store.response_ttl;
    let responses = match previous {
        Some(previous) => previous.app.engine.responses.with(ttl),
        None => Responses::new(Arc::clone(&shared.stores.responses), ttl, BACKGROUND_RESPONSES),
    };
    responses.with_thread_ttl(config.store.thread_ttl)
}

/// The sessions.
pub(crate) fn sessions(
    config: &Config,
    shared: &SharedResources,
    previous: Option<PreviousGeneration<'_>>,
) -> Result<SessionManager, AmbiguousName> {
    let (it, limits) = (&config.sessions, gateway_store::StoreLimits::default());
    let rules = SessionRules {
        ttl: it.ttl,
        max_ttl: it.max_ttl.max(it.ttl),
        sliding: it.sliding,
        max_messages: limits.session_messages,
        max_bytes: limits.session_bytes,
        ..SessionRules::default()
    };
    let sessions = Sessions::new(Arc::clone(&shared.stores.sessions), rules);
    let manager = match previous {
        Some(previous) => previous.app.engine.sessions.with(sessions),
        None => SessionManager::new(sessions),
    };
    Ok(manager.with_taxonomies(taxonomies(config)?))
}

/// Builds the table of taxonomies.
///
/// # Errors
///
/// If two taxonomies have names that read alike.
pub(crate) fn taxonomies(config: &Config) -> Result<TaxonomyTable, AmbiguousName> {
    let mut known = TaxonomyTable::default();
    for (name, taxonomy) in &config.taxonomies {
        let aliases = taxonomy.aliases.iter().map(String::as_str);
        known.add(&taxonomy.id(name), aliases.chain([name.as_str()]))?;
    }
    Ok(known)
}

/// The replays of requests with an idempotency key.
pub(crate) fn idempotency(
    config: &Config,
    shared: &SharedResources,
    previous: Option<PreviousGeneration<'_>>,
) -> Idempotency {
    let ttl = config.store.idempotency_ttl;
    match previous {
        Some(previous) => previous.app.idempotency.with(ttl),
        None => Idempotency::new(Arc::clone(&shared.stores.idempotency), ttl, REPLAY_BYTES),
    }
}

/// The sessions of clients of the Model Context Protocol; their requests wait across a reload.
pub(crate) fn mcp_sessions(previous: Option<PreviousGeneration<'_>>) -> McpSessions {
    previous.map(|it| it.app.mcp_sessions.clone()).unwrap_or_default()
}
