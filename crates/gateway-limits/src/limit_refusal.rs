//! The errors of callers that have reached a limit.

use crate::{
    account::AccountState, budget_refusal, budget_shortage::BudgetShortage, charges::Charges,
    limit_name::limit_name, policy::LimitKind,
};
use gateway_core::{ErrorKind, GatewayError, state::Refusal};
use std::time::Duration;

/// The name of a budget whose period is not known any more.
const BUDGET: &str = "budget";

/// Returns the error of a request whose `charges` against the account `state` were refused.
pub(crate) fn refusal_error(
    refusal: &Refusal,
    charges: &Charges,
    state: &AccountState,
    is_of_tenant: bool,
) -> GatewayError {
    let (error, setting, models) = match refusal {
        Refusal::Rate { name, retry_after } => {
            let (kind, models) = state.rate_limit(charges, name);
            (rate_limit_reached(kind, *retry_after), kind.setting(), models)
        }
        Refusal::TooLarge { name } => {
            let (kind, models) = state.rate_limit(charges, name);
            (request_exceeds_limit(kind), kind.setting(), models)
        }
        Refusal::Slots { name } => (no_free_slot(), "max_concurrent", state.slot_models(name)),
        Refusal::Budget { name } => match state.shortage(charges, name) {
            Some(it) => {
                let shortage = BudgetShortage { is_of_tenant, ..it };
                let error = budget_refusal::exceeded(&shortage);
                (error, shortage.term.period.setting(), shortage.models)
            }
            None => (budget_refusal::exhausted(), BUDGET, None),
        },
        Refusal::Unknown { name } => {
            let found = state.shortage(charges, name);
            let (setting, models) =
                found.map_or((BUDGET, None), |it| (it.term.period.setting(), it.models));
            (budget_unknown(), setting, models)
        }
    };
    error.with_limit(limit_name(setting, models.as_deref(), is_of_tenant))
}

/// Returns the refusal by a rate limit that has room after `retry_after`.
pub(crate) fn rate_limit_reached(kind: LimitKind, retry_after: Duration) -> GatewayError {
    let message = format!("rate limit reached: {}", unit(kind));
    GatewayError::new(ErrorKind::RateLimited, message).with_retry_after(Some(retry_after))
}

/// Returns the refusal of a request that a rate limit never has room for.
pub(crate) fn request_exceeds_limit(kind: LimitKind) -> GatewayError {
    let message = format!("the request exceeds the whole rate limit of {}", unit(kind));
    GatewayError::new(ErrorKind::QuotaExceeded, message).with_code("request_exceeds_limit")
}

/// Returns the refusal by a concurrency limit.
pub(crate) fn no_free_slot() -> GatewayError {
    let message = "concurrency limit reached: wait for a request to end";
    GatewayError::new(ErrorKind::RateLimited, message)
        .with_code("too_many_requests_at_once")
        .with_retry_after(Some(Duration::from_secs(1)))
}

/// Returns the refusal of a request whose budget cannot be read.
pub(crate) fn budget_unknown() -> GatewayError {
    let message = "the remaining budget is unknown while the store is unavailable";
    GatewayError::new(ErrorKind::Unavailable, message)
        .with_code("budget_unknown")
        .with_retry_after(Some(Duration::from_secs(5)))
}

const fn unit(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Requests => "requests per minute",
        LimitKind::Tokens => "tokens per minute",
    }
}
