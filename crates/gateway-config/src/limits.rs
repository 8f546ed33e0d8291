//! The limits and budgets of callers.

use super::{
    Config,
    raw_value::{ConfigValue, ValueKind},
    section::{Section, SectionReader, section},
    value::{SettingType, quoted},
};
use gateway_core::NanoDollars;
use secrecy::SecretString;
use std::ops::RangeInclusive;

/// The range of a limit: 0 would refuse every request, and no limit is written by leaving it out.
pub(super) const AT_LEAST_ONE: RangeInclusive<Option<u64>> = Some(1)..=Some(1_000_000_000_000);

section! {
    /// Default limits of every client: callers without a key have them per IP address (an IPv6 /64 counts as one address), and callers with a key where their own entry or key sets none of the kind.
    /// For clients with a key, only what is written counts: without a setting they have no limit.
    pub LimitsSection {
        /// Whether these limits apply.
        enabled: bool = true, prefixed ["RATE_LIMIT_ENABLED"];
        /// Rate limit in requests per minute. The default is for callers without a key.
        requests_per_minute: u64 = 60, within 1..=60_000_000, prefixed ["RATE_LIMIT_REQUESTS_PER_MINUTE"];
        /// Burst size in requests. The default is for callers without a key.
        burst: u64 = 10, within 1..=1_000_000, prefixed ["RATE_LIMIT_BURST"];
        /// Rate limit in input and output tokens per minute. Default: no limit.
        tokens_per_minute: Option<u64> = None, within AT_LEAST_ONE, prefixed ["RATE_LIMIT_TOKENS_PER_MINUTE"];
        /// Maximum number of concurrent model requests and tool calls of a client with a key. Default: no limit.
        max_concurrent: Option<u64> = None, within AT_LEAST_ONE;
        /// Budget per day (UTC) in US dollars of a client with a key. Default: no budget, as for all budgets.
        daily_budget_usd: Option<Dollars> = None;
        /// Budget per week (UTC, from Monday) in US dollars of a client with a key.
        weekly_budget_usd: Option<Dollars> = None;
        /// Budget per month (UTC) in US dollars of a client with a key.
        monthly_budget_usd: Option<Dollars> = None;
        /// Budget in all in US dollars of a client with a key, until it is reset.
        total_budget_usd: Option<Dollars> = None;
        /// Output tokens reserved for a request without a maximum, of any caller.
        assumed_output_tokens: u64 = 1024, within 1..=1_000_000;
    }
}

