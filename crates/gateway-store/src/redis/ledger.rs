//! The usage ledger in Redis: the rows and sums of a day together.

use super::{RedisStore, reply, script, sessions::integer};
use crate::kv::ledger::{WRITTEN, order};
use async_trait::async_trait;
use fred::types::Value;
use gateway_core::{
    NanoDollars, Usage,
    state::{AdmittedRequest, Batch, Ledger, RequestOutcome, StoreError, Tenant, Totals},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

const DAY: u64 = 86_400_000;

/// For how many days a row may be open.
const OPEN_DAYS: u64 = 30;

/// The largest amount, at which larger ones are capped: Redis must be able to add sums.
const MOST: u64 = 1 << 53;

#[async_trait]
impl Ledger for RedisStore {
    async fn record(&self, batch: &Batch) -> Result<(), StoreError> {
        let opened = batch.opened.iter().map(AdmittedRequest::day);
        let closed = batch.closed.iter().map(|(row, _)| row.day());
        let sums = batch.sums.iter().map(|sum| sum.day);
        let days: BTreeSet<u64> = opened.chain(closed).chain(sums).collect();
        for day in days {
            self.record_day(batch, day).await?;
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

    async fn close_orphans(&self, before: u64, outcome: &str) -> Result<u64, StoreError> {
        let outcome = outcome.to_owned();
        let closed = RequestOutcome { outcome, estimated: true, ..RequestOutcome::default() };
        let today = self.clock.now() / DAY;
        let mut count = 0;
        for day in today.saturating_sub(OPEN_DAYS)..=today + 1 {
            let [open, ..] = self.ledger_keys(day, "");
            for (_, row) in self.link.pairs(open).await? {
                let row: AdmittedRequest = serde_json::from_slice(&reply::bytes(row)?)
                    .map_err(|error| StoreError::corrupt("ledger row", error.to_string()))?;
                if row.at < before {
                    let id = format!("lost/{}", id(&row));
                    let closed = vec![(row, closed.clone())];
                    let batch = Batch { id, closed, ..Batch::default() };
                    count += self.record_day(&batch, day).await?;
                }
            }
        }
        Ok(count)
    }
}

impl RedisStore {
    /// Writes what of `batch` belongs to `day`; says how many open rows were closed.
    async fn record_day(&self, batch: &Batch, day: u64) -> Result<u64, StoreError> {
        let keys = self.ledger_keys(day, &batch.id).to_vec();
        let keep = [WRITTEN, self.link.limits.ledger_days * DAY, OPEN_DAYS * DAY];
        let mut arguments: Vec<Value> = keep.map(|it| Value::from(integer(it))).to_vec();
        let opened: Vec<_> = batch.opened.iter().filter(|row| row.day() == day).collect();
        arguments.push(count(opened.len()));
        for row in opened {
            let text = serde_json::to_string(row)
                .map_err(|_| StoreError::Invalid("the row cannot be written as JSON"))?;
            arguments.extend([Value::from(id(row)), text.into()]);
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

    /// Open rows, the mark that a batch is written, and the totals, of one day.
    fn ledger_keys(&self, day: u64, batch: &str) -> [String; 3] {
        let prefix = format!("{}u:{{ledger:{day}}}:", self.link.prefix);
        [format!("{prefix}o"), format!("{prefix}c:{batch}"), format!("{prefix}t")]
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
    let names = [&sum.client, &sum.model, &sum.provider, &sum.outcome];
    let names = serde_json::to_string(&names).unwrap_or_default();
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
                let [client, model, provider, outcome] =
                    serde_json::from_str::<[String; 4]>(names).map_err(|_| broken())?;
                let none = Totals { day, client, model, provider, outcome, ..Totals::default() };
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
