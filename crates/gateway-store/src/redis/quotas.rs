//! Limits that replicas share.

use super::{
    RedisStore, keys, reply,
    script::{self, integer},
};
use crate::clock::millis;
use async_trait::async_trait;
use fred::types::Value;
use gateway_core::{
    NanoDollars,
    state::{
        BudgetGrant, Key, LeaseReply, LeaseRequest, Quotas, RateGrant, Refusal, SlotGrant,
        StoreError,
    },
};
use std::{sync::Arc, time::Duration};

/// The largest number that a script, which computes with doubles, holds exactly.
const MAX_NUMBER: u64 = 1 << 53;

/// The time after which a replica that has not called again no longer counts as one.
const PRESENCE: Duration = Duration::from_secs(10);

/// The time for which a dead holder is remembered.
const REMEMBERED: Duration = Duration::from_hours(1);

#[async_trait]
impl Quotas for RedisStore {
    async fn exchange(&self, key: &Key, request: &LeaseRequest) -> Result<LeaseReply, StoreError> {
        let (keys, arguments) = call(&self.link.prefix, key, request);
        read(request, self.link.call(&script::QUOTA_EXCHANGE, keys, arguments).await?)
    }

    async fn replicas(&self, holder: &str) -> Result<u64, StoreError> {
        let key = format!("{}q:{{replicas}}", self.link.prefix);
        let arguments = vec![holder.into(), number(millis(PRESENCE))];
        reply::number(&self.link.call(&script::QUOTA_REPLICAS, vec![key], arguments).await?)
    }

    async fn reset_budget(&self, key: &Key, name: &str) -> Result<NanoDollars, StoreError> {
        let base = keys::beginning(&self.link.prefix, "q", key);
        let arguments = vec![name.into(), [&*base, "s:"].concat().into()];
        let state = vec![base + "l"];
        let sum = reply::number(&self.link.call(&script::QUOTA_RESET, state, arguments).await?)?;
        Ok(NanoDollars(sum))
    }
}

/// The keys and arguments of the script.
fn call(prefix: &str, key: &Key, request: &LeaseRequest) -> (Vec<String>, Vec<Value>) {
    let base = keys::beginning(prefix, "q", key);
    let size = 7 + 6 * request.rates.len() + 5 * request.slots.len() + 8 * request.budgets.len();
    let mut arguments: Vec<Value> = Vec::with_capacity(size);
    arguments.extend([(&*request.holder).into(), micros(request.lease), micros(REMEMBERED)]);
    // Sums that an older version kept, each in a key of its own.
    arguments.push([&*base, "s:"].concat().into());
    let counts = [request.rates.len(), request.slots.len(), request.budgets.len()];
    arguments.extend(counts.map(|count| number(count as u64)));
    for it in &request.rates {
        arguments.extend([(&*it.name).into(), number(it.rate.per_minute())]);
        arguments.extend([number(it.rate.burst()), it.settle.into()]);
        arguments.extend([it.need, it.extra].map(number));
    }
    for it in &request.slots {
        arguments.push((&*it.name).into());
        arguments.extend([it.limit, it.held, it.need, it.extra].map(number));
    }
    for it in &request.budgets {
        arguments.push((&*it.name).into());
        let money = [it.limit, it.spent, it.acknowledged, it.held, it.need, it.extra];
        arguments.extend(money.map(|it| number(it.0)));
        arguments.push(micros(it.keep));
    }
    (vec![base + "l"], arguments)
}

fn micros(time: Duration) -> Value {
    number(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

fn number(number: u64) -> Value {
    integer(number.min(MAX_NUMBER)).into()
}

/// Reads what was decided.
fn read(request: &LeaseRequest, reply: Value) -> Result<LeaseReply, StoreError> {
    let (word, rest) = reply::tagged_reply(reply)?;
    let numbers = rest.iter().map(reply::number).collect::<Result<Vec<_>, _>>()?;
    let ([at, wait], grants) = numbers.split_first_chunk().ok_or_else(reply::unreadable)?;
    let mut grants = grants.as_chunks().0.iter();
    let slot = |[granted, left, _]: &[u64; 3]| SlotGrant { granted: *granted, left: *left };
    let budget = |[granted, left, spent]: &[u64; 3]| BudgetGrant {
        granted: NanoDollars(*granted),
        left: NanoDollars(*left),
        spent: NanoDollars(*spent),
    };
    let rate = |[granted, reset, _]: &[u64; 3]| RateGrant {
        granted: *granted,
        reset: Duration::from_micros(*reset),
    };
    let slots: Vec<_> = grants.by_ref().take(request.slots.len()).map(slot).collect();
    let budgets: Vec<_> = grants.by_ref().take(request.budgets.len()).map(budget).collect();
    let rates: Vec<_> = grants.by_ref().take(request.rates.len()).map(rate).collect();
    if rates.len() != request.rates.len() {
        return Err(reply::unreadable());
    }
    let refused = refusal(request, &word, *at, Duration::from_micros(*wait))?;
    Ok(LeaseReply { refused, rates, slots, budgets })
}

fn refusal(
    request: &LeaseRequest,
    word: &str,
    at: u64,
    retry_after: Duration,
) -> Result<Option<Refusal>, StoreError> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let name = match word {
        "OK" => return Ok(None),
        "SLOTS" => request.slots.get(at).map(|it| &it.name),
        "BUDGET" => request.budgets.get(at).map(|it| &it.name),
        _ => request.rates.get(at).map(|it| &it.name),
    };
    let name = Arc::clone(name.ok_or_else(reply::unreadable)?);
    match word {
        "SLOTS" => Ok(Some(Refusal::Slots { name })),
        "BUDGET" => Ok(Some(Refusal::Budget { name })),
        "LARGE" => Ok(Some(Refusal::TooLarge { name })),
        "RATE" => Ok(Some(Refusal::Rate { name, retry_after })),
        _ => Err(reply::unreadable()),
    }
}

#[cfg(test)]
mod tests;
