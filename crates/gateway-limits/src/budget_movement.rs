//! The spending of a budget, as one report adds to it.

use gateway_core::NanoDollars;
use std::sync::Arc;

/// The spending that one report added to a budget: the reports of all replicas come one after the
/// other, so that each amount is passed by exactly one of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BudgetMovement {
    pub(crate) budget: Arc<str>,
    pub(crate) limit: NanoDollars,
    pub(crate) before: NanoDollars,
    pub(crate) after: NanoDollars,
}
