//! Sessions of clients of the Model Context Protocol: their log levels, the requests of servers that
//! wait for a client's reply, and the announcements of servers.
//!
//! What a client declares at the start of its session is part of the session's id, so that any
//! replica can serve it. The rest is in memory and bounded: a reply has to reach the replica that
//! sent the request, and a subscription the one that has the stream.

mod announcements;
mod ended_sessions;
mod log_level;
mod pending_requests;
mod session_id;

pub use self::{
    announcements::McpStream, log_level::McpLogLevel, pending_requests::PendingRequest,
    session_id::McpSessionId,
};

use self::{
    announcements::Announcements, ended_sessions::EndedSessions, log_level::LogLevels,
    pending_requests::PendingRequests,
};
use gateway_core::{McpAnnouncement, McpReply, McpSubscribers};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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
    announcements: Arc<Mutex<Announcements>>,
    ended: Arc<Mutex<EndedSessions>>,
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

    /// Opens the stream on which the client of a session hears announcements, in the place of one
    /// that is open; `None` if there are too many.
    pub fn open_stream(&self, key: McpSessionKey) -> Option<McpStream> {
        McpStream::open(&self.announcements, key)
    }

    /// Subscribes a session to a resource; `false` if there are too many subscriptions.
    pub fn subscribe(&self, key: &McpSessionKey, server: &Arc<str>, uri: &str) -> bool {
        lock(&self.announcements).subscribe(key, server, uri)
    }

    /// Ends a subscription, and returns whether another session has the same.
    pub fn unsubscribe(&self, key: &McpSessionKey, server: &Arc<str>, uri: &str) -> bool {
        lock(&self.announcements).unsubscribe(key, server, uri)
    }

    /// Ends a session: its stream and its subscriptions.
    pub fn end(&self, key: McpSessionKey) {
        lock(&self.announcements).end(&key);
        lock(&self.ended).add(key);
    }

    /// Whether the client has ended a session.
    pub fn has_ended(&self, key: &McpSessionKey) -> bool {
        lock(&self.ended).contains(key)
    }
}

impl McpSubscribers for McpSessions {
    fn subscriptions(&self, server: &str) -> BTreeSet<String> {
        lock(&self.announcements).subscriptions(server)
    }

    fn announce(&self, server: &str, announcement: &McpAnnouncement) {
        lock(&self.announcements).announce(server, announcement);
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
