//! What was used, in Redis: the rows and sums of a day together.

use super::{Remote, reply, script, sessions::integer};
use crate::kv::ledger::{empty, order};
use async_trait::async_trait;
use fred::types::Value;
use gateway_core::{
    NanoDollars, Usage,
    state::{Admitted, Closed, Ledger, StoreError, Tenant, Totals},
};
use std::{collections::BTreeMap, ops::RangeInclusive};

const DAY: u64 = 86_400_000;

/// For how many days a row may be open.
const OPEN_DAYS: u64 = 30;

/// For how long a row that was closed is known to be, in milliseconds.
const CLOSED: i64 = 3_600_000;

/// Larger amounts are not told apart: sums must stay what Redis can add.
const MOST: u64 = 1 << 53;

#[async_trait]
impl Ledger for Remote {
    async fn admit(&self, row: &Admitted) -> Result<(), StoreError> {
        check(row)?;
        let id = id(row);
        let text = serde_json::to_string(row)
            .map_err(|_| StoreError::Invalid("the row cannot be written as JSON"))?;
        let [open, mark, _] = self.ledger_keys(row.day(), &id);
        let arguments = vec![id.into(), text.into(), integer(OPEN_DAYS * DAY).into()];
        self.link.call(&script::LEDGER_ADMIT, vec![open, mark], arguments).await.map(drop)
    }

    async fn close(&self, admitted: &Admitted, closed: &Closed) -> Result<bool, StoreError> {
        check(admitted)?;
        let id = id(admitted);
        let keys = self.ledger_keys(admitted.day(), &id).to_vec();
        let keep = integer(self.link.limits.ledger_days * DAY);
        let mut arguments: Vec<Value> = vec![id.into(), CLOSED.into(), keep.into()];
        let names = [&admitted.client, &admitted.model, &admitted.provider, &closed.outcome];
        let names = serde_json::to_string(&names).unwrap_or_default();
        for (metric, amount) in amounts(closed).into_iter().filter(|it| it.1 > 0) {
            let field = format!("{metric} {names}");
            arguments.extend([Value::from(field), integer(amount.min(MOST)).into()]);
        }
        let done = self.link.call(&script::LEDGER_CLOSE, keys, arguments).await?;
        Ok(reply::number(&done)? == 1)
    }

    async fn totals(
        &self,
        days: RangeInclusive<u64>,
        client: Option<&Tenant>,
    ) -> Result<Vec<Totals>, StoreError> {
        let today = self.clock.now() / DAY;
        let first = (*days.start()).max(today.saturating_sub(self.link.limits.ledger_days));
        let mut found = Vec::new();
        // Clocks of gateways differ: tomorrow may have begun elsewhere.
        for day in first..=(*days.end()).min(today + 1) {
            let [_, _, totals] = self.ledger_keys(day, "");
            found.extend(sums(day, self.link.pairs(totals).await?)?);
        }
        found.retain(|it| client.is_none_or(|client| client.as_str() == it.client));
        found.sort_by(|a, b| order(a).cmp(&order(b)));
        Ok(found)
    }

    async fn close_orphans(&self, before: u64, outcome: &str) -> Result<u64, StoreError> {
        let outcome = outcome.to_owned();
        let closed = Closed { outcome, estimated: true, ..Closed::default() };
        let today = self.clock.now() / DAY;
        let mut count = 0;
        for day in today.saturating_sub(OPEN_DAYS)..=today + 1 {
            let [open, ..] = self.ledger_keys(day, "");
            for (_, row) in self.link.pairs(open).await? {
                let row: Admitted = serde_json::from_slice(&reply::bytes(row)?)
                    .map_err(|error| StoreError::corrupt("ledger row", error.to_string()))?;
                if row.at < before && self.close(&row, &closed).await? {
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

impl Remote {
    /// Open rows, the mark that a row is closed, and the totals, of one day.
    fn ledger_keys(&self, day: u64, id: &str) -> [String; 3] {
        let prefix = format!("{}u:{{ledger:{day}}}:", self.link.prefix);
        [format!("{prefix}o"), format!("{prefix}c:{id}"), format!("{prefix}t")]
    }
}

fn id(row: &Admitted) -> String {
    format!("{}/{}", super::keys::escape(&row.client), super::keys::escape(&row.id))
}

fn check(row: &Admitted) -> Result<(), StoreError> {
    if row.client.is_empty() {
        return Err(StoreError::Invalid("a ledger row has a client"));
    }
    Ok(())
}

/// What a closed row adds to the sums.
fn amounts(closed: &Closed) -> [(&'static str, u64); 12] {
    let usage = &closed.usage;
    [
        ("requests", 1),
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
        ("cost", closed.cost.0),
    ]
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
                let row = Admitted { id: String::new(), at: day * DAY, client, model, provider };
                place.insert((empty(&row, &Closed { outcome, ..Closed::default() }), 0))
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
