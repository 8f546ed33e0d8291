//! What was used, and what it cost.

use super::{
    draft::{Draft, View},
    expiry,
    name::{self, Kind},
};
use crate::{limits::Limits, record};
use gateway_core::state::{Admitted, Batch, Closed, Key, StoreError, Tenant, Totals};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

const DAY: u64 = 86_400_000;

/// For how long a batch that was written is known to be, in milliseconds: nobody says it again
/// later.
pub(crate) const WRITTEN: u64 = 600_000;

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

/// See [`Ledger::record`](gateway_core::state::Ledger::record).
pub(super) fn record(
    draft: &mut Draft<'_>,
    limits: &Limits,
    batch: &Batch,
) -> Result<(), StoreError> {
    let mark = name::object(Kind::Batch, &tenant("ledger")?.key(&*batch.id));
    if draft.get(&mark)?.is_some() {
        return Ok(());
    }
    let expires = draft.now.saturating_add(WRITTEN);
    expiry::schedule(draft, &mark, None, expires);
    draft.put(mark, Vec::new());
    batch.opened.iter().try_for_each(|row| open(draft, row))?;
    for (row, closed) in &batch.closed {
        close(draft, limits, row, closed)?;
    }
    batch.sums.iter().try_for_each(|sum| add(draft, limits, sum))
}

fn open(draft: &mut Draft<'_>, row: &Admitted) -> Result<(), StoreError> {
    let place = name::object(Kind::OpenRow, &key(row)?);
    let expires = draft.now.saturating_add(OPEN_DAYS * DAY);
    expiry::schedule(draft, &place, None, expires);
    let row = Row { v: record::SCHEMA, expires, admitted: row.clone() };
    draft.put(place, record::write(&row)?);
    Ok(())
}

/// Closes a row; false if it is not open.
fn close(
    draft: &mut Draft<'_>,
    limits: &Limits,
    row: &Admitted,
    closed: &Closed,
) -> Result<bool, StoreError> {
    let place = name::object(Kind::OpenRow, &key(row)?);
    let Some(json) = draft.get(&place)? else { return Ok(false) };
    let open: Row = record::read("ledger row", &json)?;
    expiry::forget(draft, &place, open.expires)?;
    add(draft, limits, &Totals::of(row, closed))?;
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

fn add(draft: &mut Draft<'_>, limits: &Limits, more: &Totals) -> Result<(), StoreError> {
    let day = more.day;
    let id = [&*format!("{day:08}"), &more.model, &more.provider, &more.outcome].join("\0");
    let object = name::object(Kind::Totals, &tenant(&more.client)?.key(id));
    let sum = if let Some(json) = draft.get(&object)? {
        let mut sum: Sum = record::read("ledger total", &json)?;
        sum.totals.add(more);
        sum
    } else {
        let expires = draft.now.saturating_add(limits.ledger_days * DAY);
        expiry::schedule(draft, &object, None, expires);
        Sum { v: record::SCHEMA, expires, totals: more.clone() }
    };
    draft.put(object, record::write(&sum)?);
    Ok(())
}

fn key(row: &Admitted) -> Result<Key, StoreError> {
    Ok(tenant(&row.client)?.key(&*row.id))
}

fn tenant(client: &str) -> Result<Tenant, StoreError> {
    Tenant::new(client).ok_or(StoreError::Invalid("a ledger row has a client"))
}
