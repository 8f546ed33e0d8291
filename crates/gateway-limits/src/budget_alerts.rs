//! Alerts about budgets that have been spent to a threshold.

use crate::{account_key, budget_movement::BudgetMovement};
use gateway_core::{NanoDollars, state::Key};
use std::{fmt, sync::Arc};

/// A budget of which a share has been spent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BudgetAlert {
    /// The tenant.
    pub tenant: String,
    /// The client; absent if it is the budget of the whole tenant.
    pub client: Option<String>,
    /// The period, and the models after a slash if the budget is for some only.
    pub budget: Arc<str>,
    /// The amount of the whole budget.
    pub limit: NanoDollars,
    /// The sum that has been spent.
    pub spent: NanoDollars,
    /// The threshold that was passed, in percent.
    pub percent: u8,
}

/// The receiver of alerts. It must not block.
pub type AlertReceiver = Arc<dyn Fn(BudgetAlert) + Send + Sync>;

/// The thresholds at which budgets alert, and the receiver.
#[derive(Clone)]
pub struct BudgetAlerts {
    /// Percentages of a budget.
    pub thresholds: Vec<u8>,
    /// The receiver of each alert.
    pub receiver: AlertReceiver,
}

impl BudgetAlerts {
    /// Reports the highest threshold that `movement` has passed, if any. Of several replicas, only
    /// one passes it.
    pub(crate) fn check(&self, key: &Key, movement: &BudgetMovement) {
        let amount = |percent: u8| u128::from(movement.limit.0) * u128::from(percent);
        let share = |spent: NanoDollars| u128::from(spent.0) * 100;
        let passed = self.thresholds.iter().copied().filter(|percent| {
            share(movement.before) < amount(*percent) && share(movement.after) >= amount(*percent)
        });
        let Some(percent) = passed.max() else { return };
        (self.receiver)(BudgetAlert {
            tenant: key.tenant().as_str().to_owned(),
            client: account_key::client_name(key).map(str::to_owned),
            budget: Arc::clone(&movement.budget),
            limit: movement.limit,
            spent: movement.after,
            percent,
        });
    }
}

impl fmt::Debug for BudgetAlerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BudgetAlerts").field("thresholds", &self.thresholds).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::state::Tenant;
    use std::sync::Mutex;

    /// The thresholds that a budget of 100 reports when its spending moves.
    #[track_caller]
    fn check(before: u64, after: u64, expected: &[u8]) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let receiver: AlertReceiver = Arc::new({
            let seen = Arc::clone(&seen);
            move |alert: BudgetAlert| seen.lock().unwrap().push(alert.percent)
        });
        let alerts = BudgetAlerts { thresholds: vec![50, 80, 100], receiver };
        let movement = BudgetMovement {
            budget: "2026-11".into(),
            limit: NanoDollars(100),
            before: NanoDollars(before),
            after: NanoDollars(after),
        };
        alerts.check(&account_key::of_client(&Tenant::new("t").unwrap(), "c"), &movement);
        assert_eq!(*seen.lock().unwrap(), expected, "{before} to {after}");
    }

    #[test]
    fn passed_threshold_is_reported_once() {
        check(0, 49, &[]);
        check(49, 50, &[50]);
        check(50, 79, &[]);
        check(10, 85, &[80]);
        check(80, 130, &[100]);
        check(100, 200, &[]);
    }
}
