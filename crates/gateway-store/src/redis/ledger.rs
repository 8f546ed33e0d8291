//! The usage ledger in Redis: the rows and sums of a day together.

use super::{
    RedisStore, reply,
    script::{self, integer},
};
use crate::{
    clock::millis,
    kv::ledger::{MAX_OPEN_DAYS, order},
};
use async_trait::async_trait;
use fred::types::Value;
use gateway_core::{
    NanoDollars, Usage,
    state::{AdmittedRequest, Batch, Ledger, StoreError, Tenant, Totals},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

const DAY: u64 = 86_400_000;

/// The number of rows that are closed in one call.
const CLOSED_AT_ONCE: usize = 200;

/// The largest amount, at which larger ones are capped: Redis must be able to add sums.
const MOST: u64 = 1 << 53;

#[async_trait]
impl Ledger for RedisStore {
    async fn record(&self, batch: &Batch) -> Result<(), StoreError> {
        let opened = batch.opened.iter().chain(&batch.revised).map(AdmittedRequest::day);
        let closed = batch.closed.iter().map(|(row, _)| row.day());
        let sums = batch.sums.iter().map(|sum| sum.day);
        let days: BTreeSet<u64> = opened.chain(closed).chain(sums).collect();
        for day in days {
            self.record_day(batch, day, Some(batch.number)).await?;
        }
        Ok(())
    }

    async fn totals(
        &self,
        days: RangeInclusive<u64>,
        client: Option<Tenant>,
    ) -> Result<Vec<Totals>, StoreError> {
        let today = self.clock.now() / DAY;
        let first = (*days.start()).max(today.saturating_sub(self.link.limits.ledger_days));
        let mut found = Vec::new();
        // Clocks of gateways differ: tomorrow may have begun elsewhere.
        for day in first..=(*days.end()).min(today + 1) {
            let [_, _, totals] = self.ledger_keys(day, "");
            found.extend(sums(day, self.link.pairs(totals).await?)?);
        }
        found.retain(|it| client.as_ref().is_none_or(|client| client.as_str() == it.client));
        found.sort_by(|a, b| order(a).cmp(&order(b)));
        Ok(found)
    }

    async fn renew_run(&self, run: &str, lease: Duration) -> Result<Vec<String>, StoreError> {
        let key = format!("{}u:{{runs}}", self.link.prefix);
        let keep = integer(MAX_OPEN_DAYS * DAY);
        let arguments = vec![run.into(), integer(millis(lease)).into(), keep.into()];
        let runs = self.link.call(&script::LEDGER_RENEW, vec![key], arguments).await?;
        reply::list(runs)?.iter().map(reply::text).collect()
    }

    async fn close_run(&self, run: &str, outcome: &str) -> Result<u64, StoreError> {
        let closed = self.close_lost(outcome, |row| row.run() == run).await?;
        // It is no longer looked for; a run that goes on renews its lease.
        let key = format!("{}u:{{runs}}", self.link.prefix);
        self.link.call(&script::LEDGER_END, vec![key], vec![run.into()]).await?;
        Ok(closed)
    }

    async fn close_orphans(&self, before: u64, outcome: &str) -> Result<u64, StoreError> {
        self.close_lost(outcome, |row| row.at < before).await
    }
}

impl RedisStore {
    /// Closes the open rows that `is_lost` selects at their reservations.
    async fn close_lost(
        &self,
        outcome: &str,
        is_lost: impl Fn(&AdmittedRequest) -> bool + Send + Sync,
    ) -> Result<u64, StoreError> {
        let today = self.clock.now() / DAY;
        let mut count = 0;
        for day in today.saturating_sub(MAX_OPEN_DAYS)..=today + 1 {
            let [open, ..] = self.ledger_keys(day, "");
            let mut batch = Batch::default();
            for (_, row) in self.link.pairs(open).await? {
                let row: AdmittedRequest = serde_json::from_slice(&reply::bytes(row)?)
                    .map_err(|error| StoreError::corrupt("ledger row", error.to_string()))?;
                if is_lost(&row) {
                    let closed = row.lost(outcome);
                    batch.closed.push((row, closed));
                }
            }
            for closed in batch.closed.chunks(CLOSED_AT_ONCE) {
                let batch = Batch { closed: closed.to_vec(), ..Batch::default() };
                // Not numbered: a row that is closed is no longer open.
                count += self.record_day(&batch, day, None).await?;
            }
        }
        Ok(count)
    }

    /// Writes the part of `batch` that belongs to `day`, once if it has a `number`; returns how
    /// many open rows were closed.
    async fn record_day(
        &self,
        batch: &Batch,
        day: u64,
        number: Option<u64>,
    ) -> Result<u64, StoreError> {
        let keys = self.ledger_keys(day, &batch.run).to_vec();
        let keep = [MAX_OPEN_DAYS * DAY, self.link.limits.ledger_days * DAY];
        let mut arguments: Vec<Value> = keep.map(|it| Value::from(integer(it))).to_vec();
        arguments.push(integer(number.unwrap_or_default()).into());
        for rows in [&batch.opened, &batch.revised] {
            let rows: Vec<_> = rows.iter().filter(|row| row.day() == day).collect();
            arguments.push(count(rows.len()));
            for row in rows {
                let text = serde_json::to_string(row)
                    .map_err(|_| StoreError::Invalid("the row cannot be written as JSON"))?;
                arguments.extend([Value::from(id(row)), text.into()]);
            }
        }
        let sums = batch.sums.iter().filter(|sum| sum.day == day);
        let added: Vec<_> = sums.flat_map(fields).collect();
        arguments.push(count(added.len()));
        arguments.extend(added.into_iter().flatten());
        for (row, closed) in batch.closed.iter().filter(|(row, _)| row.day() == day) {
            let added = fields(&Totals::of(row, closed));
            arguments.extend([Value::from(id(row)), count(added.len())]);
            arguments.extend(added.into_iter().flatten());
        }
        reply::number(&self.link.call(&script::LEDGER_RECORD, keys, arguments).await?)
    }

    /// Open rows, the number of the last batch of `run`, and the totals, of one day.
    fn ledger_keys(&self, day: u64, run: &str) -> [String; 3] {
        let prefix = format!("{}u:{{ledger:{day}}}:", self.link.prefix);
        [format!("{prefix}o"), format!("{prefix}n:{run}"), format!("{prefix}t")]
    }
}

fn id(row: &AdmittedRequest) -> String {
    format!("{}/{}", super::keys::escape(&row.client), super::keys::escape(&row.id))
}

fn count(number: usize) -> Value {
    integer(number as u64).into()
}

/// Returns the increments of a sum to the fields of its day.
fn fields(sum: &Totals) -> Vec<[Value; 2]> {
    let names = [&sum.client, &sum.model, &sum.provider, &sum.outcome, &sum.tags, &sum.user];
    let is_attributed = !(sum.tags.is_empty() && sum.user.is_empty());
    let names = names.get(..if is_attributed { 6 } else { 4 }).unwrap_or_default();
    let names = serde_json::to_string(names).unwrap_or_default();
    let usage = &sum.usage;
    let amounts = [
        ("requests", sum.requests),
        ("input", usage.input),
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
        ("cache_write_1h", usage.cache_write_1h),
        ("audio_input", usage.audio_input),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
        ("audio_output", usage.audio_output),
        ("total", usage.total()),
        ("stated", u64::from(usage.stated_total.is_some())),
        ("cost", sum.cost.0),
        ("unpriced", sum.unpriced),
        ("estimated", sum.estimated),
    ];
    let field = |(metric, amount): (&str, u64)| {
        [Value::from(format!("{metric} {names}")), integer(amount.min(MOST)).into()]
    };
    amounts.into_iter().filter(|it| it.1 > 0).map(field).collect()
}

/// Reads the sums of a day.
fn sums(day: u64, pairs: Vec<(String, Value)>) -> Result<Vec<Totals>, StoreError> {
    let mut found: BTreeMap<String, (Totals, u64)> = BTreeMap::new();
    for (field, amount) in pairs {
        let amount = reply::number(&amount)?;
        let broken = || StoreError::corrupt("ledger total", "a field");
        let (metric, names) = field.split_once(' ').ok_or_else(broken)?;
        let sum = match found.entry(names.to_owned()) {
            std::collections::btree_map::Entry::Occupied(sum) => sum.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let names: Vec<String> = serde_json::from_str(names).map_err(|_| broken())?;
                let mut names = names.into_iter();
                let mut next = || names.next().ok_or_else(broken);
                let none = Totals {
                    day,
                    client: next()?,
                    model: next()?,
                    provider: next()?,
                    outcome: next()?,
                    tags: next().unwrap_or_default(),
                    user: next().unwrap_or_default(),
                    ..Totals::default()
                };
                place.insert((none, 0))
            }
        };
        book(sum, metric, amount);
    }
    Ok(found.into_values().map(|(totals, _)| totals).collect())
}

fn book((totals, total): &mut (Totals, u64), metric: &str, amount: u64) {
    let usage: &mut Usage = &mut totals.usage;
    match metric {
        "requests" => totals.requests = amount,
        "cost" => totals.cost = NanoDollars(amount),
        "unpriced" => totals.unpriced = amount,
        "estimated" => totals.estimated = amount,
        "input" => usage.input = amount,
        "cache_read" => usage.cache_read = amount,
        "cache_write" => usage.cache_write = amount,
        "cache_write_1h" => usage.cache_write_1h = amount,
        "audio_input" => usage.audio_input = amount,
        "output" => usage.output = amount,
        "reasoning" => usage.reasoning = amount,
        "audio_output" => usage.audio_output = amount,
        // The two come in either order: the total is stated if any of its parts was.
        "total" => {
            *total = amount;
            usage.stated_total = usage.stated_total.map(|_| amount);
        }
        "stated" => usage.stated_total = Some(*total),
        _ => {}
    }
}
