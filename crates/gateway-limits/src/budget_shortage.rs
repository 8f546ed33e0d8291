//! A budget that does not cover a request, with the sums that its refusal names.

use crate::budget_period::PeriodSpan;
use gateway_core::NanoDollars;
use std::sync::Arc;

/// A budget that does not cover a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BudgetShortage {
    /// The day, week or month of the budget.
    pub(crate) term: PeriodSpan,
    /// The models that it is for; absent if it is for all.
    pub(crate) models: Option<Arc<str>>,
    /// Whether it is a budget of the client's tenant.
    pub(crate) is_of_tenant: bool,
    /// The amount of the whole budget.
    pub(crate) limit: NanoDollars,
    /// The sum that the request could cost.
    pub(crate) cost: NanoDollars,
    /// The sum that is left; absent if the store does not say.
    pub(crate) left: Option<NanoDollars>,
}
