//! How a request would fare with its caller's limits, told without taking anything.

use crate::{
    Client, Limiter, Want,
    limiter::{Inner, Question, refused, until_next},
    policy::What,
};
use futures_util::future;
use gateway_core::{
    GatewayError, NanoDollars,
    state::{BudgetAsk, Decision, PlaceAsk, QuotaAsk, RateAsk, Refusal},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// What would be said to a request.
#[derive(Debug, Default)]
pub struct Outlook {
    /// Why it would be refused; absent if it would be let in.
    pub refused: Option<GatewayError>,
    /// The limits that it meets.
    pub limits: Vec<Met>,
}

/// A limit that a request meets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Met {
    /// What it limits, and its name beside others of its kind: a model, a day or a month.
    pub of: Of,
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
pub enum Of {
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
struct Asked {
    met: Met,
    ask: QuotaAsk,
}

impl Limiter {
    /// How a request would fare now. Nothing is taken.
    pub async fn look(&self, client: &Client, peer: IpAddr, want: &Want<'_>) -> Outlook {
        let Some(inner) = &self.inner else { return Outlook::default() };
        let Some(mut question) = inner.question(client, peer, want) else {
            return Outlook::default();
        };
        question.ask.look = true;
        let decided = inner.quotas.take(&question.key, &question.ask).await;
        let refused = match decided {
            Ok(Decision::Granted(_)) => None,
            Ok(Decision::Refused(refusal)) => Some(refused(&refusal)),
            Err(error) => inner.unknown(&question, error).err(),
        };
        let asked = question.one_by_one().map(|it| inner.left_of(&question, it));
        Outlook { refused, limits: future::join_all(asked).await }
    }
}

impl Inner {
    async fn left_of(&self, question: &Question, Asked { mut met, ask }: Asked) -> Met {
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

impl Question {
    /// Each limit by itself, asked for nothing.
    fn one_by_one(&self) -> impl Iterator<Item = Asked> {
        let rates = self.levies.iter().map(|levy| {
            let of = match levy.what {
                What::Requests => Of::Requests(levy.per_minute),
                What::Tokens => Of::Tokens(levy.per_minute),
            };
            let RateAsk { name, rate, cost } = levy.ask.clone();
            let met = met(of, &name, rate.burst, cost);
            (met, QuotaAsk { rates: vec![RateAsk { name, rate, cost: 0 }], ..QuotaAsk::default() })
        });
        let places = self.ask.places.iter().map(|it: &PlaceAsk| {
            let places = vec![it.clone()];
            (met(Of::Places, &it.name, it.limit, 1), QuotaAsk { places, ..QuotaAsk::default() })
        });
        let budgets = self.ask.budgets.iter().map(|it: &BudgetAsk| {
            let period = it.name.split('/').next().unwrap_or_default().to_owned();
            let met = met(Of::Budget(period), &it.name, it.limit.0, it.reserve.0);
            let nothing = BudgetAsk { reserve: NanoDollars(0), ..it.clone() };
            let met = Met { reset: Some(until_next(&it.name)), ..met };
            (met, QuotaAsk { budgets: vec![nothing], ..QuotaAsk::default() })
        });
        let request = Arc::clone(&self.ask.request);
        rates.chain(places).chain(budgets).map(move |(met, ask)| {
            let ask = QuotaAsk { request: Arc::clone(&request), look: true, ..ask };
            Asked { met, ask }
        })
    }
}

fn met(of: Of, name: &str, most: u64, takes: u64) -> Met {
    let model = name.split_once('/').map(|(_, model)| model.to_owned());
    Met { of, model, most, takes, left: None, reset: None }
}
