//! The records of virtual keys.

use super::{
    key_layout::{self, RecordKind},
    write_txn::{ReadView, WriteTxn},
};
use crate::record;
use gateway_core::state::{ClientKey, StoreError, Tenant};
use serde::{Deserialize, Serialize};

/// Maximum number of virtual keys.
const MOST: usize = 10_000;

#[derive(Deserialize, Serialize)]
struct StoredKey {
    v: u32,
    key: ClientKey,
}

#[derive(Deserialize, Serialize)]
struct KeysVersion {
    v: u32,
    number: u64,
}

/// Implements [`ClientKeys::put`](gateway_core::state::ClientKeys::put).
pub(super) fn put(txn: &mut WriteTxn<'_>, key: &ClientKey) -> Result<(), StoreError> {
    let object = key_layout::object(RecordKind::ClientKey, &tenant()?.key(&*key.id));
    if txn.get(&object)?.is_none() && all(txn)?.len() >= MOST {
        return Err(StoreError::Full);
    }
    txn.put(object, record::write(&StoredKey { v: record::SCHEMA, key: key.clone() })?);
    count(txn)
}

/// Implements [`ClientKeys::replace`](gateway_core::state::ClientKeys::replace).
pub(super) fn replace(
    txn: &mut WriteTxn<'_>,
    old: &ClientKey,
    new: &ClientKey,
    added: &[ClientKey],
) -> Result<bool, StoreError> {
    let object = key_layout::object(RecordKind::ClientKey, &tenant()?.key(&*old.id));
    let Some(json) = txn.get(&object)? else { return Ok(false) };
    if record::read::<StoredKey>("client key", &json)?.key != *old {
        return Ok(false);
    }
    put(txn, new)?;
    added.iter().try_for_each(|key| put(txn, key))?;
    Ok(true)
}

/// Implements [`ClientKeys::remove`](gateway_core::state::ClientKeys::remove).
pub(super) fn remove(txn: &mut WriteTxn<'_>, id: &str) -> Result<bool, StoreError> {
    let object = key_layout::object(RecordKind::ClientKey, &tenant()?.key(id));
    if txn.get(&object)?.is_none() {
        return Ok(false);
    }
    txn.remove(object);
    count(txn)?;
    Ok(true)
}

/// Implements [`ClientKeys::all`](gateway_core::state::ClientKeys::all).
pub(super) fn all(view: &dyn ReadView) -> Result<Vec<ClientKey>, StoreError> {
    let entries =
        view.scan(key_layout::all(RecordKind::ClientKey, Some(&tenant()?)), usize::MAX)?;
    let mut keys = entries
        .iter()
        .map(|(_, json)| Ok(record::read::<StoredKey>("client key", json)?.key))
        .collect::<Result<Vec<_>, StoreError>>()?;
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(keys)
}

/// Implements [`ClientKeys::version`](gateway_core::state::ClientKeys::version).
pub(super) fn version(view: &dyn ReadView) -> Result<u64, StoreError> {
    let Some(json) = view.get(&version_place()?)? else { return Ok(0) };
    Ok(record::read::<KeysVersion>("version of client keys", &json)?.number)
}

fn count(txn: &mut WriteTxn<'_>) -> Result<(), StoreError> {
    let number = version(txn)? + 1;
    txn.put(version_place()?, record::write(&KeysVersion { v: record::SCHEMA, number })?);
    Ok(())
}

fn version_place() -> Result<Vec<u8>, StoreError> {
    Ok(key_layout::object(RecordKind::KeysVersion, &tenant()?.key("")))
}

fn tenant() -> Result<Tenant, StoreError> {
    Tenant::new("gateway").ok_or(StoreError::Invalid("somebody has to keep keys"))
}
