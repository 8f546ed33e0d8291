//! The operations on sessions.

use super::{
    OnConflict, OpenTurn, SessionId, TurnResult, context, history::History, id::not_found,
    repeated_turns,
};
use gateway_core::{
    ErrorKind, GatewayError, Json, Message, Result,
    state::{
        ClaimResult, Key, MessageRange, NewSession, Session, SessionContext, SessionFork,
        SessionPage, SessionPageQuery, SessionPatch, SessionSnapshot, SessionStore, SessionTurn,
        StoreError, Tenant, WriteOutcome,
    },
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::{self, Instant};

/// Maximum number of attempts to append a turn when the store's reply is lost.
const ATTEMPTS: u32 = 3;

/// The poll interval for a session that another turn holds.
const LOOK: Duration = Duration::from_millis(50);

/// The most sessions on one page.
const MAX_PAGE: usize = 100;

/// The lifetimes of sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionRules {
    /// The default lifetime.
    pub ttl: Duration,
    /// The minimum lifetime.
    pub min_ttl: Duration,
    /// The maximum lifetime.
    pub max_ttl: Duration,
    /// Whether each turn restarts the session's lifetime.
    pub sliding: bool,
    /// The lease of a turn: after it, the turn of a crashed replica no longer blocks the session.
    pub lease: Duration,
    /// The maximum number of messages of a session.
    pub max_messages: u64,
    /// The maximum size of a session's messages, in bytes.
    pub max_bytes: u64,
}

impl Default for SessionRules {
    fn default() -> Self {
        Self {
            ttl: Duration::from_hours(1),
            min_ttl: Duration::from_mins(1),
            max_ttl: Duration::from_hours(720),
            sliding: false,
            lease: Duration::from_secs(20),
            max_messages: 1_000,
            max_bytes: 4 << 20,
        }
    }
}

/// The sessions of all tenants; each is shown its own.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    rules: SessionRules,
}

impl Sessions {
    /// Creates a service over `store`.
    pub fn new(store: Arc<dyn SessionStore>, rules: SessionRules) -> Self {
        Self { store, rules }
    }

    /// Creates a session.
    pub async fn create(
        &self,
        tenant: &Tenant,
        ttl: Option<Duration>,
        context: SessionContext,
    ) -> Result<Session> {
        context::check(&context)?;
        let (id, ttl) = (SessionId::random()?, self.ttl(ttl)?);
        let new = NewSession { ttl, context };
        Ok(self.store.create(&tenant.key(id.as_str()), &new).await?)
    }

    /// A session, and some of its messages.
    pub async fn get(
        &self,
        tenant: &Tenant,
        id: &str,
        slice: MessageRange,
    ) -> Result<SessionSnapshot> {
        let key = key(tenant, id)?;
        self.store.load(&key, slice).await?.ok_or_else(|| not_found(id))
    }

    /// Changes the context of a session, if `expected` is its version or absent; returns the new
    /// version.
    pub async fn patch(
        &self,
        tenant: &Tenant,
        id: &str,
        patch: &SessionPatch,
        expected: Option<u64>,
    ) -> Result<u64> {
        let members = patch.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        context::check(members)?;
        let outcome = self.store.patch(&key(tenant, id)?, patch, expected).await?;
        settle(id, outcome)
    }

    /// Deletes the session `id`.
    pub async fn delete(&self, tenant: &Tenant, id: &str) -> Result<()> {
        let found = self.store.delete(&key(tenant, id)?).await?;
        if found { Ok(()) } else { Err(not_found(id)) }
    }

    /// The sessions of a tenant, newest first: at most 100 at a time.
    pub async fn list(&self, tenant: &Tenant, page: SessionPageQuery) -> Result<SessionPage> {
        let limit = page.limit.clamp(1, MAX_PAGE);
        Ok(self.store.list(tenant, &SessionPageQuery { limit, ..page }).await?)
    }

    /// Copies a session, up to the version `at` or whole.
    pub async fn fork(
        &self,
        tenant: &Tenant,
        id: &str,
        at: Option<u64>,
        ttl: Option<Duration>,
    ) -> Result<Session> {
        let (to, ttl) = (SessionId::random()?, self.ttl(ttl)?);
        let copy =
            self.store.fork(&key(tenant, id)?, to.as_str(), &SessionFork { at, ttl }).await?;
        copy.ok_or_else(|| not_found(id))
    }

    /// Starts a turn. `token` identifies the request: what an earlier attempt under it stored is
    /// not part of the history.
    ///
    /// A session has one open turn at a time; while it is open, [`hold`](Self::hold) must run.
    /// Dropping the future may leave the session locked until the lease ends.
    pub async fn begin_turn(
        &self,
        tenant: &Tenant,
        id: &str,
        token: &str,
        on_conflict: OnConflict,
    ) -> Result<OpenTurn> {
        let (id, key) = (SessionId::parse(id)?, key(tenant, id)?);
        self.claim(&id, &key, token, on_conflict).await?;
        let found = match self.load_started(&id, &key).await {
            Ok(found) => found,
            Err(error) => {
                drop(self.store.release(&key, token).await);
                return Err(error);
            }
        };
        let history = History::of(repeated_turns::without_repeated(found.entries, token));
        let session = found.session;
        Ok(OpenTurn { session, history, id, key, token: token.to_owned() })
    }

    /// Returns the whole session. A sliding one does not expire before a started turn.
    async fn load_started(&self, id: &SessionId, key: &Key) -> Result<SessionSnapshot> {
        let found = self.store.load(key, MessageRange::ALL).await?;
        let found = found.ok_or_else(|| not_found(id.as_str()))?;
        if self.rules.sliding {
            settle(id.as_str(), self.store.touch(key, found.session.ttl).await?)?;
        }
        Ok(found)
    }

