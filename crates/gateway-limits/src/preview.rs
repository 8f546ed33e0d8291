//! A preview of the limits of a request, without charging them.

use crate::{
    Client, Limiter, QuotaDemand,
    account::{LeftOfCharge, RenewalReason},
    budget_refusal,
    budget_shortage::BudgetShortage,
    charges::Charges,
    limit_refusal,
    policy::LimitKind,
};
use gateway_core::{GatewayError, NanoDollars};
use std::{net::IpAddr, time::Duration};
use tokio::time::Instant;

/// The outcome that a request would have.
#[derive(Debug, Default)]
pub struct LimitPreview {
    /// The error of a rejected request; absent if it would be admitted.
    pub refused: Option<GatewayError>,
    /// The limits that it meets.
    pub limits: Vec<LimitStatus>,
}

/// A limit that a request meets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LimitStatus {
    /// The limit's scope, and its name among others of the scope: a model, or a period.
    pub of: LimitScope,
    /// Whether it is a limit of the client's tenant, which all its clients share.
    pub is_of_tenant: bool,
    /// The model that the limit is for; absent if it is for all.
    pub model: Option<String>,
    /// The limit's size, in its unit.
    pub most: u64,
    /// The units that the request would take.
    pub takes: u64,
    /// The units left; absent if the store does not report them.
    pub left: Option<u64>,
    /// The time until all units are back, where only time restores them.
    pub reset: Option<Duration>,
}

/// The scope of a limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LimitScope {
    /// Requests, so many of them in a minute.
    Requests(u64),
    /// Tokens, so many of them in a minute.
    Tokens(u64),
    /// Requests at one time.
    Slots,
    /// Money, in billionths of a dollar, in a day, week or month, or in all.
    Budget(String),
}

/// A limit, the units a request takes of it, and its size.
struct LimitProbe {
    of: LimitScope,
    most: u64,
    takes: u64,
}

impl Limiter {
    /// Returns the outcome that a request would have now, without charging anything. Nothing is
    /// taken.
    pub async fn preview(
        &self,
        client: &Client,
        peer: IpAddr,
        demand: &QuotaDemand<'_>,
    ) -> LimitPreview {
        let Some(inner) = &self.inner else { return LimitPreview::default() };
        let mut preview = LimitPreview::default();
        for party in inner.parties(client, peer) {
            let charges = inner.charges(&party, demand);
            if charges.is_empty() {
                continue;
            }
            let account = &party.account;
            let turn = account.turn.lock().await;
            let is_known =
                inner.accounts.exchange(account, RenewalReason::Preview(&charges)).await.is_ok();
            drop(turn);
            let left = account.state().left(&charges, Instant::now());
            let statuses = probes(&charges).zip(&left).map(|(asked, left)| LimitStatus {
                is_of_tenant: party.is_tenant,
                ..status(asked, left, is_known)
            });
            let limits: Vec<_> = statuses.collect();
            let refused = match inner.check_price(&charges, demand) {
                Ok(()) => refusal(&charges, &limits, &left),
                Err(error) => Some(error),
            };
            preview.refused = preview.refused.or(refused);
            preview.limits.extend(limits);
        }
        preview
    }
}

/// The limits of `charges`, in the order of [`AccountState::left`](crate::account::AccountState).
fn probes(charges: &Charges) -> impl Iterator<Item = LimitProbe> {
    let rates = charges.rates.iter().map(|charge| {
        let of = match charge.kind {
            LimitKind::Requests => LimitScope::Requests(charge.rate.per_minute()),
            LimitKind::Tokens => LimitScope::Tokens(charge.rate.per_minute()),
        };
        LimitProbe { of, most: charge.rate.burst(), takes: charge.cost }
    });
    let slot = |limit| LimitProbe { of: LimitScope::Slots, most: limit, takes: 1 };
    let slots = charges.slots.iter().map(move |charge| slot(charge.limit));
    // The name of a budget's term is not known to its charge: `status` adds it.
    let budgets = charges.budgets.iter().map(|charge| LimitProbe {
        of: LimitScope::Budget(String::new()),
        most: charge.limit.0,
        takes: charge.amount.0,
    });
    rates.chain(slots).chain(budgets)
}

fn status(asked: LimitProbe, left: &LeftOfCharge, is_known: bool) -> LimitStatus {
    let LimitProbe { of, most, takes } = asked;
    let model = left.models.as_deref().map(str::to_owned);
    let (of, reset) = match &left.term {
        Some(term) => (LimitScope::Budget(term.name.clone()), term.until_next()),
        None => (of, left.reset.filter(|_| is_known)),
    };
    let is_of_tenant = false;
    LimitStatus {
        of,
        is_of_tenant,
        model,
        most,
        takes,
        left: left.units.filter(|_| is_known),
        reset,
    }
}

/// The refusal by the first limit that has no room: slots, then money, then rates, as a request
/// meets them.
fn refusal(
    charges: &Charges,
    limits: &[LimitStatus],
    left: &[LeftOfCharge],
) -> Option<GatewayError> {
    let is_short = |it: &LimitStatus| it.left.is_some_and(|left| left < it.takes);
    if limits.iter().any(|it| it.of == LimitScope::Slots && is_short(it)) {
        return Some(limit_refusal::no_free_slot());
    }
    for (short, left) in limits.iter().zip(left).filter(|(it, _)| is_short(it)) {
        if let Some(term) = &left.term {
            return Some(budget_refusal::exceeded(&BudgetShortage {
                term: term.clone(),
                models: left.models.clone(),
                is_of_tenant: short.is_of_tenant,
                limit: NanoDollars(short.most),
                cost: NanoDollars(short.takes),
                left: short.left.map(NanoDollars),
            }));
        }
    }
    let mut rates = charges.rates.iter().zip(limits);
    let (charge, short) = rates.find(|(_, it)| is_short(it))?;
    if short.takes > short.most {
        return Some(limit_refusal::request_exceeds_limit(charge.kind));
    }
    let missing = short.takes.saturating_sub(short.left.unwrap_or(0));
    Some(limit_refusal::rate_limit_reached(charge.kind, charge.rate.time_of(missing)))
}
