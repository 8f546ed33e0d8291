//! Names that several models answer for.

use super::{
    node::{Content, Node, Table},
    problem::Problem,
    providers::printable,
    section::{Reader, section},
    value::{Value, choice, quoted},
};

choice! {
    /// The failures after which the next model is asked.
    When {
        /// The provider limits the rate of requests.
        RateLimit = "rate_limit" | "429";
        /// The provider failed, cannot be reached, or sent nothing that could be read.
        ServerError = "server_error" | "5xx";
        /// The provider did not answer in time.
        Timeout = "timeout";
        /// The provider is given a pause, refuses the gateway's credential, wants to be paid, or lacks the model.
        Unavailable = "unavailable" | "breaker_open";
        /// The conversation does not fit the model.
        ContextLength = "context_length";
        /// The provider refuses the content.
        ContentFilter = "content_filter";
    }
}

section! {
    /// A name that several models answer for, at `[[routes]]`: see [routing](routing.md).
    pub Route {
        /// The name by which callers ask for it; it may be that of a model.
        model: Option<String> = None;
        /// The models that answer, in the order in which they are asked.
        /// If one has a weight, the order is drawn for each request; a model without one weighs 1.
        targets: Vec<RouteTarget> = Vec::new();
        /// After which failures the next one is asked, as long as nothing was said.
        on: Vec<When> = vec![When::RateLimit, When::ServerError, When::Timeout, When::Unavailable, When::ContextLength];
        /// Whether a model may be asked more than once before the next is.
        retry: bool = true;
        /// Whether models that are given a pause are passed over.
        breaker: bool = true;
    }
}

/// A model that answers for a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteTarget {
    /// As a caller would ask for it.
    pub model: String,
    /// How often it is asked first, beside the others.
    pub weight: Option<u32>,
}

/// More than anybody lists.
const MAX_TARGETS: usize = 16;
const MAX_WEIGHT: u32 = 1_000_000;

impl Value for RouteTarget {
    fn expects() -> String {
        "the name of a model, or `{ model, weight }`".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
        let Content::Table(table) = &node.content else {
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
pub(super) fn read(root: &Table, problems: &mut Vec<Problem>) -> Vec<Route> {
    let mut routes = listed(root, problems);
    routes.extend(fallbacks(root, problems));
    for (at, route) in routes.iter().enumerate() {
        let name = route.model.as_deref().unwrap_or_default();
        let is_same = |other: &Route| {
            other.model.as_ref().is_some_and(|model| model.eq_ignore_ascii_case(name))
        };
        if routes.iter().take(at).any(is_same) {
            let message = format!("`{}` has two routes", printable(name));
            problems.push(Problem::new("routes", message));
        }
    }
    routes
}

fn listed(root: &Table, problems: &mut Vec<Problem>) -> Vec<Route> {
    let Some(node) = root.get("routes") else { return Vec::new() };
    let Content::List(items) = &node.content else {
        let message = format!("expected a list of tables, found {}", node.kind());
        problems.push(Problem::new("routes", message).source(node.source.clone()));
        return Vec::new();
    };
    let mut routes = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("routes[{at}]");
        let before = problems.len();
        let route: Route = Reader::read(path.clone(), Some(item), problems);
        let mut demand = |key: &str, is_there: bool, message: &str| {
            if !is_there && problems.len() == before {
                let problem = Problem::new(format!("{path}.{key}"), message);
                problems.push(problem.source(item.source.clone()));
            }
        };
        demand("model", route.model.is_some(), "is needed");
        demand("targets", !route.targets.is_empty(), "is needed");
        demand("targets", route.targets.len() <= MAX_TARGETS, "has more than 16 targets");
        routes.push(route);
    }
    routes
}

fn fallbacks(root: &Table, problems: &mut Vec<Problem>) -> Vec<Route> {
    let Some(node) = root.get("fallbacks") else { return Vec::new() };
    let Content::Table(table) = &node.content else {
        let message = format!("expected a table, found {}", node.kind());
        problems.push(Problem::new("fallbacks", message).source(node.source.clone()));
        return Vec::new();
    };
    let mut routes = Vec::new();
    for (name, node) in table {
        let models = Vec::<String>::read(node).filter(|it| (1..MAX_TARGETS).contains(&it.len()));
        let Some(models) = models else {
            let message = "expected a list of one to 15 names of models";
            let problem = Problem::new(format!("fallbacks.{}", printable(name)), message);
            problems.push(problem.source(node.source.clone()));
            continue;
        };
        let target = |model| RouteTarget { model, weight: None };
        let targets = [name.clone()].into_iter().chain(models).map(target).collect();
        routes.push(Route { model: Some(name.clone()), targets, ..Route::default() });
    }
    routes
}

/// What the documentation says of `[fallbacks]`.
pub(super) const FALLBACKS: [&str; 2] = [
    "Models that answer for a model that fails, in their order: `name = [\"model\", ..]`.",
    "The same as a route of that name whose first target is the model itself.",
];
