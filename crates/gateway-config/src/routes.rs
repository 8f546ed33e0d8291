//! Names that several models answer for.

use super::{
    entries::{list_entries, named_entries},
    error::ConfigError,
    printable::printable,
    raw_value::{ConfigValue, Table, ValueKind},
    section::{SectionReader, section},
    value::{SettingType, choice, quoted},
};

choice! {
    /// The failures that trigger a fallback.
    FallbackTrigger {
        /// The provider answered 429.
        RateLimit = "rate_limit" | "429";
        /// The provider failed, is unreachable, or sent an invalid response.
        ServerError = "server_error" | "5xx";
        /// The provider timed out.
        Timeout = "timeout";
        /// The circuit breaker is open, the credential was rejected, payment is required, or the model is missing.
        Unavailable = "unavailable" | "breaker_open";
        /// The context window is exceeded.
        ContextLength = "context_length";
        /// The provider's content filter refused the request.
        ContentFilter = "content_filter";
    }
}

section! {
    /// A model name with several targets: see [routing](routing.md).
    pub RouteEntry {
        /// Model name for callers; may be that of a model.
        model: Option<String> = None;
        /// Target models, in order of preference.
        /// If a target has a weight, the order is random by weight; default weight: 1.
        targets: Vec<RouteTarget> = Vec::new();
        /// Failures after which the next target is tried, before the first output.
        on: Vec<FallbackTrigger> = vec![FallbackTrigger::RateLimit, FallbackTrigger::ServerError, FallbackTrigger::Timeout, FallbackTrigger::Unavailable, FallbackTrigger::ContextLength];
        /// Whether a target is retried before the next one is tried.
        retry: bool = true;
        /// Whether targets with an open circuit breaker are skipped.
        breaker: bool = true;
    }
}

/// A target of a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteTarget {
    /// The model name, as in a request.
    pub model: String,
    /// The weight relative to the other targets.
    pub weight: Option<u32>,
}

/// The limits of a route.
const MAX_TARGETS: usize = 16;
const MAX_WEIGHT: u32 = 1_000_000;

impl SettingType for RouteTarget {
    fn expects() -> String {
        "the name of a model, or `{ model, weight }`".to_owned()
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let ValueKind::Table(table) = &node.content else {
            return Some(Self { model: String::read(node)?, weight: None });
        };
        if table.keys().any(|key| !["model", "weight"].contains(&key.as_str())) {
            return None;
        }
        let model = String::read(table.get("model")?)?;
        let weight = match table.get("weight") {
            Some(node) => Some(u32::read(node).filter(|weight| (1..=MAX_WEIGHT).contains(weight))?),
            None => None,
        };
        Some(Self { model, weight })
    }

    fn show(&self) -> Option<String> {
        let model = quoted(&self.model);
        Some(match self.weight {
            Some(weight) => format!("{{ model = {model}, weight = {weight} }}"),
            None => model,
        })
    }
}

/// Reads `[[routes]]`, and `[fallbacks]`, which are routes that begin with their own name.
pub(super) fn read(root: &Table, errors: &mut Vec<ConfigError>) -> Vec<RouteEntry> {
    let mut routes = read_routes(root, errors);
    routes.extend(fallbacks(root, errors));
    for (at, route) in routes.iter().enumerate() {
        let name = route.model.as_deref().unwrap_or_default();
        let is_same = |other: &RouteEntry| {
            other.model.as_ref().is_some_and(|model| model.eq_ignore_ascii_case(name))
        };
        if routes.iter().take(at).any(is_same) {
            let message = format!("`{}` has two routes", printable(name));
            errors.push(ConfigError::new("routes", message));
        }
    }
    routes
}

fn read_routes(root: &Table, errors: &mut Vec<ConfigError>) -> Vec<RouteEntry> {
    let mut routes = Vec::new();
    for (at, item) in list_entries(root, "routes", errors).iter().enumerate() {
        let path = format!("routes[{at}]");
        let before = errors.len();
        let route: RouteEntry = SectionReader::read(path.clone(), Some(item), errors);
        let mut demand = |key: &str, is_there: bool, message: &str| {
            if !is_there && errors.len() == before {
                let error = ConfigError::new(format!("{path}.{key}"), message);
                errors.push(error.source(item.source.clone()));
            }
        };
        demand("model", route.model.is_some(), "is needed");
        demand("targets", !route.targets.is_empty(), "is needed");
        demand("targets", route.targets.len() <= MAX_TARGETS, "has more than 16 targets");
        routes.push(route);
    }
    routes
}

fn fallbacks(root: &Table, errors: &mut Vec<ConfigError>) -> Vec<RouteEntry> {
    let mut routes = Vec::new();
    for (name, node) in named_entries(root, "fallbacks", errors) {
        let models = Vec::<String>::read(node).filter(|it| (1..MAX_TARGETS).contains(&it.len()));
        let Some(models) = models else {
            let message = "expected a list of one to 15 names of models";
            let error = ConfigError::new(format!("fallbacks.{}", printable(name)), message);
            errors.push(error.source(node.source.clone()));
            continue;
        };
        let target = |model| RouteTarget { model, weight: None };
        let targets = [name.clone()].into_iter().chain(models).map(target).collect();
        routes.push(RouteEntry { model: Some(name.clone()), targets, ..RouteEntry::default() });
    }
    routes
}

/// The documentation of `[fallbacks]`.
pub(super) const FALLBACKS: [&str; 2] = [
    "Fallback models, in order of preference: `name = [\"model\", ..]`.",
    "Equal to a route of that name whose first target is the model itself.",
];
