//! The reset of budgets.

use super::{AdminApi, audit::AuditRecord, bodies};
use crate::reply;
use gateway_core::{ErrorKind, GatewayError, Result};
use gateway_limits::{BudgetName, BudgetPeriod};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

/// A budget that is to be reset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetRequest {
    /// The client; absent for the budget of the whole tenant.
    #[serde(default)]
    client: Option<String>,
    /// The tenant; the client's name if absent.
    #[serde(default)]
    tenant: Option<String>,
    /// The period: `day`, `week`, `month` or `total`.
    period: String,
    /// The models of a budget for some models only, as the limit names them.
    #[serde(default)]
    model: Option<String>,
}

impl ResetRequest {
    fn budget(self) -> Result<BudgetName> {
        let wrong = |param: &'static str, message: &'static str| {
            GatewayError::new(ErrorKind::Unprocessable, message).with_param(param)
        };
        let Some(tenant) = self.tenant.or_else(|| self.client.clone()) else {
            return Err(wrong("client", "name the `client` or the `tenant` of the budget"));
        };
        let period = BudgetPeriod::parse(&self.period);
        let period =
            period.ok_or_else(|| wrong("period", "any of `day`, `week`, `month`, `total`"))?;
        Ok(BudgetName { tenant, client: self.client, period, model: self.model })
    }
}

impl AdminApi {
    /// Sets the spending of a budget to nothing.
    pub(super) async fn reset_budget(
        &self,
        body: &[u8],
        record: &mut AuditRecord,
    ) -> Result<Response<reply::Body>> {
        let budget = bodies::read::<ResetRequest>(body)?.budget()?;
        record.client(budget.client.as_deref().unwrap_or(&budget.tenant));
        record.changed(budget.period.as_str().to_owned());
        let accounts = self.service.engine.limits.accounts.as_ref();
        let accounts = accounts.ok_or_else(|| {
            GatewayError::new(ErrorKind::Unavailable, "there is no store for budgets")
        })?;
        let (term, spent) = accounts.reset_budget(&budget).await.map_err(|error| {
            GatewayError::new(ErrorKind::Unavailable, "the store of budgets is unavailable")
                .with_code(error.code())
                .with_source(error)
        })?;
        let reset = json!({
            "object": "budget_reset",
            "tenant": budget.tenant,
            "client": budget.client,
            "budget": term,
            "spent_usd": spent.dollars(),
            "spent_nano_usd": spent.0,
        });
        Ok(reply::json(StatusCode::OK, &reset))
    }
}
