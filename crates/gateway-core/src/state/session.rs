//! The port to conversations that are kept.

use super::{Key, StoreError, Tenant};
use crate::{Json, Message};
use async_trait::async_trait;
use std::{collections::BTreeMap, time::Duration};

/// Defaults that a session lends to its requests: `taxonomy`, `tier_filter`, `tools`, and whatever
/// the application keeps beside them.
pub type SessionContext = BTreeMap<String, Json>;

/// Changes to a [`SessionContext`], member by member; `None` removes.
pub type SessionPatch = BTreeMap<String, Option<Json>>;

/// The session store: conversations of several turns.
///
/// A session grows by whole turns, each appended in one step that either happens or does not, and
/// that may be sent again without being done twice. There is no answer by which a session that
/// belongs to another tenant from one that does not exist.
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Keeps a new session. A key that is taken is [`StoreError::Invalid`].
    async fn create(&self, key: &Key, new: &NewSession) -> Result<Session, StoreError>;

    /// Loads a snapshot of a session: its metadata and some of its messages.
    async fn load(
        &self,
        key: &Key,
        slice: MessageRange,
    ) -> Result<Option<SessionSnapshot>, StoreError>;

    /// Adds a turn, once.
    async fn append(&self, key: &Key, turn: &SessionTurn) -> Result<WriteOutcome, StoreError>;

    /// Changes the context, if `expected` is the session's version or absent.
    async fn patch(
        &self,
        key: &Key,
        patch: &SessionPatch,
        expected: Option<u64>,
    ) -> Result<WriteOutcome, StoreError>;

    /// Lets the session live until `ttl` from now. What has expired stays so.
    async fn touch(&self, key: &Key, ttl: Duration) -> Result<WriteOutcome, StoreError>;

    /// Forgets a session; says whether there was one.
    async fn delete(&self, key: &Key) -> Result<bool, StoreError>;

    /// The sessions of a tenant, newest first.
    async fn list(
        &self,
        tenant: &Tenant,
        page: &SessionPageQuery,
    ) -> Result<SessionPage, StoreError>;

    /// Copies a session, whole or up to a version, to `to` of the same tenant. `None` if there is
    /// no such session.
    async fn fork(
        &self,
        from: &Key,
        to: &str,
        fork: &SessionFork,
    ) -> Result<Option<Session>, StoreError>;

    /// Asks to be the only one to prepare a turn, for `lease`. The holder of `token` may ask again,
    /// to hold it longer.
    async fn claim(
        &self,
        key: &Key,
        token: &str,
        lease: Duration,
    ) -> Result<ClaimResult, StoreError>;

    /// Gives a claim up; one that is held by another `token` is left alone.
    async fn release(&self, key: &Key, token: &str) -> Result<(), StoreError>;
}

/// The initial state of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSession {
    /// The lifetime of the new session.
    pub ttl: Duration,
    /// The context for tools.
    pub context: SessionContext,
}

/// The metadata of a session, without its messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The session's id.
    pub id: String,
    /// Counts its changes, from 0.
    pub version: u64,
    /// Creation time in milliseconds since 1970.
    pub created_at: u64,
    /// Expiry time in milliseconds since 1970.
    pub expires_at: u64,
    /// For how long it was last made to live.
    pub ttl: Duration,
    /// The number of messages.
    pub messages: u64,
    /// Bytes of all messages.
    pub bytes: u64,
    /// The context for tools.
    pub context: SessionContext,
}

/// Some of a session's messages, by their place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageRange {
    /// The first, counted from 0.
    pub from: u64,
    /// Maximum number of messages.
    pub limit: u64,
}

/// A consistent snapshot of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSnapshot {
    /// Metadata of the session.
    pub session: Session,
    /// Messages in the requested range.
    pub entries: Vec<SessionEntry>,
}

/// A message of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionEntry {
    /// Its place, counted from 0, without gaps.
    pub position: u64,
    /// The session's version that it came with.
    pub version: u64,
    /// Time of the append in milliseconds since 1970.
    pub at: u64,
    /// The turn it belongs to.
    pub turn: String,
    /// The turn was broken off; this is what was delivered of it.
    pub incomplete: bool,
    /// The stored message.
    pub message: Message,
}

/// A turn: messages that are appended to a session in one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionTurn {
    /// Unique within the session; a turn of the same id is not added again.
    pub id: String,
    /// The version on which this turn builds: refused if another turn was added since. Changes of
    /// the context alone do not matter.
    pub expected: Option<u64>,
    /// Messages of the turn; at least one.
    pub messages: Vec<Message>,
    /// The turn was broken off.
    pub incomplete: bool,
    /// Changes of the session's context.
    pub patch: SessionPatch,
    /// Lets the session live until this long from now; absent leaves its end where it is.
    pub ttl: Option<Duration>,
}

/// The result of a change. The numbers are the session's version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteOutcome {
    /// Done; this is the new version.
    Done(u64),
    /// Done before, when the version became this.
    Duplicate(u64),
    /// Rejected: a concurrent change was first, and the version is this.
    Conflict(u64),
    /// Not done: the session may not grow further.
    Full,
    /// Not done: there is no such session, or no longer.
    Gone,
}

/// Whether a claim is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimResult {
    /// By the one who asked.
    Granted,
    /// By another, for at most this long.
    Held(Duration),
    /// There is no such session.
    Gone,
}

/// A query for a page of sessions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SessionPageQuery {
    /// Cursor of the previous page: its [`SessionPage::next`].
    pub after: Option<String>,
    /// Maximum number of sessions.
    pub limit: usize,
}

/// Some of a tenant's sessions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionPage {
    /// The sessions, newest first.
    pub sessions: Vec<Session>,
    /// Cursor of the next page; absent at the end.
    pub next: Option<String>,
}

/// The extent of a session copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionFork {
    /// The last version to copy; absent for all.
    pub at: Option<u64>,
    /// Time to live of the copy.
    pub ttl: Duration,
}

impl MessageRange {
    /// A slice of every message.
    pub const ALL: Self = Self { from: 0, limit: u64::MAX };

    /// No message: only what the session is.
    pub const NONE: Self = Self { from: 0, limit: 0 };
}
