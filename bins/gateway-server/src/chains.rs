//! From `[[routes]]` to those who answer for a name together.

use crate::{
    config::{Config, Route, When},
    upstreams,
};
use anyhow::{Context as _, anyhow};
use gateway_core::{Provider, Routes};
use gateway_http::Backend;
use gateway_resilience::{Chain, Condition, Link, Order, Rules};
use std::{collections::HashMap, sync::Arc};

/// Makes every chain, and lets `routes` lead to them.
///
/// # Errors
///
/// Names the target that nobody serves.
pub(crate) fn build(
    config: &Config,
    routes: &mut Routes,
    backends: &HashMap<Arc<str>, Backend>,
) -> anyhow::Result<HashMap<Arc<str>, Arc<dyn Provider>>> {
    let mut chains: HashMap<Arc<str>, Arc<dyn Provider>> = HashMap::new();
    for route in &config.routes {
        let Some(name) = &route.model else { continue };
        let mut first = None;
        let mut links = Vec::with_capacity(route.targets.len());
        for target in &route.targets {
            let found = routes.single(&target.model).map_err(|error| anyhow!("{error}"));
            let found = found.with_context(|| format!("routes: a target of '{name}'"))?;
            let provider = match backends.get(&found.provider) {
                Some(Backend::Ready(provider)) => Some(Arc::clone(provider)),
                Some(Backend::Unready(_)) | None => None,
            };
            let link = Link::model(&*target.model, &found.provider, provider, found.target.clone());
            links.push(link.weighing(target.weight.unwrap_or(1)));
            first.get_or_insert(found);
        }
        let first = first.with_context(|| format!("routes: '{name}' has no target"))?;
        let chain = Chain::new(name, links, rules(route), upstreams::random);
        chains.insert(name.as_str().into(), Arc::new(chain));
        routes.chain(name, first);
    }
    Ok(chains)
}

fn rules(route: &Route) -> Rules {
    let is_weighted = route.targets.iter().any(|target| target.weight.is_some());
    Rules {
        order: if is_weighted { Order::Weighted } else { Order::Listed },
        on: route.on.iter().copied().map(condition).collect(),
        retry: route.retry,
        guarded: route.breaker,
    }
}

const fn condition(when: When) -> Condition {
    match when {
        When::RateLimit => Condition::RateLimit,
        When::ServerError => Condition::ServerError,
        When::Timeout => Condition::Timeout,
        When::Unavailable => Condition::Unavailable,
        When::ContextLength => Condition::ContextLength,
        When::ContentFilter => Condition::ContentFilter,
    }
}
