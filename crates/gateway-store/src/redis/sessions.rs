//! The session store on Redis.

use super::{
    RedisStore,
    connection::RedisConnection,
    keys,
    reply::{self, unreadable},
    script::{self, integer},
    tenant_usage::{CountedKind, StoredBytes},
};
use crate::{
    clock::millis,
    kv::session_change::context_bytes,
    record::{self, SCHEMA},
};
use async_trait::async_trait;
use fred::types::Value;
use gateway_core::{
    Json,
    state::{
        ClaimResult, Key, MessageRange, NewSession, Session, SessionContext, SessionFork,
        SessionPage, SessionPageQuery, SessionPatch, SessionSnapshot, SessionStore, SessionTurn,
        StoreError, Tenant, WriteOutcome,
    },
};
use std::time::Duration;

const ANY: i64 = -1;

#[async_trait]
impl SessionStore for RedisStore {
    async fn create(&self, key: &Key, new: &NewSession) -> Result<Session, StoreError> {
        if context_bytes(&new.context) > self.link.limits.context_bytes {
            return Err(StoreError::Invalid("the session's context is too large"));
        }
        let beginning =
            InitialSession { ttl: new.ttl, context: &new.context, ..InitialSession::default() };
        self.begin_session(key, beginning).await
    }

    async fn load(
        &self,
        key: &Key,
        slice: MessageRange,
    ) -> Result<Option<SessionSnapshot>, StoreError> {
        let Some((session, lines)) = read(&self.link, key, slice).await? else { return Ok(None) };
        let entries = (slice.from..)
            .zip(&lines)
            .map(|(position, line)| record::decode(position, line))
            .collect::<Result<_, _>>()?;
        Ok(Some(SessionSnapshot { session, entries }))
    }

    async fn append(&self, key: &Key, turn: &SessionTurn) -> Result<WriteOutcome, StoreError> {
        let limits = &self.link.limits;
        let mut arguments: Vec<Value> = vec![
            SCHEMA.into(),
            turn.id.as_str().into(),
            turn.expected.map_or(ANY, integer).into(),
            turn.ttl.map_or(ANY, |ttl| integer(millis(ttl))).into(),
            integer(limits.session_messages).into(),
            integer(limits.session_bytes).into(),
            integer(limits.context_bytes).into(),
        ];
        push_patch(&mut arguments, &turn.patch);
        let payloads = record::encode_turn(turn)?;
        let bytes = payloads.iter().map(|payload| payload.len() as u64).sum();
        self.charge(key, CountedKind::Session, StoredBytes::More(bytes), turn.ttl).await?;
        arguments.extend(payloads.into_iter().map(Value::from));
        let outcome = self.change(key, &script::SESSION_APPEND, arguments).await?;
        if let (WriteOutcome::Done(_), Some(ttl)) = (outcome, turn.ttl) {
            self.keep_list(key.tenant(), ttl, None).await?;
        }
        Ok(outcome)
    }

    async fn patch(
        &self,
        key: &Key,
        patch: &SessionPatch,
        expected: Option<u64>,
    ) -> Result<WriteOutcome, StoreError> {
        let mut arguments: Vec<Value> = vec![
            SCHEMA.into(),
            expected.map_or(ANY, integer).into(),
            integer(self.link.limits.context_bytes).into(),
        ];
        push_patch(&mut arguments, patch);
        self.change(key, &script::SESSION_PATCH, arguments).await
    }

    async fn touch(&self, key: &Key, ttl: Duration) -> Result<WriteOutcome, StoreError> {
        self.charge(key, CountedKind::Session, StoredBytes::More(0), Some(ttl)).await?;
        let arguments = vec![SCHEMA.into(), integer(millis(ttl)).into()];
        let outcome = self.change(key, &script::SESSION_TOUCH, arguments).await?;
        self.keep_list(key.tenant(), ttl, None).await?;
        Ok(outcome)
    }