    /// Renews the lease of an open turn. Completes only if the session is locked by another, or
    /// deleted: drop it before the turn is ended.
    pub fn hold(&self, open: &OpenTurn) -> impl Future<Output = ()> + Send + use<> {
        let (store, lease) = (Arc::clone(&self.store), self.rules.lease);
        let (key, token) = (open.key.clone(), open.token.clone());
        async move {
            loop {
                time::sleep(lease / 3).await;
                let held = store.claim(&key, &token, lease).await;
                if matches!(held, Ok(ClaimResult::Gone | ClaimResult::Held(_))) {
                    return;
                }
            }
        }
    }

    /// Checks that the session has room for a turn with the messages `asked`, as far as that is
    /// known before the response.
    ///
    /// # Errors
    ///
    /// `session_full` if the input alone exceeds the room.
    pub fn check_room(&self, open: &OpenTurn, asked: &[Message]) -> Result<()> {
        let bytes = asked.iter().map(|message| Json::of(message).get().len() as u64);
        let bytes = bytes.fold(open.session.bytes, u64::saturating_add);
        // One message at least is the answer's.
        let messages = open.session.messages.saturating_add(asked.len() as u64 + 1);
        let fits = messages <= self.rules.max_messages && bytes < self.rules.max_bytes;
        if fits { Ok(()) } else { Err(full()) }
    }

    /// Stores the messages of a turn; returns the session's new version. The turn must still be
    /// [released](Self::release_turn).
    ///
    /// May be repeated after a failure: the turn is recognized by its token.
    pub async fn commit_turn(&self, open: &OpenTurn, delivered: &TurnResult) -> Result<u64> {
        let turn = SessionTurn {
            id: repeated_turns::turn(&open.token, delivered.incomplete),
            expected: Some(open.session.version),
            messages: delivered.messages(),
            incomplete: delivered.incomplete,
            patch: delivered.patch(),
            ttl: self.rules.sliding.then_some(open.session.ttl),
        };
        settle(open.id.as_str(), self.append(&open.key, &turn).await?)
    }

    /// Lets the next turn of the session begin.
    ///
    /// # Errors
    ///
    /// If the store is unavailable. The session is held until the lease ends, unless
    /// [`release_later`](Self::release_later) comes before that.
    pub async fn release_turn(&self, open: &OpenTurn) -> Result<()> {
        Ok(self.store.release(&open.key, &open.token).await?)
    }

    /// Releases a turn as soon as the store is back, if that is before the lease ends by itself.
    pub fn release_later(&self, open: &OpenTurn) -> impl Future<Output = ()> + Send + use<> {
        let (store, lease) = (Arc::clone(&self.store), self.rules.lease);
        let (key, token) = (open.key.clone(), open.token.clone());
        async move {
            let end = Instant::now() + lease;
            while Instant::now() < end {
                time::sleep(LOOK * ATTEMPTS).await;
                if !store.release(&key, &token).await.is_err_and(|error| error.is_outage()) {
                    return;
                }
            }
        }
    }

    /// Appends a turn, with retries if the store's reply is lost; it is stored once.
    async fn append(&self, key: &Key, turn: &SessionTurn) -> Result<WriteOutcome, StoreError> {
        let mut attempt = 1;
        loop {
            match self.store.append(key, turn).await {
                Err(error) if error.is_outage() && attempt < ATTEMPTS => {
                    time::sleep(LOOK * attempt).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn claim(
        &self,
        id: &SessionId,
        key: &Key,
        token: &str,
        on_conflict: OnConflict,
    ) -> Result<()> {
        let deadline = match on_conflict {
            OnConflict::Refuse => Instant::now(),
            OnConflict::Wait(patience) => Instant::now() + patience,
        };
        loop {
            match self.store.claim(key, token, self.rules.lease).await? {
                ClaimResult::Granted => return Ok(()),
                ClaimResult::Gone => return Err(not_found(id.as_str())),
                ClaimResult::Held(_) if Instant::now() < deadline => time::sleep(LOOK).await,
                ClaimResult::Held(_) => return Err(busy()),
            }
        }
    }

    fn ttl(&self, asked: Option<Duration>) -> Result<Duration> {
        let Some(ttl) = asked else { return Ok(self.rules.ttl) };
        if ttl >= self.rules.min_ttl && ttl <= self.rules.max_ttl {
            return Ok(ttl);
        }
        let (min, max) = (self.rules.min_ttl.as_secs(), self.rules.max_ttl.as_secs());
        let message = format!("ttl_seconds must be between {min} and {max}");
        Err(GatewayError::new(ErrorKind::Unprocessable, message).with_param("ttl_seconds"))
    }
}

fn key(tenant: &Tenant, id: &str) -> Result<Key> {
    Ok(tenant.key(SessionId::parse(id)?.as_str()))
}

fn busy() -> GatewayError {
    GatewayError::new(ErrorKind::Conflict, "session is locked by a concurrent request")
        .with_code("session_busy")
        .with_retry_after(Some(Duration::from_secs(1)))
}

fn full() -> GatewayError {
    GatewayError::new(ErrorKind::TooLarge, "the session is full").with_code("session_full")
}

fn settle(id: &str, outcome: WriteOutcome) -> Result<u64> {
    match outcome {
        WriteOutcome::Done(version) | WriteOutcome::Duplicate(version) => Ok(version),
        WriteOutcome::Conflict(version) => {
            let message = format!("the session has changed: its version is {version}");
            Err(GatewayError::new(ErrorKind::Conflict, message).with_code("version_conflict"))
        }
        WriteOutcome::Full => Err(full()),
        WriteOutcome::Gone => Err(not_found(id)),
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("rules", &self.rules).finish_non_exhaustive()
    }
}
