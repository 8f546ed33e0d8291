//! How a request would fare with its caller's limits, told without taking anything.

use crate::{
    Client, Limiter, QuotaDemand,
    limiter::{Inner, QuotaQuery, refused, until_next},
    policy::LimitKind,
};
use futures_util::future;
use gateway_core::{
    GatewayError, NanoDollars,
    state::{BudgetAsk, Decision, PlaceAsk, QuotaAsk, RateAsk, Refusal},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// What would be said to a request.
#[derive(Debug, Default)]
pub struct LimitPreview {
    /// Why it would be refused; absent if it would be let in.
    pub refused: Option<GatewayError>,
    /// The limits that it meets.
    pub limits: Vec<LimitStatus>,
}

/// A limit that a request meets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LimitStatus {
    /// What it limits, and its name beside others of its kind: a model, a day or a month.
    pub of: LimitScope,
    /// The models for whose requests alone it is; absent if it is for all.
    pub model: Option<String>,
    /// How much there is.
    pub most: u64,
    /// How much the request would take.
    pub takes: u64,
    /// How much there is to take; absent if the store does not say.
    pub left: Option<u64>,
    /// When all of it will be back, where time alone brings it back.
    pub reset: Option<Duration>,
}

/// What is limited.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LimitScope {
    /// Requests, so many of them in a minute.
    Requests(u64),
    /// Tokens, so many of them in a minute.
    Tokens(u64),
    /// Requests at one time.
    Places,
    /// Money, in billionths of a dollar, in a day or a month.
    Budget(String),
}

/// One limit, and how to ask for what is left of it.
struct LimitProbe {
    met: LimitStatus,
    ask: QuotaAsk,
}

impl Limiter {
    /// How a request would fare now. Nothing is taken.
    pub async fn preview(
        &self,
        client: &Client,
        peer: IpAddr,
        want: &QuotaDemand<'_>,
    ) -> LimitPreview {
        let Some(inner) = &self.inner else { return LimitPreview::default() };
        let Some(mut question) = inner.question(client, peer, want) else {
            return LimitPreview::default();
        };
        question.ask.look = true;
        let decided = inner.quotas.take(&question.key, &question.ask).await;
        let refused = match decided {
            Ok(Decision::Granted(_)) => None,
            Ok(Decision::Refused(refusal)) => Some(refused(&refusal)),
            Err(error) => inner.unknown(&question, error).err(),
        };
        let asked = question.one_by_one().map(|it| inner.left_of(&question, it));
        LimitPreview { refused, limits: future::join_all(asked).await }
    }
}

impl Inner {
    async fn left_of(
        &self,
        question: &QuotaQuery,
        LimitProbe { mut met, ask }: LimitProbe,
    ) -> LimitStatus {
        match self.quotas.take(&question.key, &ask).await {
            Ok(Decision::Granted(left)) => {
                let rate = left.rates.first();
                let place = left.places.first().map(|it| it.saturating_add(1));
                let money = left.budgets.first().map(|it| it.0);
                met.left = rate.map(|it| it.units).or(place).or(money);
                met.reset = rate.map(|it| it.reset).or(met.reset);
            }
            Ok(Decision::Refused(Refusal::Unknown { .. })) | Err(_) => {}
            Ok(Decision::Refused(_)) => met.left = Some(0),
        }
        met
    }
}

impl QuotaQuery {
    /// Each limit by itself, asked for nothing.
    fn one_by_one(&self) -> impl Iterator<Item = LimitProbe> {
        let rates = self.charges.iter().map(|charge| {
            let of = match charge.what {
                LimitKind::Requests => LimitScope::Requests(charge.per_minute),
                LimitKind::Tokens => LimitScope::Tokens(charge.per_minute),
            };
            let RateAsk { name, rate, cost } = charge.ask.clone();
            let met = met(of, &name, rate.burst, cost);
            (met, QuotaAsk { rates: vec![RateAsk { name, rate, cost: 0 }], ..QuotaAsk::default() })
        });
        let places = self.ask.places.iter().map(|it: &PlaceAsk| {
            let places = vec![it.clone()];
            (
                met(LimitScope::Places, &it.name, it.limit, 1),
                QuotaAsk { places, ..QuotaAsk::default() },
            )
        });
        let budgets = self.ask.budgets.iter().map(|it: &BudgetAsk| {
            let period = it.name.split('/').next().unwrap_or_default().to_owned();
            let met = met(LimitScope::Budget(period), &it.name, it.limit.0, it.reserve.0);
            let nothing = BudgetAsk { reserve: NanoDollars(0), ..it.clone() };
            let met = LimitStatus { reset: Some(until_next(&it.name)), ..met };
            (met, QuotaAsk { budgets: vec![nothing], ..QuotaAsk::default() })
        });
        let request = Arc::clone(&self.ask.request);
        rates.chain(places).chain(budgets).map(move |(met, ask)| {
            let ask = QuotaAsk { request: Arc::clone(&request), look: true, ..ask };
            LimitProbe { met, ask }
        })
    }
}

fn met(of: LimitScope, name: &str, most: u64, takes: u64) -> LimitStatus {
    let model = name.split_once('/').map(|(_, model)| model.to_owned());
    LimitStatus { of, model, most, takes, left: None, reset: None }
}
