//! Limits that gateways share.

use super::{RedisStore, keys, reply, script, sessions::integer};
use crate::{clock::millis, share::Gathering};
use async_trait::async_trait;
use fred::types::Value;
use gateway_core::{
    NanoDollars,
    state::{
        Decision, Key, Left, QuotaAsk, Quotas, RateAsk, Refusal, Remaining, Settle, StoreError,
    },
};
use std::{sync::Arc, time::Duration};

/// Larger amounts are not told apart: a script computes with doubles.
const MOST: u64 = 1 << 53;

/// For how long a gateway counts as there, after it said so.
const PRESENCE: Duration = Duration::from_secs(10);

#[async_trait]
impl Quotas for RedisStore {
    async fn take(&self, key: &Key, ask: &QuotaAsk) -> Result<Decision, StoreError> {
        let Call { keys, arguments } = Call::take(&self.link.prefix, key, ask);
        read(ask, self.link.call(&script::QUOTA_TAKE, keys, arguments).await?)
    }

    async fn settle(&self, key: &Key, settle: &Settle) -> Result<(), StoreError> {
        let Call { keys, arguments } = Call::settle(&self.link.prefix, key, settle);
        self.link.call(&script::QUOTA_SETTLE, keys, arguments).await.map(drop)
    }
}

#[async_trait]
impl Gathering for RedisStore {
    async fn replicas(&self, own: &str) -> Result<u64, StoreError> {
        let key = format!("{}q:{{replicas}}", self.link.prefix);
        let arguments = vec![own.into(), number(millis(PRESENCE))];
        reply::number(&self.link.call(&script::QUOTA_REPLICAS, vec![key], arguments).await?)
    }
}

/// What a script is given.
struct Call {
    keys: Vec<String>,
    arguments: Vec<Value>,
}

impl Call {
    fn take(prefix: &str, key: &Key, ask: &QuotaAsk) -> Self {
        let base = keys::beginning(prefix, "q", key);
        let lease = i64::try_from(ask.lease.as_micros()).unwrap_or(i64::MAX);
        let mut arguments: Vec<Value> = vec![
            (&*ask.request).into(),
            lease.into(),
            i64::from(ask.look).into(),
            base.as_str().into(),
            integer(ask.places.len() as u64).into(),
            integer(ask.budgets.len() as u64).into(),
        ];
        for place in &ask.places {
            arguments.extend([Value::from(&*place.name), number(place.limit)]);
        }
        for budget in &ask.budgets {
            let numbers = [budget.limit.0, budget.reserve.0, millis(budget.keep)];
            arguments.push((&*budget.name).into());
            arguments.extend(numbers.map(number));
        }
        for RateAsk { rate, cost, .. } in &ask.rates {
            arguments.extend([rate.interval_us.max(1), rate.burst, *cost].map(number));
        }
        let names = ask.rates.iter().map(|rate| &*rate.name);
        Self { keys: keys_of(&base, names), arguments }
    }

    fn settle(prefix: &str, key: &Key, settle: &Settle) -> Self {
        let base = keys::beginning(prefix, "q", key);
        let cost = number(settle.cost.0);
        let mut arguments: Vec<Value> = vec![(&*settle.request).into(), cost, base.as_str().into()];
        for (_, rate, units) in &settle.corrections {
            arguments.extend([number(rate.interval_us), (*units).into()]);
        }
        let names = settle.corrections.iter().map(|(name, ..)| &**name);
        Self { keys: keys_of(&base, names), arguments }
    }
}

/// The keys of a client whose names begin with `base`: what it has open, and its limits by rate.
fn keys_of<'a>(base: &str, rates: impl Iterator<Item = &'a str>) -> Vec<String> {
    let rate = |name: &str| {
        let mut key = [base, "r:"].concat();
        keys::escape_into(&mut key, name);
        key
    };
    ["o", "v"].into_iter().map(|letter| [base, letter].concat()).chain(rates.map(rate)).collect()
}

fn number(number: u64) -> Value {
    integer(number.min(MOST)).into()
}

/// Reads what was decided.
fn read(ask: &QuotaAsk, reply: Value) -> Result<Decision, StoreError> {
    let (word, rest) = reply::told(reply)?;
    let numbers = rest.iter().map(reply::number).collect::<Result<Vec<_>, _>>()?;
    let at = numbers.first().and_then(|at| usize::try_from(*at).ok()).unwrap_or_default();
    let rate = || ask.rates.get(at).map(|it| Arc::clone(&it.name)).unwrap_or_default();
    let refusal = match (&*word, &*numbers) {
        ("OK", numbers) => return Ok(Decision::Granted(left(ask, numbers))),
        ("PLACES", _) => {
            let name = ask.places.get(at).map(|it| Arc::clone(&it.name)).unwrap_or_default();
            Refusal::Places { name }
        }
        ("BUDGET", _) => {
            let name = ask.budgets.get(at).map(|it| Arc::clone(&it.name)).unwrap_or_default();
            Refusal::Budget { name }
        }
        ("LARGE", _) => Refusal::TooLarge { name: rate() },
        ("RATE", [_, wait, units, whole]) => Refusal::Rate {
            name: rate(),
            retry_after: Duration::from_micros(*wait),
            remaining: remaining(*units, *whole),
        },
        _ => return Err(reply::unreadable()),
    };
    Ok(Decision::Refused(refusal))
}

fn left(ask: &QuotaAsk, numbers: &[u64]) -> Left {
    let (places, rest) = numbers.split_at_checked(ask.places.len()).unwrap_or((&[], &[]));
    let (budgets, rates) = rest.split_at_checked(ask.budgets.len()).unwrap_or((&[], &[]));
    Left {
        places: places.to_vec(),
        budgets: budgets.iter().copied().map(NanoDollars).collect(),
        rates: rates.as_chunks().0.iter().map(|[units, reset]| remaining(*units, *reset)).collect(),
    }
}

fn remaining(units: u64, reset_us: u64) -> Remaining {
    Remaining { units, reset: Duration::from_micros(reset_us) }
}

#[cfg(test)]
mod tests;
