//! Model names that several targets serve.

use super::{Backend, random_unit};
use crate::BuildError;
use gateway_core::{Provider, Route, Routes};
use gateway_resilience::{
    FallbackCondition, FallbackGroup, FallbackOrder, FallbackRules, FallbackTarget,
};
use std::sync::Arc;

/// A model name that several targets serve, one after the other or by weight.
#[derive(Clone, Debug)]
pub struct FallbackRoute {
    /// The name that callers ask for.
    pub model: String,
    /// The targets: a model each, and its weight if requests are spread by weight.
    pub targets: Vec<(String, Option<u32>)>,
    /// The failures after which the next target is tried.
    pub on: Vec<FallbackCondition>,
    /// Whether a target is retried before the fallback.
    pub retry: bool,
    /// Whether open circuits and cooldowns of the targets are respected.
    pub breaker: bool,
}

/// Returns the fallback group of `route`, and the index of its first target.
///
/// # Errors
///
/// [`BuildError::FallbackTarget`] if no provider serves a target, [`BuildError::EmptyFallback`] if
/// there is none.
pub(super) fn group<'a>(
    route: &FallbackRoute,
    routes: &Routes,
    backend: impl Fn(&str) -> Option<&'a Backend>,
) -> Result<(Route, Arc<dyn Provider>), BuildError> {
    let name = &route.model;
    let mut first = None;
    let mut targets = Vec::with_capacity(route.targets.len());
    for (model, weight) in &route.targets {
        let found = routes.single(model).map_err(|source| BuildError::FallbackTarget {
            name: name.clone(),
            source: Box::new(source),
        })?;
        let provider = match backend(&found.provider) {
            Some(Backend::Ready(provider)) => Some(Arc::clone(provider)),
            Some(Backend::NotReady(_)) | None => None,
        };
        let target =
            FallbackTarget::model(&**model, &found.provider, provider, found.target.clone());
        let target = target.with_permitted_names(routes.permitted_names(&found));
        targets.push(target.with_weight(weight.unwrap_or(1)));
        first.get_or_insert(found);
    }
    let first = first.ok_or_else(|| BuildError::EmptyFallback { name: name.clone() })?;
    let is_weighted = route.targets.iter().any(|(_, weight)| weight.is_some());
    let rules = FallbackRules {
        order: if is_weighted { FallbackOrder::Weighted } else { FallbackOrder::Priority },
        on: route.on.clone(),
        retry: route.retry,
        respect_breakers: route.breaker,
    };
    Ok((first, Arc::new(FallbackGroup::new(name, targets, rules, random_unit))))
}
