//! The state of each tenant: counted in the step that changes it, and bounded.

use super::{
    key_layout::{self, CountedKey, RecordKind},
    write_txn::{ReadView as _, WriteTxn},
};
use crate::{limits::TenantLimits, record};
use gateway_core::state::{StorageQuota, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The entries that are read at once where a tenant is counted for the first time.
const PAGE: usize = 256;

/// The records and bytes that a tenant keeps.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct TenantUsage {
    v: u32,
    bytes: u64,
    sessions: u64,
    responses: u64,
    replays: u64,
}

/// A change of what a tenant keeps.
#[derive(Clone, Copy, Debug, Default)]
struct UsageChange {
    bytes: i64,
    sessions: i64,
    responses: i64,
    replays: i64,
}

/// Counts the changes of `txn`, and refuses those by which a tenant would keep more than `limits`
/// allow. What frees room is always done.
pub(super) fn account(txn: &mut WriteTxn<'_>, limits: &TenantLimits) -> Result<(), StoreError> {
    for (tenant, change) in changes(txn)? {
        let name = key_layout::usage(&tenant);
        let before = match txn.get(&name)? {
            Some(json) => record::read("usage", &json)?,
            None => count(txn, &tenant)?,
        };
        let after = before.after(change);
        if let Some(quota) = after.exceeds(limits, change) {
            return Err(StoreError::Quota(quota));
        }
        if after.is_empty() {
            txn.remove(name);
        } else {
            txn.put(name, record::write(&after)?);
        }
    }
    Ok(())
}

/// The changes of each tenant.
fn changes(txn: &WriteTxn<'_>) -> Result<BTreeMap<Vec<u8>, UsageChange>, StoreError> {
    let mut changes: BTreeMap<Vec<u8>, UsageChange> = BTreeMap::new();
    for (key, value) in txn.changes() {
        let Some(counted) = key_layout::counted(key) else { continue };
        let before = txn.before(key)?.map(|it| it.len());
        let change = changes.entry(counted.tenant.to_vec()).or_default();
        let size = |length: Option<usize>| length.map_or(0, |length| signed(key.len() + length));
        let after = value.as_ref().map(Vec::len);
        change.bytes += size(after) - size(before);
        change.add(&counted, i64::from(after.is_some()) - i64::from(before.is_some()));
    }
    Ok(changes)
}

/// Counts what `tenant` kept before `txn`, where that was never counted.
fn count(txn: &WriteTxn<'_>, tenant: &[u8]) -> Result<TenantUsage, StoreError> {
    let mut all = UsageChange::default();
    for kind in [RecordKind::Session, RecordKind::Response, RecordKind::Replay] {
        let mut range = key_layout::all_of(kind, tenant);
        loop {
            let page = txn.scan_before(range.clone(), PAGE)?;
            let Some((last, _)) = page.last() else { break };
            range.start = [last.as_slice(), &[0]].concat();
            for (key, value) in &page {
                all.bytes += signed(key.len() + value.len());
                if let Some(counted) = key_layout::counted(key) {
                    all.add(&counted, 1);
                }
            }
        }
    }
    Ok(TenantUsage::default().after(all))
}

impl UsageChange {
    /// Counts records that come or go; only the place of a thing itself counts as one.
    fn add(&mut self, counted: &CountedKey<'_>, number: i64) {
        if !counted.is_whole {
            return;
        }
        match counted.kind {
            RecordKind::Session => self.sessions += number,
            RecordKind::Response => self.responses += number,
            RecordKind::Replay => self.replays += number,
            RecordKind::Aside
            | RecordKind::AsideOrder
            | RecordKind::OpenRow
            | RecordKind::Batch
            | RecordKind::Totals
            | RecordKind::Spent
            | RecordKind::ClientKey
            | RecordKind::KeysVersion
            | RecordKind::LedgerRun => {}
        }
    }
}

impl TenantUsage {
    fn after(self, change: UsageChange) -> Self {
        Self {
            v: record::SCHEMA,
            bytes: self.bytes.saturating_add_signed(change.bytes),
            sessions: self.sessions.saturating_add_signed(change.sessions),
            responses: self.responses.saturating_add_signed(change.responses),
            replays: self.replays.saturating_add_signed(change.replays),
        }
    }

    const fn is_empty(&self) -> bool {
        self.bytes == 0 && self.sessions == 0 && self.responses == 0 && self.replays == 0
    }

    /// The bound that a change exceeds, if it takes more of it.
    fn exceeds(&self, limits: &TenantLimits, change: UsageChange) -> Option<StorageQuota> {
        let bounds = [
            (StorageQuota::Sessions, self.sessions, limits.sessions, change.sessions),
            (StorageQuota::Responses, self.responses, limits.responses, change.responses),
            (StorageQuota::Replays, self.replays, limits.replays, change.replays),
            (StorageQuota::Bytes, self.bytes, limits.bytes, change.bytes),
        ];
        let exceeded = bounds.into_iter().find(|(_, used, limit, more)| *more > 0 && used > limit);
        exceeded.map(|(quota, ..)| quota)
    }
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::state::Tenant;

    type ByteMap = BTreeMap<Vec<u8>, Vec<u8>>;

    const LIMITS: TenantLimits =
        TenantLimits { bytes: 1_000, sessions: 2, responses: 1, replays: 9 };

    /// Applies a change of `t`'s session `id` to `map`.
    fn change(map: &mut ByteMap, id: &str, body: Option<&[u8]>) -> Result<(), StoreError> {
        let object = key_layout::object(RecordKind::Session, &Tenant::new("t").unwrap().key(id));
        let mut txn = WriteTxn::new(&*map, 0);
        match body {
            Some(body) => {
                txn.put(object.clone(), b"{}".to_vec());
                txn.put(key_layout::part(&object, 0), body.to_vec());
            }
            None => txn.remove_range(key_layout::whole(&object))?,
        }
        account(&mut txn, &LIMITS)?;
        for (key, value) in txn.into_changes() {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    #[track_caller]
    fn check_refused(result: Result<(), StoreError>, expected: StorageQuota) {
        match result {
            Err(StoreError::Quota(quota)) => assert_eq!(quota, expected),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tenant_keeps_no_more_than_its_quota() {
        let mut map = ByteMap::new();
        change(&mut map, "a", Some(b"x")).unwrap();
        change(&mut map, "b", Some(b"x")).unwrap();
        check_refused(change(&mut map, "c", Some(b"x")), StorageQuota::Sessions);
        check_refused(change(&mut map, "a", Some(&[0; 1_000])), StorageQuota::Bytes);
        change(&mut map, "a", None).unwrap();
        change(&mut map, "c", Some(b"x")).unwrap();
        change(&mut map, "b", None).unwrap();
        change(&mut map, "c", None).unwrap();
        assert!(map.is_empty(), "{map:?}");
    }

    #[test]
    fn state_of_older_version_is_counted_at_first_change() {
        let mut map = ByteMap::new();
        change(&mut map, "a", Some(b"x")).unwrap();
        change(&mut map, "b", Some(b"x")).unwrap();
        map.remove(&key_layout::usage(&key_layout::tenant_name("t")));
        check_refused(change(&mut map, "c", Some(b"x")), StorageQuota::Sessions);
        change(&mut map, "a", None).unwrap();
        change(&mut map, "c", Some(b"x")).unwrap();
    }
}
