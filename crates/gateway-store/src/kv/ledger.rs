//! The usage ledger: tokens and cost of requests.

use super::{
    expiry,
    key_layout::{self, RecordKind},
    write_txn::{ReadView, WriteTxn},
};
use crate::{limits::StoreLimits, record};
use gateway_core::state::{
    AdmittedRequest, Batch, Key, RequestOutcome, StoreError, Tenant, Totals,
};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

const DAY: u64 = 86_400_000;

/// The retention of batch ids, in milliseconds; a batch is not repeated later than that.
pub(crate) const WRITTEN: u64 = 600_000;

/// For how long a row may be open. The orphans of a crash are closed long before.
const OPEN_DAYS: u64 = 30;

/// Maximum number of orphans closed in one transaction.
pub(super) const ORPHANS: usize = 1_000;

#[derive(Deserialize, Serialize)]
struct Row {
    v: u32,
    expires: u64,
    admitted: AdmittedRequest,
}

#[derive(Deserialize, Serialize)]
struct Sum {
    v: u32,
    expires: u64,
    totals: Totals,
}

/// Implements [`Ledger::record`](gateway_core::state::Ledger::record).
pub(super) fn record(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    batch: &Batch,
) -> Result<(), StoreError> {
    let mark = key_layout::object(RecordKind::Batch, &tenant("ledger")?.key(&*batch.id));
    if txn.get(&mark)?.is_some() {
        return Ok(());
    }
    let expires = txn.now.saturating_add(WRITTEN);
    expiry::schedule(txn, &mark, None, expires);
    txn.put(mark, Vec::new());
    batch.opened.iter().try_for_each(|row| open(txn, row))?;
    for (row, closed) in &batch.closed {
        close(txn, limits, row, closed)?;
    }
    batch.sums.iter().try_for_each(|sum| add(txn, limits, sum))
}

fn open(txn: &mut WriteTxn<'_>, row: &AdmittedRequest) -> Result<(), StoreError> {
    let place = key_layout::object(RecordKind::OpenRow, &key(row)?);
    let expires = txn.now.saturating_add(OPEN_DAYS * DAY);
    expiry::schedule(txn, &place, None, expires);
    let row = Row { v: record::SCHEMA, expires, admitted: row.clone() };
    txn.put(place, record::write(&row)?);
    Ok(())
}

/// Closes a row; false if it is not open.
fn close(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    row: &AdmittedRequest,
    closed: &RequestOutcome,
) -> Result<bool, StoreError> {
    let place = key_layout::object(RecordKind::OpenRow, &key(row)?);
    let Some(json) = txn.get(&place)? else { return Ok(false) };
    let open: Row = record::read("ledger row", &json)?;
    expiry::forget(txn, &place, open.expires)?;
    add(txn, limits, &Totals::of(row, closed))?;
    Ok(true)
}

/// See [`Ledger::close_orphans`](gateway_core::state::Ledger::close_orphans). At most [`ORPHANS`].
pub(super) fn close_orphans(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    before: u64,
    outcome: &str,
) -> Result<u64, StoreError> {
    let closed = RequestOutcome {
        outcome: outcome.to_owned(),
        estimated: true,
        ..RequestOutcome::default()
    };
    let mut count = 0;
    for (_, json) in txn.scan(key_layout::all(RecordKind::OpenRow, None), usize::MAX)? {
        let Row { admitted: row, .. } = record::read("ledger row", &json)?;
        if row.at < before && count < ORPHANS as u64 && close(txn, limits, &row, &closed)? {
            count += 1;
        }
    }
    Ok(count)
}

/// Implements [`Ledger::totals`](gateway_core::state::Ledger::totals).
pub(super) fn totals(
    view: &dyn ReadView,
    days: &RangeInclusive<u64>,
    client: Option<&Tenant>,
) -> Result<Vec<Totals>, StoreError> {
    let mut found = Vec::new();
    for (_, json) in view.scan(key_layout::all(RecordKind::Totals, client), usize::MAX)? {
        let Sum { totals, .. } = record::read("ledger total", &json)?;
        if days.contains(&totals.day) {
            found.push(totals);
        }
    }
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(found)
}

/// Returns the sort key of totals.
pub(crate) fn order(totals: &Totals) -> (u64, &str, &str, &str, &str) {
    let Totals { day, client, model, provider, outcome, .. } = totals;
    (*day, client, model, provider, outcome)
}

fn add(txn: &mut WriteTxn<'_>, limits: &StoreLimits, more: &Totals) -> Result<(), StoreError> {
    let day = more.day;
    let id = [&*format!("{day:08}"), &more.model, &more.provider, &more.outcome].join("\0");
    let object = key_layout::object(RecordKind::Totals, &tenant(&more.client)?.key(id));
    let sum = if let Some(json) = txn.get(&object)? {
        let mut sum: Sum = record::read("ledger total", &json)?;
        sum.totals.add(more);
        sum
    } else {
        let expires = txn.now.saturating_add(limits.ledger_days * DAY);
        expiry::schedule(txn, &object, None, expires);
        Sum { v: record::SCHEMA, expires, totals: more.clone() }
    };
    txn.put(object, record::write(&sum)?);
    Ok(())
}

fn key(row: &AdmittedRequest) -> Result<Key, StoreError> {
    Ok(tenant(&row.client)?.key(&*row.id))
}

fn tenant(client: &str) -> Result<Tenant, StoreError> {
    Tenant::new(client).ok_or(StoreError::Invalid("a ledger row has a client"))
}
