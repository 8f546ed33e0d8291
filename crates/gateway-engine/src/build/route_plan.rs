//! The plan of a model name: everything about its requests that the configuration decides.

use gateway_core::{GatewayError, Provider, Result, Route, Routes, Target};
use gateway_limits::Client;
use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// The compiled route of one model name: built when the name is first asked for, so that the
/// thousands of models of the catalogue cost nothing until then.
///
/// A request looks its plan up and keeps it: a new configuration has plans of its own.
pub struct RoutePlan {
    /// The name, as callers spell it.
    pub(crate) name: Box<str>,
    /// The provider, the model, and the rule that led there.
    pub(crate) route: Route,
    /// The provider stack, or the fallback group.
    provider: Result<Arc<dyn Provider>, NotReady>,
    /// Whether several targets serve the name. A group checks each of them for itself.
    is_group: bool,
    /// The name of the model in the ledger: as the catalogue has it, else as its provider does.
    pub(crate) ledger_name: Arc<str>,
    /// The model as a metric label.
    pub(crate) label: Arc<str>,
    /// The names by which a client's patterns admit the model, once a client has patterns.
    permitted_names: OnceLock<Vec<String>>,
}

/// Why a plan has no provider.
#[derive(Debug)]
struct NotReady(Box<GatewayError>);

/// The model label of requests to models that are not catalogued: their names are the caller's.
pub(crate) const OTHER: &str = "other";

impl RoutePlan {
    /// The plan of `name`, which leads to `route`, which `provider` serves: a fallback group if
    /// `is_group`.
    pub(crate) fn new(
        name: &str,
        route: Route,
        provider: Result<Arc<dyn Provider>>,
        is_group: bool,
    ) -> Self {
        Self {
            name: name.into(),
            is_group,
            provider: provider.map_err(|error| NotReady(Box::new(error))),
            ledger_name: ledger_name(&route.target),
            label: label(&route.target),
            permitted_names: OnceLock::new(),
            route,
        }
    }

    /// The provider stack that serves `client` where its request for `name` goes.
    ///
    /// # Errors
    ///
    /// If `client` may not use the model, or its provider is not set up.
    pub(crate) fn provider(
        &self,
        client: &Client,
        name: &str,
        routes: &Routes,
    ) -> Result<&Arc<dyn Provider>> {
        if !self.is_group {
            client.check_model(name, || {
                self.permitted_names.get_or_init(|| routes.permitted_names(&self.route))
            })?;
        }
        self.provider.as_ref().map_err(|NotReady(error)| error.clone_without_source())
    }

    /// Whether `target` is that of the plan, so that its names apply.
    pub(crate) fn is_for(&self, target: &Target) -> bool {
        match (&target.card, &self.route.target.card) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => Arc::ptr_eq(&target.model, &self.route.target.model),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

/// The name of a model in the ledger.
pub(crate) fn ledger_name(target: &Target) -> Arc<str> {
    match &target.card {
        Some(card) if card.assumed_from.is_none() => card.id.as_str().into(),
        Some(_) | None => Arc::clone(&target.model),
    }
}

/// The model as a metric label.
fn label(target: &Target) -> Arc<str> {
    target.card.as_ref().map_or(OTHER, |card| &card.id).into()
}

impl fmt::Debug for RoutePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutePlan").field("route", &self.route).finish_non_exhaustive()
    }
}
