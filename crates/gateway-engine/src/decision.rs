//! The routing decision of a request, reported on request.

use gateway_core::{Route, Rule};
use std::sync::Arc;

/// The decision made before any provider is called.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The rule that routed the request.
    pub rule: Rule,
    /// The fallback group that it led to, if it led to one.
    pub group: Option<Arc<str>>,
}

impl Decision {
    pub(crate) fn new(route: &Route) -> Self {
        Self { rule: route.rule, group: route.chain.clone() }
    }
}
