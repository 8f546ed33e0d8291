//! Limits that gateways share.

use super::{Remote, keys, reply, script, sessions::integer};
use crate::clock::millis;
use async_trait::async_trait;
use fred::types::Value;
use gateway_core::state::{
    Decision, Key, QuotaAsk, Quotas, RateAsk, Refusal, Remaining, Settle, StoreError,
};
use std::time::Duration;

const ANY: i64 = -1;

#[async_trait]
impl Quotas for Remote {
    async fn take(&self, key: &Key, ask: &QuotaAsk) -> Result<Decision, StoreError> {
        let budget = ask.budget.as_ref();
        let lease = i64::try_from(ask.lease.as_micros()).unwrap_or(i64::MAX);
        let mut arguments: Vec<Value> = vec![
            ask.request.as_str().into(),
            lease.into(),
            ask.concurrency.map_or(ANY, integer).into(),
            budget.map_or(ANY, |it| integer(it.limit.0)).into(),
            budget.map_or(0, |it| integer(it.reserve.0)).into(),
            budget.map_or("", |it| &it.period).into(),
            budget.map_or(0, |it| integer(millis(it.keep))).into(),
            self.spent_prefix(key).into(),
        ];
        for RateAsk { rate, cost, .. } in &ask.rates {
            let numbers = [rate.interval_us.max(1), rate.burst, *cost];
            arguments.extend(numbers.map(|it| Value::from(integer(it))));
        }
        let names = ask.rates.iter().map(|rate| &*rate.name);
        let keys = self.quota_keys(key, names);
        read(ask, self.link.call(&script::QUOTA_TAKE, keys, arguments).await?)
    }

    async fn settle(&self, key: &Key, settle: &Settle) -> Result<(), StoreError> {
        let mut arguments: Vec<Value> = vec![
            settle.request.as_str().into(),
            integer(settle.cost.0).into(),
            self.spent_prefix(key).into(),
        ];
        for (_, rate, units) in &settle.corrections {
            arguments.extend([Value::from(integer(rate.interval_us)), (*units).into()]);
        }
        let names = settle.corrections.iter().map(|(name, ..)| &**name);
        let keys = self.quota_keys(key, names);
        self.link.call(&script::QUOTA_SETTLE, keys, arguments).await.map(drop)
    }
}

impl Remote {
    fn quota_keys<'a>(&self, key: &Key, names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut all = keys::of(&self.link.prefix, "q", key, "ov");
        let rate = keys::of(&self.link.prefix, "q", key, "r").concat();
        all.extend(names.map(|name| format!("{rate}:{}", keys::escape(name))));
        all
    }

    fn spent_prefix(&self, key: &Key) -> String {
        keys::of(&self.link.prefix, "q", key, "s").concat() + ":"
    }
}

/// Reads what was decided.
fn read(ask: &QuotaAsk, reply: Value) -> Result<Decision, StoreError> {
    let (word, rest) = reply::told(reply)?;
    let numbers = rest.iter().map(reply::number).collect::<Result<Vec<_>, _>>()?;
    let name = || {
        let at = numbers.first().and_then(|at| usize::try_from(*at).ok()).unwrap_or_default();
        ask.rates.get(at).map(|rate| rate.name.clone()).unwrap_or_default()
    };
    let refusal = match (&*word, &*numbers) {
        ("OK", pairs) => {
            let left = pairs
                .chunks_exact(2)
                .filter_map(|pair| Some(remaining(*pair.first()?, *pair.get(1)?)));
            return Ok(Decision::Granted(left.collect()));
        }
        ("PLACES", _) => Refusal::Concurrency,
        ("BUDGET", _) => Refusal::Budget,
        ("LARGE", _) => Refusal::TooLarge { name: name() },
        ("RATE", [_, wait, units, whole]) => Refusal::Rate {
            name: name(),
            retry_after: Duration::from_micros(*wait),
            remaining: remaining(*units, *whole),
        },
        _ => return Err(reply::unreadable()),
    };
    Ok(Decision::Refused(refusal))
}

fn remaining(units: u64, reset_us: u64) -> Remaining {
    Remaining { units, reset: Duration::from_micros(reset_us) }
}
