//! The charges of one request against its client's limits, as slots in the client's account.

use crate::policy::LimitKind;
use gateway_core::{NanoDollars, state::Rate};

/// The limits of a client and of one model have at most this many of each kind.
pub(crate) const RATES: usize = 4;
pub(crate) const SLOTS: usize = 2;
pub(crate) const BUDGETS: usize = 8;

/// The charges of one request: plain numbers, copied and never allocated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Charges {
    pub(crate) rates: InlineList<RateCharge, RATES>,
    pub(crate) slots: InlineList<SlotCharge, SLOTS>,
    pub(crate) budgets: InlineList<BudgetCharge, BUDGETS>,
}

/// A short list without an allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InlineList<T, const N: usize>([Option<T>; N]);

/// The units that a request takes of a limit by rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateCharge {
    pub(crate) at: usize,
    pub(crate) kind: LimitKind,
    pub(crate) rate: Rate,
    pub(crate) cost: u64,
}

/// A slot of a concurrency limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotCharge {
    pub(crate) at: usize,
    pub(crate) limit: u64,
}

/// The money that a request sets aside of a budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BudgetCharge {
    pub(crate) at: usize,
    /// The day, counted from 1970-01-01; the budget of a week or month is that of the day's.
    pub(crate) day: u64,
    pub(crate) limit: NanoDollars,
    pub(crate) amount: NanoDollars,
}

impl<T: Copy, const N: usize> Default for InlineList<T, N> {
    fn default() -> Self {
        Self([None; N])
    }
}

impl<T: Copy, const N: usize> InlineList<T, N> {
    /// Appends `item`; one that has no room is left out, which the numbers above rule out.
    pub(crate) fn push(&mut self, item: T) {
        if let Some(place) = self.0.iter_mut().find(|place| place.is_none()) {
            *place = Some(item);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.first().is_none_or(Option::is_none)
    }
}

impl Charges {
    /// Whether nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.rates.is_empty() && !self.is_held()
    }

    /// Whether something is held until the request ends.
    pub(crate) fn is_held(&self) -> bool {
        let is_tokens = |charge: &RateCharge| charge.kind == LimitKind::Tokens;
        !self.slots.is_empty() || !self.budgets.is_empty() || self.rates.iter().any(is_tokens)
    }

    /// Returns whether a budget is charged.
    pub(crate) fn takes_money(&self) -> bool {
        self.budgets.iter().any(|charge| charge.amount.0 > 0)
    }
}