/// Declares a section with the limits of a caller among its settings: those of the first list stand
/// before the limits, those of the second behind them.
macro_rules! limited_section {
    (
        $(#[doc = $about:literal])+
        $vis:vis $name:ident { $($before:tt)* } { $($after:tt)* }
    ) => {
        section! {
            $(#[doc = $about])+
            $vis $name {
                $($before)*
                /// Rate limit in requests per minute. Default: no limit, as for all limits.
                requests_per_minute: Option<u64> = None, within $crate::limits::AT_LEAST_ONE;
                /// Burst size in requests. Default: `requests_per_minute`.
                burst: Option<u64> = None, within $crate::limits::AT_LEAST_ONE;
                /// Rate limit in input and output tokens per minute.
                tokens_per_minute: Option<u64> = None, within $crate::limits::AT_LEAST_ONE;
                /// Maximum number of concurrent model requests and tool calls.
                max_concurrent: Option<u64> = None, within $crate::limits::AT_LEAST_ONE;
                /// Budget per day (UTC) in US dollars.
                daily_budget_usd: Option<$crate::limits::Dollars> = None;
                /// Budget per week (UTC, from Monday) in US dollars.
                weekly_budget_usd: Option<$crate::limits::Dollars> = None;
                /// Budget per month (UTC) in US dollars.
                monthly_budget_usd: Option<$crate::limits::Dollars> = None;
                /// Budget in all in US dollars, until it is reset.
                total_budget_usd: Option<$crate::limits::Dollars> = None;
                $($after)*
            }
        }

        impl $name {
            /// Returns the limits, with `models` for some models.
            fn limits(&self, models: &[$crate::limits::ModelLimits]) -> $crate::limits::ClientLimits {
                $crate::limits::ClientLimits {
                    requests_per_minute: self.requests_per_minute,
                    burst: self.burst,
                    tokens_per_minute: self.tokens_per_minute,
                    concurrent: self.max_concurrent,
                    daily_budget: self.daily_budget_usd.map(|it| it.0),
                    weekly_budget: self.weekly_budget_usd.map(|it| it.0),
                    monthly_budget: self.monthly_budget_usd.map(|it| it.0),
                    total_budget: self.total_budget_usd.map(|it| it.0),
                    models: models.iter().map(|it| (it.0.clone(), it.1.clone())).collect(),
                }
            }
        }
    };
}
pub(super) use limited_section;

limited_section! {
    /// Limits of a client for some models, in `model_limits`.
    pub(super) ModelLimitsEntry {
        /// Model name, or a prefix and `*`.
        model: Option<String> = None;
    } {}
}

section! {
    /// The settings of the budgets of all clients.
    pub BudgetsSection {
        /// The treatment of a request for a model whose price is not known, if its client has a budget: `refuse`; `allow`, booked at nothing; `assume:MODEL`, booked at the price of a model that the catalogue knows, such as `assume:openai/gpt-5.2-pro`.
        unpriced: UnpricedSetting = UnpricedSetting::Refuse;
        /// Shares of a budget, in percent, at which its spending is reported: in the log, as `llm_gateway_budget_alerts_total`, and to `alert_webhook`.
        alert_thresholds: Vec<u64> = vec![50, 80, 100];
        /// URL that receives each alert as a `POST` of JSON. Default: none.
        alert_webhook: Option<SecretString> = None;
    }
}

/// The treatment of requests for models without a price, of clients with a budget.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum UnpricedSetting {
    /// Requests for such models are refused.
    #[default]
    Refuse,
    /// They are let in, and booked at nothing.
    Allow,
    /// They are booked at the price of this model.
    Assume(String),
}

impl SettingType for UnpricedSetting {
    fn expects() -> String {
        "`refuse`, `allow` or `assume:MODEL`".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let ValueKind::Text(text) = &node.content else { return None };
        match text.trim() {
            "refuse" => Some(Self::Refuse),
            "allow" => Some(Self::Allow),
            other => {
                let model = other.strip_prefix("assume:")?.trim();
                (!model.is_empty()).then(|| Self::Assume(model.to_owned()))
            }
        }
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&match self {
            Self::Refuse => "refuse".to_owned(),
            Self::Allow => "allow".to_owned(),
            Self::Assume(model) => format!("assume:{model}"),
        }))
    }
}

impl LimitsSection {
    /// Returns the limits of a caller without a key.
    pub fn anonymous(&self) -> ClientLimits {
        if !self.enabled {
            return ClientLimits::default();
        }
        ClientLimits {
            requests_per_minute: Some(self.requests_per_minute),
            burst: Some(self.burst),
            tokens_per_minute: self.tokens_per_minute,
            ..ClientLimits::default()
        }
    }
}

impl Config {
    /// Returns the limits of clients with a key that set none of a kind themselves.
    pub fn default_limits(&self) -> ClientLimits {
        let it = &self.limits;
        if !it.enabled {
            return ClientLimits::default();
        }
        let requests = self.is_written("limits.requests_per_minute");
        let burst = requests && self.is_written("limits.burst");
        ClientLimits {
            requests_per_minute: requests.then_some(it.requests_per_minute),
            burst: burst.then_some(it.burst),
            tokens_per_minute: it.tokens_per_minute,
            concurrent: it.max_concurrent,
            daily_budget: it.daily_budget_usd.map(|it| it.0),
            weekly_budget: it.weekly_budget_usd.map(|it| it.0),
            monthly_budget: it.monthly_budget_usd.map(|it| it.0),
            total_budget: it.total_budget_usd.map(|it| it.0),
            models: Vec::new(),
        }
    }
}

