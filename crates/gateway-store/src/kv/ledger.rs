//! What was used, and what it cost.

use super::{
    draft::{Draft, View},
    expiry,
    name::{self, Kind},
};
use crate::{limits::Limits, record};
use gateway_core::state::{Admitted, Closed, Key, StoreError, Tenant, Totals};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

const DAY: u64 = 86_400_000;

/// For how long a row that was closed is known to be, in milliseconds: nobody says it again later.
const CLOSED: u64 = 3_600_000;

/// For how long a row may be open. The orphans of a crash are closed long before.
const OPEN_DAYS: u64 = 30;

/// How many orphans are closed in one step.
pub(super) const ORPHANS: usize = 1_000;

#[derive(Deserialize, Serialize)]
struct Row {
    v: u32,
    expires: u64,
    admitted: Admitted,
}

#[derive(Deserialize, Serialize)]
struct Sum {
    v: u32,
    expires: u64,
    totals: Totals,
}

/// See [`Ledger::admit`](gateway_core::state::Ledger::admit).
pub(super) fn admit(draft: &mut Draft<'_>, row: Admitted) -> Result<(), StoreError> {
    let key = key(&row)?;
    let (open, closed) = places(&key);
    if draft.get(&open)?.is_some() || draft.get(&closed)?.is_some() {
        return Ok(());
    }
    let expires = draft.now.saturating_add(OPEN_DAYS * DAY);
    expiry::schedule(draft, &open, None, expires);
    draft.put(open, record::write(&Row { v: record::SCHEMA, expires, admitted: row })?);
    Ok(())
}

/// See [`Ledger::close`](gateway_core::state::Ledger::close).
pub(super) fn close(
    draft: &mut Draft<'_>,
    limits: &Limits,
    admitted: &Admitted,
    closed: &Closed,
) -> Result<bool, StoreError> {
    let (open, done) = places(&key(admitted)?);
    if draft.get(&done)?.is_some() {
        return Ok(false);
    }
    if let Some(json) = draft.get(&open)? {
        let row: Row = record::read("ledger row", &json)?;
        expiry::forget(draft, &open, row.expires)?;
    }
    let expires = draft.now.saturating_add(CLOSED);
    expiry::schedule(draft, &done, None, expires);
    draft.put(done, Vec::new());
    add(draft, limits, admitted, closed)?;
    Ok(true)
}

/// See [`Ledger::close_orphans`](gateway_core::state::Ledger::close_orphans). At most [`ORPHANS`].
pub(super) fn close_orphans(
    draft: &mut Draft<'_>,
    limits: &Limits,
    before: u64,
    outcome: &str,
) -> Result<u64, StoreError> {
    let closed = Closed { outcome: outcome.to_owned(), estimated: true, ..Closed::default() };
    let mut count = 0;
    for (_, json) in draft.scan(name::all(Kind::OpenRow, None), usize::MAX)? {
        let Row { admitted: row, .. } = record::read("ledger row", &json)?;
        if row.at < before && count < ORPHANS as u64 && close(draft, limits, &row, &closed)? {
            count += 1;
        }
    }
    Ok(count)
}

/// See [`Ledger::totals`](gateway_core::state::Ledger::totals).
pub(super) fn totals(
    view: &dyn View,
    days: &RangeInclusive<u64>,
    client: Option<&Tenant>,
) -> Result<Vec<Totals>, StoreError> {
    let mut found = Vec::new();
    for (_, json) in view.scan(name::all(Kind::Totals, client), usize::MAX)? {
        let Sum { totals, .. } = record::read("ledger total", &json)?;
        if days.contains(&totals.day) {
            found.push(totals);
        }
    }
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(found)
}

/// The order in which totals are told.
pub(crate) fn order(totals: &Totals) -> (u64, &str, &str, &str, &str) {
    let Totals { day, client, model, provider, outcome, .. } = totals;
    (*day, client, model, provider, outcome)
}

fn add(
    draft: &mut Draft<'_>,
    limits: &Limits,
    row: &Admitted,
    closed: &Closed,
) -> Result<(), StoreError> {
    let day = row.day();
    let id = [&*format!("{day:08}"), &row.model, &row.provider, &closed.outcome].join("\0");
    let object = name::object(Kind::Totals, &tenant(row)?.key(id));
    let mut sum = if let Some(json) = draft.get(&object)? {
        record::read("ledger total", &json)?
    } else {
        let expires = draft.now.saturating_add(limits.ledger_days * DAY);
        expiry::schedule(draft, &object, None, expires);
        Sum { v: record::SCHEMA, expires, totals: empty(row, closed) }
    };
    sum.totals.requests += 1;
    sum.totals.usage += closed.usage;
    sum.totals.cost += closed.cost;
    draft.put(object, record::write(&sum)?);
    Ok(())
}

/// The sum over no row like this.
pub(crate) fn empty(row: &Admitted, closed: &Closed) -> Totals {
    Totals {
        day: row.day(),
        client: row.client.clone(),
        model: row.model.clone(),
        provider: row.provider.clone(),
        outcome: closed.outcome.clone(),
        requests: 0,
        usage: gateway_core::Usage::default(),
        cost: gateway_core::NanoDollars::default(),
    }
}

fn places(key: &Key) -> (Vec<u8>, Vec<u8>) {
    (name::object(Kind::OpenRow, key), name::object(Kind::ClosedRow, key))
}

fn key(row: &Admitted) -> Result<Key, StoreError> {
    Ok(tenant(row)?.key(&*row.id))
}

fn tenant(row: &Admitted) -> Result<Tenant, StoreError> {
    Tenant::new(&*row.client).ok_or(StoreError::Invalid("a ledger row has a client"))
}
