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
use std::{collections::BTreeSet, ops::RangeInclusive};

const DAY: u64 = 86_400_000;

/// For how long a row may be open. The orphans of a crash are closed long before.
pub(crate) const MAX_OPEN_DAYS: u64 = 30;

/// Maximum number of orphans closed in one transaction.
pub(super) const ORPHANS: usize = 1_000;

#[derive(Deserialize, Serialize)]
struct OpenRowRecord {
    v: u32,
    expires: u64,
    admitted: AdmittedRequest,
}

/// The progress of a run.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct RunMark {
    v: u32,
    expires: u64,
    /// The number of the last batch that was recorded.
    number: u64,
}

#[derive(Deserialize, Serialize)]
struct TotalsRecord {
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
    if is_recorded(txn, batch)? {
        return Ok(());
    }
    advance(txn, batch)?;
    batch.opened.iter().try_for_each(|row| open(txn, row))?;
    batch.revised.iter().try_for_each(|row| revise(txn, row))?;
    for (row, closed) in &batch.closed {
        close(txn, limits, row, closed)?;
    }
    batch.sums.iter().try_for_each(|sum| add(txn, limits, sum))
}

/// Whether `batch` was recorded before.
pub(super) fn is_recorded(view: &dyn ReadView, batch: &Batch) -> Result<bool, StoreError> {
    let mark = run_mark(view, &run_place(&batch.run)?)?;
    Ok(mark.is_some_and(|mark| batch.number <= mark.number))
}

/// Notes that the run has come to `batch`.
fn advance(txn: &mut WriteTxn<'_>, batch: &Batch) -> Result<(), StoreError> {
    let place = run_place(&batch.run)?;
    let before = run_mark(txn, &place)?.map(|mark| mark.expires);
    let lifetime = MAX_OPEN_DAYS * DAY;
    // A mark lives for longer than half its lifetime without being scheduled anew.
    let expires = match before {
        Some(before) if before > txn.now.saturating_add(lifetime / 2) => before,
        _ => {
            let expires = txn.now.saturating_add(lifetime);
            expiry::schedule(txn, &place, before, expires);
            expires
        }
    };
    let mark = RunMark { v: record::SCHEMA, expires, number: batch.number };
    txn.put(place, record::write(&mark)?);
    Ok(())
}

fn run_mark(view: &dyn ReadView, place: &[u8]) -> Result<Option<RunMark>, StoreError> {
    view.get(place)?.map(|json| record::read("ledger run", &json)).transpose()
}

fn run_place(run: &str) -> Result<Vec<u8>, StoreError> {
    Ok(key_layout::object(RecordKind::LedgerRun, &tenant("ledger")?.key(run)))
}

/// Writes the new reservation of a row, if it is open.
fn revise(txn: &mut WriteTxn<'_>, row: &AdmittedRequest) -> Result<(), StoreError> {
    let place = key_layout::object(RecordKind::OpenRow, &key(row)?);
    let Some(json) = txn.get(&place)? else { return Ok(()) };
    let open: OpenRowRecord = record::read("ledger row", &json)?;
    txn.put(place, record::write(&OpenRowRecord { admitted: row.clone(), ..open })?);
    Ok(())
}

fn open(txn: &mut WriteTxn<'_>, row: &AdmittedRequest) -> Result<(), StoreError> {
    let place = key_layout::object(RecordKind::OpenRow, &key(row)?);
    let expires = txn.now.saturating_add(MAX_OPEN_DAYS * DAY);
    expiry::schedule(txn, &place, None, expires);
    let row = OpenRowRecord { v: record::SCHEMA, expires, admitted: row.clone() };
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
    let open: OpenRowRecord = record::read("ledger row", &json)?;
    expiry::forget(txn, &place, open.expires)?;
    add(txn, limits, &Totals::of(row, closed))?;
    Ok(true)
}

/// Closes open rows that `is_lost` selects at their reservations: at most [`ORPHANS`].
pub(super) fn close_lost(
    txn: &mut WriteTxn<'_>,
    limits: &StoreLimits,
    outcome: &str,
    is_lost: impl Fn(&AdmittedRequest) -> bool,
) -> Result<u64, StoreError> {
    let mut count = 0;
    for row in open_rows(txn)?.iter().filter(|row| is_lost(row)).take(ORPHANS) {
        count += u64::from(close(txn, limits, row, &row.lost(outcome))?);
    }
    Ok(count)
}

/// Returns the runs of open rows, without `own`.
pub(super) fn other_runs(view: &dyn ReadView, own: &str) -> Result<Vec<String>, StoreError> {
    let rows = open_rows(view)?;
    let runs: BTreeSet<&str> = rows.iter().map(AdmittedRequest::run).collect();
    Ok(runs.into_iter().filter(|run| *run != own).map(str::to_owned).collect())
}

fn open_rows(view: &dyn ReadView) -> Result<Vec<AdmittedRequest>, StoreError> {
    let rows = view.scan(key_layout::all(RecordKind::OpenRow, None), usize::MAX)?;
    let read =
        |json: &[u8]| record::read("ledger row", json).map(|row: OpenRowRecord| row.admitted);
    rows.iter().map(|(_, json)| read(json)).collect()
}

/// Implements [`Ledger::totals`](gateway_core::state::Ledger::totals).
pub(super) fn totals(
    view: &dyn ReadView,
    days: &RangeInclusive<u64>,
    client: Option<&Tenant>,
) -> Result<Vec<Totals>, StoreError> {
    let mut found = Vec::new();
    for (_, json) in view.scan(key_layout::all(RecordKind::Totals, client), usize::MAX)? {
        let TotalsRecord { totals, .. } = record::read("ledger total", &json)?;
        if days.contains(&totals.day) {
            found.push(totals);
        }
    }
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(found)
}

/// Returns the sort key of totals.
pub(crate) fn order(totals: &Totals) -> (u64, [&str; 6]) {
    let Totals { day, client, model, provider, outcome, tags, user, .. } = totals;
    (*day, [client, model, provider, outcome, tags, user])
}

/// Returns the names of totals among those of their client.
pub(crate) fn totals_id(totals: &Totals) -> String {
    let Totals { day, model, provider, outcome, tags, user, .. } = totals;
    let mut id = [&*format!("{day:08}"), model, provider, outcome].join("\0");
    // Sums of requests without either keep the name that older versions wrote.
    if !(tags.is_empty() && user.is_empty()) {
        id.extend(["\0", tags, "\0", user]);
    }
    id
}

fn add(txn: &mut WriteTxn<'_>, limits: &StoreLimits, more: &Totals) -> Result<(), StoreError> {
    let object =
        key_layout::object(RecordKind::Totals, &tenant(&more.client)?.key(totals_id(more)));
    let sum = if let Some(json) = txn.get(&object)? {
        let mut sum: TotalsRecord = record::read("ledger total", &json)?;
        sum.totals.add(more);
        sum
    } else {
        let expires = txn.now.saturating_add(limits.ledger_days * DAY);
        expiry::schedule(txn, &object, None, expires);
        TotalsRecord { v: record::SCHEMA, expires, totals: more.clone() }
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
