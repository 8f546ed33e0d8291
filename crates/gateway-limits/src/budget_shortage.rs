//! A budget that does not cover a request, with the sums that its refusal names.

use gateway_core::NanoDollars;
use std::sync::Arc;

/// A budget that does not cover a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BudgetShortage {
    /// The period, and the models after a slash if it is for some only.
    pub(crate) name: Arc<str>,
    /// The amount of the whole budget.
    pub(crate) limit: NanoDollars,
    /// The sum that the request could cost.
    pub(crate) cost: NanoDollars,
    /// The sum that is left; absent if the store does not say.
    pub(crate) left: Option<NanoDollars>,
}
