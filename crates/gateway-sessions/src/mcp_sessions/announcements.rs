//! The streams on which clients hear what servers announce, and the resources that they have
//! subscribed to.

use super::{McpSessionKey, lock};
use gateway_core::{Json, McpAnnouncement, McpList};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::Instant,
};

/// The most sessions with a stream or a subscription.
const MAX_SESSIONS: usize = 4096;
/// The most of them that one client has.
const MAX_SESSIONS_OF_CLIENT: usize = 256;
/// The most resources that a session is subscribed to.
const MAX_SUBSCRIPTIONS: usize = 64;
/// The most announcements that wait for the client of a session.
const MAX_WAITING: usize = 128;
/// The time for which the subscriptions of a session without a stream are kept.
const GRACE: Duration = Duration::from_mins(5);

/// The sessions with a stream or a subscription.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    sessions: HashMap<McpSessionKey, SessionAnnouncements>,
    /// The number of streams that were opened.
    streams: u64,
}

/// The stream and the subscriptions of a session.
#[derive(Debug)]
struct SessionAnnouncements {
    /// The open stream, with its number.
    stream: Option<(u64, Sender<Json>)>,
    /// The time since which there is no stream.
    quiet_since: Instant,
    /// The resources, by server and URI, each with the notification that waits for a stream.
    subscriptions: BTreeMap<(Arc<str>, String), Option<Json>>,
}

/// The stream of a session. Dropping it closes the stream.
#[derive(Debug)]
pub struct McpStream {
    number: u64,
    key: McpSessionKey,
    all: Arc<Mutex<Announcements>>,
    announced: Receiver<Json>,
}

impl Announcements {
    /// Subscribes a session to a resource; `false` if there are too many subscriptions.
    pub(super) fn subscribe(&mut self, key: &McpSessionKey, server: &Arc<str>, uri: &str) -> bool {
        let Some(session) = self.session(key) else { return false };
        let subscription = (Arc::clone(server), uri.to_owned());
        let is_known = session.subscriptions.contains_key(&subscription);
        if !is_known && session.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return false;
        }
        session.subscriptions.entry(subscription).or_default();
        true
    }

    /// Ends a subscription, and returns whether another session has the same.
    pub(super) fn unsubscribe(
        &mut self,
        key: &McpSessionKey,
        server: &Arc<str>,
        uri: &str,
    ) -> bool {
        let subscription = (Arc::clone(server), uri.to_owned());
        if let Some(session) = self.sessions.get_mut(key) {
            session.subscriptions.remove(&subscription);
            if session.stream.is_none() && session.subscriptions.is_empty() {
                self.sessions.remove(key);
            }
        }
        self.sessions.values().any(|session| session.subscriptions.contains_key(&subscription))
    }

    /// Ends a session: its stream and its subscriptions.
    pub(super) fn end(&mut self, key: &McpSessionKey) {
        self.sessions.remove(key);
    }

    /// Returns the resources of `server` that clients have subscribed to.
    pub(super) fn subscriptions(&mut self, server: &str) -> BTreeSet<String> {
        self.drop_expired();
        let all = self.sessions.values().flat_map(|session| session.subscriptions.keys());
        all.filter(|(of, _)| &**of == server).map(|(_, uri)| uri.clone()).collect()
    }

    /// Passes an announcement of `server` on.
    pub(super) fn announce(&mut self, server: &str, announcement: &McpAnnouncement) {
        match announcement {
            McpAnnouncement::ListChanged(list) => {
                let notification = list_changed(*list);
                for (_, stream) in self.sessions.values().filter_map(|it| it.stream.as_ref()) {
                    // A client that does not read its stream reads no list either.
                    let _ = stream.try_send(notification.clone());
                }
            }
            McpAnnouncement::ResourceUpdated { uri, notification } => {
                for session in self.sessions.values_mut() {
                    session.announce_update(server, uri, notification);
                }
            }
        }
    }

    /// Returns the session of that key, which is added if it is new; `None` if there are too many.
    fn session(&mut self, key: &McpSessionKey) -> Option<&mut SessionAnnouncements> {
        if !self.sessions.contains_key(key) {
            self.drop_expired();
            let is_of_client =
                |it: &&McpSessionKey| it.tenant == key.tenant && it.client == key.client;
            let of_client = self.sessions.keys().filter(is_of_client).count();
            if self.sessions.len() >= MAX_SESSIONS || of_client >= MAX_SESSIONS_OF_CLIENT {
                return None;
            }
        }
        let new = || SessionAnnouncements {
            stream: None,
            quiet_since: Instant::now(),
            subscriptions: BTreeMap::new(),
        };
        Some(self.sessions.entry(key.clone()).or_insert_with(new))
    }

    fn drop_expired(&mut self) {
        let now = Instant::now();
        self.sessions
            .retain(|_, it| it.stream.is_some() || now.duration_since(it.quiet_since) < GRACE);
    }
}

impl SessionAnnouncements {
    /// Sends a notification about a resource, if the session is subscribed to it; one that cannot be
    /// sent waits for the next stream.
    fn announce_update(&mut self, server: &str, uri: &str, notification: &Json) {
        for ((of, subscribed), waiting) in &mut self.subscriptions {
            if &**of == server && is_within(subscribed, uri) {
                let stream = self.stream.as_ref();
                let is_sent =
                    stream.is_some_and(|(_, it)| it.try_send(notification.clone()).is_ok());
                *waiting = (!is_sent).then(|| notification.clone());
            }
        }
    }
}

/// Whether the resource `uri` is `subscribed`, or a part of it.
fn is_within(subscribed: &str, uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix(subscribed) else { return false };
    rest.is_empty() || subscribed.ends_with('/') || rest.starts_with(['/', '#', '?'])
}

