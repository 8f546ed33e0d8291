//! How much callers may take.

use super::{
    node::{Content, Node},
    section::{Reader, Section, section},
    value::{Value, quoted},
};
use gateway_core::NanoDollars;

section! {
    /// How much callers without a key may take, each address for itself; an IPv6 network of 64 bits counts as one.
    /// Callers with a key have the limits of their entry in `[[clients]]`, and no others.
    pub Limits {
        /// Whether callers without a key are limited.
        enabled: bool = true, prefixed ["RATE_LIMIT_ENABLED"];
        /// Requests in a minute.
        requests_per_minute: u64 = 60, within 1..=60_000_000, prefixed ["RATE_LIMIT_REQUESTS_PER_MINUTE"];
        /// How many of them at once.
        burst: u64 = 10, within 1..=1_000_000, prefixed ["RATE_LIMIT_BURST"];
        /// Tokens in a minute, read and written; no limit if it is not said.
        tokens_per_minute: Option<u64> = None, prefixed ["RATE_LIMIT_TOKENS_PER_MINUTE"];
        /// How many tokens are reserved for an answer whose request does not say how long it may be, of any caller.
        assumed_output_tokens: u64 = 1024, within 1..=1_000_000;
    }
}

section! {
    /// What a client may take of some models, in `model_limits`.
    pub(super) OfModel {
        /// The model, or the beginning of its name and `*`.
        model: Option<String> = None;
        /// Requests in a minute.
        requests_per_minute: Option<u64> = None;
        /// How many of them at once.
        burst: Option<u64> = None;
        /// Tokens in a minute.
        tokens_per_minute: Option<u64> = None;
        /// Requests at one time.
        max_concurrent: Option<u64> = None;
        /// Money in a day (UTC).
        daily_budget_usd: Option<Dollars> = None;
        /// Money in a month (UTC).
        monthly_budget_usd: Option<Dollars> = None;
    }
}

impl Limits {
    /// What a caller without a key may take.
    pub fn of_strangers(&self) -> Allowance {
        if !self.enabled {
            return Allowance::default();
        }
        Allowance {
            requests_per_minute: Some(self.requests_per_minute),
            burst: Some(self.burst),
            tokens_per_minute: self.tokens_per_minute,
            ..Allowance::default()
        }
    }
}

/// How much a client may take. What is absent has no limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Allowance {
    /// Requests in a minute.
    pub requests_per_minute: Option<u64>,
    /// How many of them at once; as many as in a minute if absent.
    pub burst: Option<u64>,
    /// Tokens in a minute, read and written.
    pub tokens_per_minute: Option<u64>,
    /// Requests that run at one time.
    pub concurrent: Option<u64>,
    /// Money in a day.
    pub daily_budget: Option<NanoDollars>,
    /// Money in a month.
    pub monthly_budget: Option<NanoDollars>,
    /// What it may take of some models besides, by a name or the beginning of one and `*`. The
    /// first that fits counts.
    pub models: Vec<(String, Self)>,
}

impl Allowance {
    /// Whether anything is limited.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }
}

/// Money.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Dollars(pub(super) NanoDollars);

impl Value for Dollars {
    fn expects() -> String {
        "an amount of US dollars such as `12.50`".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
        let text = match &node.content {
            Content::Integer(number) => number.to_string(),
            Content::Decimal(number) => number.to_string(),
            Content::Text(text) => text.trim().trim_start_matches('$').to_owned(),
            Content::Flag(_) | Content::List(_) | Content::Table(_) => return None,
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let nano: u64 = format!("{fraction:0<9}").parse().ok()?;
        let amount = whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nano)?;
        Some(Self(NanoDollars(amount)))
    }

    fn show(&self) -> Option<String> {
        let (whole, nano) = (self.0.0 / 1_000_000_000, self.0.0 % 1_000_000_000);
        let fraction = format!("{nano:09}");
        let fraction = fraction.trim_end_matches('0');
        Some(if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") })
    }
}

/// What a client may take of some models.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ModelLimits(pub(super) String, pub(super) Allowance);

impl Value for ModelLimits {
    fn expects() -> String {
        let names: Vec<_> = OfModel::fields().iter().map(|it| format!("`{}`", it.name)).collect();
        format!("a table of `model` and any of {}", names.get(1..).unwrap_or_default().join(", "))
    }

    fn read(node: &Node) -> Option<Self> {
        let Content::Table(_) = &node.content else { return None };
        let mut problems = Vec::new();
        let it: OfModel = Reader::read(String::new(), Some(node), &mut problems);
        let allowance = Allowance {
            requests_per_minute: it.requests_per_minute,
            burst: it.burst,
            tokens_per_minute: it.tokens_per_minute,
            concurrent: it.max_concurrent,
            daily_budget: it.daily_budget_usd.map(|it| it.0),
            monthly_budget: it.monthly_budget_usd.map(|it| it.0),
            models: Vec::new(),
        };
        let fits = problems.is_empty() && allowance.is_limited();
        it.model.filter(|_| fits).map(|model| Self(model, allowance))
    }

    fn show(&self) -> Option<String> {
        let Self(model, it) = self;
        let number = |name: &str, value: Option<u64>| Some(format!("{name} = {}", value?));
        let money = |name: &str, value: Option<NanoDollars>| {
            Some(format!("{name} = {}", Dollars(value?).show()?))
        };
        let parts: Vec<_> = [
            Some(format!("model = {}", quoted(model))),
            number("requests_per_minute", it.requests_per_minute),
            number("burst", it.burst),
            number("tokens_per_minute", it.tokens_per_minute),
            number("max_concurrent", it.concurrent),
            money("daily_budget_usd", it.daily_budget),
            money("monthly_budget_usd", it.monthly_budget),
        ]
        .into_iter()
        .flatten()
        .collect();
        Some(format!("{{ {} }}", parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Source, Table};

    #[track_caller]
    fn check<T: Value>(content: Content, shown: Option<&str>) {
        let node = Node { content, source: Source::Variable("X".into()) };
        assert_eq!(T::read(&node).and_then(|it| it.show()).as_deref(), shown);
    }

    fn table(pairs: &[(&str, Content)]) -> Content {
        let source = Source::Variable("X".into());
        let node = |content: &Content| Node { content: content.clone(), source: source.clone() };
        let table: Table =
            pairs.iter().map(|(name, content)| ((*name).to_owned(), node(content))).collect();
        Content::Table(table)
    }

    #[test]
    fn money_has_nine_places() {
        check::<Dollars>("12.50".into(), Some("12.5"));
        check::<Dollars>(Content::Integer(3), Some("3"));
        check::<Dollars>(Content::Decimal(0.000_000_001), Some("0.000000001"));
        check::<Dollars>("$0.000000001".into(), Some("0.000000001"));
        for wrong in ["", "-1", "1.0000000001", "1e3", "x", ".5", "99999999999999999999"] {
            check::<Dollars>(wrong.into(), None);
        }
    }

    #[test]
    fn limits_of_a_model_name_it_and_limit_something() {
        let model = ("model", Content::from("gpt-*"));
        let limit = ("requests_per_minute", Content::Integer(5));
        let shown = "{ model = \"gpt-*\", requests_per_minute = 5 }";
        check::<ModelLimits>(table(&[model.clone(), limit.clone()]), Some(shown));
        check::<ModelLimits>(table(std::slice::from_ref(&model)), None);
        check::<ModelLimits>(table(std::slice::from_ref(&limit)), None);
        check::<ModelLimits>(table(&[model, limit, ("x", Content::Integer(1))]), None);
    }
}
