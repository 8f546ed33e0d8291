//! Keys of clients.

use super::{
    draft::{Draft, View},
    name::{self, Kind},
};
use crate::record;
use gateway_core::state::{ClientKey, StoreError, Tenant};
use serde::{Deserialize, Serialize};

/// How many there may be.
const MOST: usize = 10_000;

#[derive(Deserialize, Serialize)]
struct Kept {
    v: u32,
    key: ClientKey,
}

#[derive(Deserialize, Serialize)]
struct Version {
    v: u32,
    number: u64,
}

/// See [`ClientKeys::put`](gateway_core::state::ClientKeys::put).
pub(super) fn put(draft: &mut Draft<'_>, key: &ClientKey) -> Result<(), StoreError> {
    let object = name::object(Kind::ClientKey, &tenant()?.key(&*key.id));
    if draft.get(&object)?.is_none() && all(draft)?.len() >= MOST {
        return Err(StoreError::Full);
    }
    draft.put(object, record::write(&Kept { v: record::SCHEMA, key: key.clone() })?);
    count(draft)
}

/// See [`ClientKeys::remove`](gateway_core::state::ClientKeys::remove).
pub(super) fn remove(draft: &mut Draft<'_>, id: &str) -> Result<bool, StoreError> {
    let object = name::object(Kind::ClientKey, &tenant()?.key(id));
    if draft.get(&object)?.is_none() {
        return Ok(false);
    }
    draft.remove(object);
    count(draft)?;
    Ok(true)
}

/// See [`ClientKeys::all`](gateway_core::state::ClientKeys::all).
pub(super) fn all(view: &dyn View) -> Result<Vec<ClientKey>, StoreError> {
    let entries = view.scan(name::all(Kind::ClientKey, Some(&tenant()?)), usize::MAX)?;
    let mut keys = entries
        .iter()
        .map(|(_, json)| Ok(record::read::<Kept>("client key", json)?.key))
        .collect::<Result<Vec<_>, StoreError>>()?;
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(keys)
}

/// See [`ClientKeys::version`](gateway_core::state::ClientKeys::version).
pub(super) fn version(view: &dyn View) -> Result<u64, StoreError> {
    let Some(json) = view.get(&version_place()?)? else { return Ok(0) };
    Ok(record::read::<Version>("version of client keys", &json)?.number)
}

fn count(draft: &mut Draft<'_>) -> Result<(), StoreError> {
    let number = version(draft)? + 1;
    draft.put(version_place()?, record::write(&Version { v: record::SCHEMA, number })?);
    Ok(())
}

fn version_place() -> Result<Vec<u8>, StoreError> {
    Ok(name::object(Kind::KeysVersion, &tenant()?.key("")))
}

fn tenant() -> Result<Tenant, StoreError> {
    Tenant::new("gateway").ok_or(StoreError::Invalid("somebody has to keep keys"))
}
