//! The sessions of a tenant, in Redis.
//!
//! The list is a key of its own, and may for a moment name sessions that are gone. They are left
//! out when it is read, and taken out when they are met.

use super::{
    RedisStore, keys, reply,
    script::{self, integer},
    sessions,
};
use crate::clock::millis;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future;
use gateway_core::state::{Key, MessageRange, SessionPage, SessionPageQuery, StoreError, Tenant};
use std::time::Duration;

/// The retention of a list after its newest session: longer than a session is likely to be extended
/// without an update of the list.
const MARGIN: Duration = Duration::from_hours(720);

/// Maximum sessions of a list. The oldest are evicted; they can still be used by id.
const LISTED: i64 = 100_000;

impl RedisStore {
    /// Adds a session, by its time of creation and name, and lets the list live as long as it.
    pub(super) async fn keep_list(
        &self,
        tenant: &Tenant,
        ttl: Duration,
        new: Option<(u64, &str)>,
    ) -> Result<(), StoreError> {
        let member = new.map_or_else(String::new, |(created, id)| member(created, id));
        let keep = integer(millis(ttl.saturating_add(MARGIN)));
        let arguments = vec![keep.into(), LISTED.into(), member.into()];
        self.link.call(&script::SESSION_INDEX, self.list_key(tenant), arguments).await.map(drop)
    }

    pub(super) async fn list_sessions(
        &self,
        tenant: &Tenant,
        page: &SessionPageQuery,
    ) -> Result<SessionPage, StoreError> {
        let after = page.after.as_deref().map(read_cursor).transpose()?.unwrap_or_default();
        let limit = integer(page.limit.saturating_add(1) as u64);
        let found = self.names(tenant, &after, limit, Vec::new()).await?;
        let shown: Vec<_> = found.iter().take(page.limit).collect();
        let loading = shown.iter().map(|member| self.load_listed(tenant, member));
        let mut listing = SessionPage::default();
        let mut gone = Vec::new();
        for (member, session) in shown.iter().zip(future::try_join_all(loading).await?) {
            match session {
                Some(session) => listing.sessions.push(session),
                None => gone.push((*member).clone()),
            }
        }
        if found.len() > page.limit {
            listing.next = shown.last().map(|member| URL_SAFE_NO_PAD.encode(member));
        }
        if !gone.is_empty() {
            self.names(tenant, "", 0, gone).await?;
        }
        Ok(listing)
    }

    async fn load_listed(
        &self,
        tenant: &Tenant,
        member: &str,
    ) -> Result<Option<gateway_core::state::Session>, StoreError> {
        let Some((_, id)) = member.split_once(':') else { return Ok(None) };
        let key: Key = tenant.key(id);
        Ok(sessions::read(&self.link, &key, MessageRange::NONE).await?.map(|(session, _)| session))
    }

    async fn names(
        &self,
        tenant: &Tenant,
        after: &str,
        limit: i64,
        gone: Vec<String>,
    ) -> Result<Vec<String>, StoreError> {
        let mut arguments = vec![after.into(), limit.into()];
        arguments.extend(gone.into_iter().map(Into::into));
        let found = self.link.call(&script::SESSION_LIST, self.list_key(tenant), arguments).await?;
        reply::list(found)?.iter().map(reply::text).collect()
    }

    fn list_key(&self, tenant: &Tenant) -> Vec<String> {
        vec![keys::of_tenant(&self.link.prefix, "sessions", tenant)]
    }
}

/// Sorts by the time of creation.
fn member(created: u64, id: &str) -> String {
    format!("{created:016}:{id}")
}

fn read_cursor(cursor: &str) -> Result<String, StoreError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let member = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    member.filter(|member| member.contains(':')).ok_or(StoreError::Invalid("there is no such page"))
}
