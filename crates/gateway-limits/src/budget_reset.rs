//! The reset of a budget by an operator.

use crate::{
    BudgetPeriod, LimitAccounts,
    account::{RenewalReason, store_name},
    account_key,
    calendar::current_day,
};
use gateway_core::{
    NanoDollars,
    state::{StoreError, Tenant},
};

/// A budget, as an operator names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BudgetName {
    /// The tenant.
    pub tenant: String,
    /// The client; absent for the budget of the whole tenant.
    pub client: Option<String>,
    /// The period.
    pub period: BudgetPeriod,
    /// The models that the budget is for, as the limit names them; absent if it is for all.
    pub model: Option<String>,
}

impl LimitAccounts {
    /// Sets the spending of the present term of a budget to nothing, and returns the term and what
    /// had been spent. Requests that are being served are booked when they end.
    ///
    /// # Errors
    ///
    /// If the store is unavailable, or the tenant has no valid name.
    pub async fn reset_budget(
        &self,
        budget: &BudgetName,
    ) -> Result<(String, NanoDollars), StoreError> {
        let tenant = Tenant::new(budget.tenant.as_str());
        let tenant = tenant.ok_or(StoreError::Invalid("a tenant has a name"))?;
        let account = match &budget.client {
            Some(client) => account_key::of_client(&tenant, client),
            None => account_key::of_tenant(&tenant),
        };
        let term = budget.period.span(current_day()).name;
        let name = store_name(&term, budget.model.as_deref());
        let account = self.client(account);
        let turn = account.turn.lock().await;
        // What was spent here before is reported first, so that it is forgotten too.
        self.exchange(&account, RenewalReason::Close).await?;
        let spent = self.quotas().reset_budget(&account.key, &name).await;
        drop(turn);
        account.state().forget_refusals();
        spent.map(|spent| (name.to_string(), spent))
    }
}
