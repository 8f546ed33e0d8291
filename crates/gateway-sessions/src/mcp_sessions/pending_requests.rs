//! Requests of servers to clients that wait for a reply.

use super::{McpSessionKey, lock};
use gateway_core::McpReply;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::sync::oneshot::{self, Receiver, Sender};
use uuid::Uuid;

/// The most requests that wait for the clients of all sessions.
const MAX_PENDING: usize = 4096;
/// The most requests that wait for the client of one session.
const MAX_PENDING_OF_SESSION: usize = 64;

/// The requests that wait, by session and id.
#[derive(Debug, Default)]
pub(super) struct PendingRequests {
    sessions: HashMap<McpSessionKey, HashMap<String, Sender<McpReply>>>,
    count: usize,
}

/// A request that waits for its reply; it no longer does when this is dropped.
#[derive(Debug)]
pub struct PendingRequest {
    id: String,
    key: McpSessionKey,
    all: Arc<Mutex<PendingRequests>>,
    reply: Receiver<McpReply>,
}

impl PendingRequests {
    /// Adds a request; `None` if there are too many.
    fn add(&mut self, key: &McpSessionKey, id: &str) -> Option<Receiver<McpReply>> {
        let of_session = self.sessions.get(key).map_or(0, HashMap::len);
        if self.count >= MAX_PENDING || of_session >= MAX_PENDING_OF_SESSION {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.sessions.entry(key.clone()).or_default().insert(id.to_owned(), sender);
        self.count += 1;
        Some(receiver)
    }

    /// Removes a request, if it waits.
    pub(super) fn remove(&mut self, key: &McpSessionKey, id: &str) -> Option<Sender<McpReply>> {
        let of_session = self.sessions.get_mut(key)?;
        let sender = of_session.remove(id)?;
        if of_session.is_empty() {
            self.sessions.remove(key);
        }
        self.count -= 1;
        Some(sender)
    }
}

impl PendingRequest {
    pub(super) fn open(all: &Arc<Mutex<PendingRequests>>, key: McpSessionKey) -> Option<Self> {
        let id = format!("gw-{}", Uuid::new_v4().simple());
        let reply = lock(all).add(&key, &id)?;
        Some(Self { id, key, all: Arc::clone(all), reply })
    }

    /// Returns the id of the request, which no other request has.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the reply.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future withdraws the request.
    pub async fn reply(mut self) -> Option<McpReply> {
        (&mut self.reply).await.ok()
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        drop(lock(&self.all).remove(&self.key, &self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::McpSessions, *};
    use gateway_core::Json;

    fn key(client: &str, session: &str) -> McpSessionKey {
        McpSessionKey { tenant: "t".into(), client: client.into(), session: session.into() }
    }

    fn reply() -> McpReply {
        McpReply::Result(Json::of(&1))
    }

    #[tokio::test]
    async fn reply_reaches_request_of_its_own_session() {
        let sessions = McpSessions::default();
        let pending = sessions.open_request(key("alice", "s")).unwrap();
        let id = pending.id().to_owned();
        for other in [key("bob", "s"), key("alice", "other")] {
            assert!(!sessions.deliver(&other, &id, reply()));
        }
        assert!(sessions.deliver(&key("alice", "s"), &id, reply()));
        assert!(!sessions.deliver(&key("alice", "s"), &id, reply()), "it has its reply");
        assert_eq!(pending.reply().await, Some(reply()));
    }

    #[test]
    fn pending_requests_are_bounded_and_withdrawn() {
        let sessions = McpSessions::default();
        let open = |client: &str, session: &str| sessions.open_request(key(client, session));
        let of_session: Vec<_> = (0..MAX_PENDING_OF_SESSION).map(|_| open("a", "s")).collect();
        assert!(of_session.iter().all(Option::is_some) && open("a", "s").is_none());
        let others: Vec<_> =
            (of_session.len()..MAX_PENDING).map(|it| open("b", &it.to_string())).collect();
        assert!(others.iter().all(Option::is_some) && open("c", "s").is_none());
        drop((of_session, others));
        assert!(open("a", "s").is_some());
        let pending = lock(&sessions.pending);
        assert_eq!((pending.count, pending.sessions.len()), (0, 0));
    }
}