/// The limits of a client; `None` is no limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientLimits {
    /// Requests per minute, averaged.
    pub requests_per_minute: Option<u64>,
    /// Burst size in requests; default: `requests_per_minute`.
    pub burst: Option<u64>,
    /// Input and output tokens per minute.
    pub tokens_per_minute: Option<u64>,
    /// Concurrent requests at any time.
    pub concurrent: Option<u64>,
    /// Budget per UTC day.
    pub daily_budget: Option<NanoDollars>,
    /// Budget per UTC week, from Monday.
    pub weekly_budget: Option<NanoDollars>,
    /// Budget per UTC month.
    pub monthly_budget: Option<NanoDollars>,
    /// Budget in all, until it is reset.
    pub total_budget: Option<NanoDollars>,
    /// Additional limits by model name or prefix and `*`; the first match applies.
    pub models: Vec<(String, Self)>,
}

impl ClientLimits {
    /// Returns whether there is a budget, for all models or for some.
    pub fn has_budget(&self) -> bool {
        let own = [self.daily_budget, self.weekly_budget, self.monthly_budget, self.total_budget];
        own.iter().any(Option::is_some) || self.models.iter().any(|(_, it)| it.has_budget())
    }

    /// Returns whether there is any limit.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }
}

/// An amount of money.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dollars(pub(super) NanoDollars);

impl SettingType for Dollars {
    fn expects() -> String {
        "an amount of US dollars such as `12.50`".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let text = match &node.content {
            ValueKind::Integer(number) => number.to_string(),
            ValueKind::Decimal(number) => number.to_string(),
            ValueKind::Text(text) => text.trim().trim_start_matches('$').to_owned(),
            ValueKind::Flag(_) | ValueKind::List(_) | ValueKind::Table(_) => return None,
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

/// The limits of a client for some models.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ModelLimits(pub(super) String, pub(super) ClientLimits);

impl SettingType for ModelLimits {
    fn expects() -> String {
        let names: Vec<_> =
            ModelLimitsEntry::fields().iter().map(|it| format!("`{}`", it.name)).collect();
        format!("a table of `model` and any of {}", names.get(1..).unwrap_or_default().join(", "))
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let ValueKind::Table(_) = &node.content else { return None };
        let mut errors = Vec::new();
        let it: ModelLimitsEntry = SectionReader::read(String::new(), Some(node), &mut errors);
        let limits = it.limits(&[]);
        let fits = errors.is_empty() && limits.is_limited();
        it.model.filter(|_| fits).map(|model| Self(model, limits))
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
            money("weekly_budget_usd", it.weekly_budget),
            money("monthly_budget_usd", it.monthly_budget),
            money("total_budget_usd", it.total_budget),
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
    use crate::raw_value::{Table, ValueSource};

    #[track_caller]
    fn check<T: SettingType>(content: ValueKind, shown: Option<&str>) {
        let node = ConfigValue { content, source: ValueSource::Variable("X".into()) };
        assert_eq!(T::read(&node).and_then(|it| it.show()).as_deref(), shown);
    }

    fn table(pairs: &[(&str, ValueKind)]) -> ValueKind {
        let source = ValueSource::Variable("X".into());
        let node =
            |content: &ValueKind| ConfigValue { content: content.clone(), source: source.clone() };
        let table: Table =
            pairs.iter().map(|(name, content)| ((*name).to_owned(), node(content))).collect();
        ValueKind::Table(table)
    }

    #[test]
    fn money_has_nine_places() {
        check::<Dollars>("12.50".into(), Some("12.5"));
        check::<Dollars>(ValueKind::Integer(3), Some("3"));
        check::<Dollars>(ValueKind::Decimal(0.000_000_001), Some("0.000000001"));
        check::<Dollars>("$0.000000001".into(), Some("0.000000001"));
        for wrong in ["", "-1", "1.0000000001", "1e3", "x", ".5", "99999999999999999999"] {
            check::<Dollars>(wrong.into(), None);
        }
    }

    #[test]
    fn limits_of_a_model_name_it_and_limit_something() {
        let model = ("model", ValueKind::from("gpt-*"));
        let limit = ("requests_per_minute", ValueKind::Integer(5));
        let shown = "{ model = \"gpt-*\", requests_per_minute = 5 }";
        check::<ModelLimits>(table(&[model.clone(), limit.clone()]), Some(shown));
        check::<ModelLimits>(table(std::slice::from_ref(&model)), None);
        check::<ModelLimits>(table(std::slice::from_ref(&limit)), None);
        check::<ModelLimits>(table(&[model, limit, ("x", ValueKind::Integer(1))]), None);
    }
}