    async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let keys = self.session_keys(key, "mldt");
        let found = self.link.call(&script::SESSION_DELETE, keys, Vec::new()).await?;
        self.release_charge(key, CountedKind::Session).await;
        Ok(reply::number(&found)? == 1)
    }

    async fn list(
        &self,
        tenant: &Tenant,
        page: &SessionPageQuery,
    ) -> Result<SessionPage, StoreError> {
        self.list_sessions(tenant, page).await
    }

    async fn fork(
        &self,
        from: &Key,
        to: &str,
        fork: &SessionFork,
    ) -> Result<Option<Session>, StoreError> {
        let Some((source, mut lines)) = read(&self.link, from, MessageRange::ALL).await? else {
            return Ok(None);
        };
        let version = fork.at.unwrap_or(u64::MAX).min(source.version);
        // History only grows, so that what was read is as it was at that version.
        let (mut bytes, mut turn, mut count) = (0, 0, 0);
        for line in &lines {
            let text = String::from_utf8_lossy(line);
            let Some((at, _, payload)) = record::split(&text).filter(|it| it.0 <= version) else {
                break;
            };
            bytes += payload.len() as u64;
            (turn, count) = (at, count + 1);
        }
        lines.truncate(count);
        let context = &source.context;
        let beginning = InitialSession { ttl: fork.ttl, context, version, turn, bytes, lines };
        self.begin_session(&from.tenant().key(to), beginning).await.map(Some)
    }

    async fn claim(
        &self,
        key: &Key,
        token: &str,
        lease: Duration,
    ) -> Result<ClaimResult, StoreError> {
        let arguments = vec![token.into(), integer(millis(lease)).into()];
        let keys = self.session_keys(key, "mt");
        let (word, rest) =
            reply::tagged_reply(self.link.call(&script::SESSION_CLAIM, keys, arguments).await?)?;
        let left = rest.first().and_then(Value::as_u64).unwrap_or_default();
        match &*word {
            "OK" => Ok(ClaimResult::Granted),
            "HELD" => Ok(ClaimResult::Held(Duration::from_millis(left))),
            "GONE" => Ok(ClaimResult::Gone),
            _ => Err(unreadable()),
        }
    }

    async fn release(&self, key: &Key, token: &str) -> Result<(), StoreError> {
        let keys = self.session_keys(key, "t");
        self.link.call(&script::SESSION_RELEASE, keys, vec![token.into()]).await.map(drop)
    }
}

/// The initial content of a session: empty, or a copy.
struct InitialSession<'a> {
    ttl: Duration,
    context: &'a SessionContext,
    version: u64,
    turn: u64,
    bytes: u64,
    lines: Vec<bytes::Bytes>,
}

impl Default for InitialSession<'_> {
    fn default() -> Self {
        static EMPTY: SessionContext = SessionContext::new();
        let (version, turn, bytes, lines) = (0, 0, 0, Vec::new());
        Self { ttl: Duration::ZERO, context: &EMPTY, version, turn, bytes, lines }
    }
}

impl RedisStore {
    fn session_keys(&self, key: &Key, letters: &str) -> Vec<String> {
        keys::of(&self.link.prefix, "s", key, letters)
    }

    async fn change(
        &self,
        key: &Key,
        script: &script::RedisScript,
        arguments: Vec<Value>,
    ) -> Result<WriteOutcome, StoreError> {
        let keys = self.session_keys(key, "mld");
        reply::outcome("session", self.link.call(script, keys, arguments).await?)
    }