/// The notification that a list has changed.
fn list_changed(list: McpList) -> Json {
    let name = match list {
        McpList::Tools => "tools",
        McpList::Prompts => "prompts",
        McpList::Resources | McpList::ResourceTemplates => "resources",
    };
    let method = format!("notifications/{name}/list_changed");
    Json::of(&json!({ "jsonrpc": "2.0", "method": method }))
}

impl McpStream {
    /// Opens the stream of a session, in the place of one that is open; `None` if there are too many.
    pub(super) fn open(all: &Arc<Mutex<Announcements>>, key: McpSessionKey) -> Option<Self> {
        let mut known = lock(all);
        known.streams += 1;
        let number = known.streams;
        let session = known.session(&key)?;
        let (sender, announced) = mpsc::channel(MAX_WAITING);
        for waiting in session.subscriptions.values_mut() {
            // There are fewer subscriptions than places.
            let _ = waiting.take().map(|notification| sender.try_send(notification));
        }
        session.stream = Some((number, sender));
        drop(known);
        Some(Self { number, key, all: Arc::clone(all), announced })
    }

    /// Returns the next announcement; `None` once another stream is open or the session has ended.
    pub async fn next(&mut self) -> Option<Json> {
        self.announced.recv().await
    }
}

impl Drop for McpStream {
    fn drop(&mut self) {
        let mut known = lock(&self.all);
        let Some(session) = known.sessions.get_mut(&self.key) else { return };
        if session.stream.as_ref().is_some_and(|(number, _)| *number == self.number) {
            (session.stream, session.quiet_since) = (None, Instant::now());
            if session.subscriptions.is_empty() {
                known.sessions.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::McpSessions, *};
    use futures_util::FutureExt as _;
    use gateway_core::McpSubscribers as _;
    use tokio::time;

    fn key(client: &str, session: &str) -> McpSessionKey {
        McpSessionKey { tenant: "t".into(), client: client.into(), session: session.into() }
    }

    fn updated(uri: &str) -> McpAnnouncement {
        McpAnnouncement::ResourceUpdated { uri: uri.to_owned(), notification: Json::of(&uri) }
    }

    /// What the stream has, as JSON.
    fn heard(stream: &mut McpStream) -> Vec<String> {
        std::iter::from_fn(|| stream.next().now_or_never().flatten())
            .map(|json| json.get().to_owned())
            .collect()
    }

    #[tokio::test]
    async fn update_reaches_subscribed_sessions_only() {
        let (sessions, server) = (McpSessions::default(), "lab".into());
        assert!(sessions.subscribe(&key("a", "1"), &server, "x://one"));
        let mut subscribed = sessions.open_stream(key("a", "1")).unwrap();
        let mut other = sessions.open_stream(key("b", "1")).unwrap();
        for uri in ["x://one", "x://one/part", "x://onetwo", "x://two"] {
            sessions.announce("lab", &updated(uri));
        }
        sessions.announce("other", &updated("x://one"));
        assert_eq!(heard(&mut subscribed), [r#""x://one""#, r#""x://one/part""#]);
        sessions.announce("lab", &McpAnnouncement::ListChanged(McpList::Tools));
        for stream in [&mut subscribed, &mut other] {
            let expected = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
            assert_eq!(heard(stream), [expected]);
        }
        assert!(!sessions.unsubscribe(&key("a", "1"), &server, "x://one"));
        sessions.announce("lab", &updated("x://one"));
        assert!(heard(&mut subscribed).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn update_waits_for_the_next_stream_and_expires_with_its_session() {
        let (sessions, server) = (McpSessions::default(), "lab".into());
        assert!(sessions.subscribe(&key("a", "1"), &server, "x://one"));
        for _ in 0..3 {
            sessions.announce("lab", &updated("x://one"));
        }
        let mut stream = sessions.open_stream(key("a", "1")).unwrap();
        assert_eq!(heard(&mut stream), [r#""x://one""#], "the resource is read once");
        time::advance(GRACE * 2).await;
        assert_eq!(sessions.subscriptions("lab").len(), 1, "its stream is open");
        drop(stream);
        time::advance(GRACE * 2).await;
        assert_eq!(sessions.subscriptions("lab").len(), 0);
    }

    #[tokio::test]
    async fn older_stream_ends_when_another_opens() {
        let sessions = McpSessions::default();
        let mut older = sessions.open_stream(key("a", "1")).unwrap();
        let mut newer = sessions.open_stream(key("a", "1")).unwrap();
        assert_eq!(older.next().now_or_never(), Some(None));
        drop(older);
        sessions.announce("lab", &McpAnnouncement::ListChanged(McpList::Prompts));
        assert_eq!(heard(&mut newer).len(), 1);
        sessions.end(key("a", "1"));
        assert!(sessions.has_ended(&key("a", "1")) && !sessions.has_ended(&key("b", "1")));
        assert_eq!(newer.next().now_or_never(), Some(None));
    }

    #[test]
    fn subscriptions_are_bounded() {
        let (sessions, server) = (McpSessions::default(), "lab".into());
        let subscribe = |client: &str, session: usize, uri: usize| {
            sessions.subscribe(&key(client, &session.to_string()), &server, &uri.to_string())
        };
        assert!((0..MAX_SUBSCRIPTIONS).all(|uri| subscribe("a", 0, uri)));
        assert!(!subscribe("a", 0, MAX_SUBSCRIPTIONS) && subscribe("a", 0, 0));
        assert!((1..MAX_SESSIONS_OF_CLIENT).all(|session| subscribe("a", session, 0)));
        assert!(!subscribe("a", MAX_SESSIONS_OF_CLIENT, 0) && subscribe("b", 0, 0));
    }
}
