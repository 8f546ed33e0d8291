//! Sessions of clients of the Model Context Protocol: their log levels, and the requests of servers
//! that wait for a client's reply.
//!
//! What a client declares at the start of its session is part of the session's id, so that any
//! replica can serve it. The rest is in memory and bounded: a reply has to reach the replica that
//! sent the request.

mod log_level;
mod pending_requests;
mod session_id;

pub use self::{
    log_level::McpLogLevel, pending_requests::PendingRequest, session_id::McpSessionId,
};

use self::{log_level::LogLevels, pending_requests::PendingRequests};
use gateway_core::McpReply;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The owner of a session: state of one is never visible to another.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct McpSessionKey {
    /// The tenant of the client.
    pub tenant: Arc<str>,
    /// The name of the client.
    pub client: Arc<str>,
    /// The id of the session.
    pub session: Arc<str>,
}

/// The sessions of all clients. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct McpSessions {
    levels: Arc<Mutex<LogLevels>>,
    pending: Arc<Mutex<PendingRequests>>,
}

impl McpSessions {
    /// Sets the least severe level of log messages for a session.
    pub fn set_log_level(&self, key: McpSessionKey, level: McpLogLevel) {
        lock(&self.levels).set(key, level);
    }

    /// Returns the least severe level of log messages for a session, if it has one.
    pub fn log_level(&self, key: &McpSessionKey) -> Option<McpLogLevel> {
        lock(&self.levels).get(key)
    }

    /// Registers a request that a client is about to get; `None` if too many wait for a reply.
    pub fn open_request(&self, key: McpSessionKey) -> Option<PendingRequest> {
        PendingRequest::open(&self.pending, key)
    }

    /// Delivers a client's reply to the request `id` of its session, and returns whether that
    /// request waits for it.
    pub fn deliver(&self, key: &McpSessionKey, id: &str, reply: McpReply) -> bool {
        let waiting = lock(&self.pending).remove(key, id);
        waiting.is_some_and(|waiting| waiting.send(reply).is_ok())
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