    async fn begin_session(
        &self,
        key: &Key,
        it: InitialSession<'_>,
    ) -> Result<Session, StoreError> {
        let bytes = StoredBytes::Total(it.bytes + context_bytes(it.context));
        self.charge(key, CountedKind::Session, bytes, Some(it.ttl)).await?;
        let mut arguments: Vec<Value> =
            vec![SCHEMA.into(), integer(millis(it.ttl)).into(), integer(it.version).into()];
        arguments.push(integer(it.turn).into());
        arguments.push(integer(it.bytes).into());
        arguments.push(integer(it.context.len() as u64).into());
        for (name, value) in it.context {
            arguments.extend([Value::from(name.as_str()), value.get().into()]);
        }
        let messages = it.lines.len() as u64;
        arguments.extend(it.lines.into_iter().map(Value::from));
        let keys = self.session_keys(key, "mld");
        let (word, times) =
            reply::tagged_reply(self.link.call(&script::SESSION_CREATE, keys, arguments).await?)?;
        let ("OK", [created, expires]) = (&*word, &*times) else {
            return Err(StoreError::Invalid("the session's id is taken"));
        };
        let (created_at, expires_at) = (reply::number(created)?, reply::number(expires)?);
        self.keep_list(key.tenant(), it.ttl, Some((created_at, key.id()))).await?;
        Ok(Session {
            id: key.id().to_owned(),
            version: it.version,
            created_at,
            expires_at,
            ttl: it.ttl,
            messages,
            bytes: it.bytes,
            context: it.context.clone(),
        })
    }
}

/// The session, and the records asked for.
pub(super) async fn read(
    link: &RedisConnection,
    key: &Key,
    slice: MessageRange,
) -> Result<Option<(Session, Vec<bytes::Bytes>)>, StoreError> {
    let limit = i64::try_from(slice.limit).unwrap_or(ANY);
    let arguments = vec![integer(slice.from).into(), limit.into()];
    let found = link.call(&script::SESSION_LOAD, keys::of(&link.prefix, "s", key, "ml"), arguments);
    let mut found = reply::list(found.await?)?.into_iter();
    let (Some(fields), Some(lines), Some(held)) = (found.next(), found.next(), found.next()) else {
        return Ok(None);
    };
    let session = session(key.id(), reply::list(fields)?)?;
    let lines: Vec<_> =
        reply::list(lines)?.into_iter().map(reply::bytes).collect::<Result<_, _>>()?;
    if reply::number(&held)? != session.messages {
        return Err(StoreError::corrupt("session", "messages are missing"));
    }
    Ok(Some((session, lines)))
}

/// Reads the fields of a session.
fn session(id: &str, fields: Vec<Value>) -> Result<Session, StoreError> {
    let mut session = Session {
        id: id.to_owned(),
        version: 0,
        created_at: 0,
        expires_at: 0,
        ttl: Duration::ZERO,
        messages: 0,
        bytes: 0,
        context: SessionContext::new(),
    };
    let (mut schema, mut fields) = (None, fields.into_iter());
    let broken = |what: &str| StoreError::corrupt("session", format!("its {what} cannot be read"));
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        let name = reply::text(&name)?;
        let number = || value.as_u64().ok_or_else(|| broken(&name));
        match &*name {
            "v" => schema = Some(number()?),
            "ver" => session.version = number()?,
            "created" => session.created_at = number()?,
            "expires" => session.expires_at = number()?,
            "ttl" => session.ttl = Duration::from_millis(number()?),
            "msgs" => session.messages = number()?,
            "bytes" => session.bytes = number()?,
            _ => {
                let Some(member) = name.strip_prefix("c:") else { continue };
                let json = Json::parse(reply::text(&value)?).map_err(|_| broken("context"))?;
                session.context.insert(member.to_owned(), json);
            }
        }
    }
    let schema = schema.ok_or_else(|| broken("schema"))?;
    record::check_schema("session", u32::try_from(schema).unwrap_or(u32::MAX))?;
    Ok(session)
}

fn push_patch(arguments: &mut Vec<Value>, patch: &SessionPatch) {
    arguments.push(integer(patch.len() as u64).into());
    for (name, value) in patch {
        let (op, value) = value.as_ref().map_or(("del", ""), |value| ("set", value.get()));
        arguments.extend([Value::from(op), name.as_str().into(), value.into()]);
    }
}
