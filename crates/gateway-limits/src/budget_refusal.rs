//! The refusals of budgets, in words: what a request could cost, what is left, and how to go on.

use crate::budget_shortage::BudgetShortage;
use gateway_core::{Date, ErrorKind, GatewayError, NanoDollars};

/// The treatment of a request for a model without a price, if its caller has a budget.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UnpricedPolicy {
    /// It is refused: an unknown price is not a price of nothing.
    #[default]
    Refuse,
    /// It is let in, and booked at nothing.
    Allow,
}

/// Returns the refusal of a request that a budget does not cover.
pub(crate) fn exceeded(budget: &BudgetShortage) -> GatewayError {
    let of_models = budget.models.as_ref().map(|models| format!(" for {models}"));
    let of_models = of_models.unwrap_or_default();
    let cost = dollars(budget.cost);
    let limit = dollars(budget.limit);
    let owner = if budget.is_of_tenant { "tenant" } else { "API key" };
    let (period, until, wait) = match budget.term.next_start() {
        Some(day) => {
            let end = format!("{}T00:00:00Z", Date::from_days_since_epoch(day).text());
            (format!("of {}", budget.term.name), format!(" until {end}"), "wait until then")
        }
        None => ("in all".to_owned(), String::new(), "ask the operator to raise or reset it"),
    };
    let budget_name = format!("the {limit} budget{of_models} {period} of this {owner}");
    let state = match budget.left {
        Some(NanoDollars(0)) => format!("nothing of {budget_name} is left{until}"),
        Some(left) => format!("{} of {budget_name} is left{until}", dollars(left)),
        None => format!("{budget_name} does not cover it{until}"),
    };
    let message = format!(
        "the request could cost up to {cost}; {state}; lower max_tokens, choose a cheaper model, or \
         {wait}"
    );
    GatewayError::new(ErrorKind::QuotaExceeded, message)
        .with_code("budget_exceeded")
        .with_retry_after(budget.term.until_next())
}

/// Returns the refusal of a budget of which no more is known.
pub(crate) fn exhausted() -> GatewayError {
    GatewayError::new(ErrorKind::QuotaExceeded, "the budget of this API key is exhausted")
        .with_code("budget_exceeded")
}

/// Returns the refusal of a request whose cost cannot be known.
pub(crate) fn unpriced(model: &str) -> GatewayError {
    let printable: String = model.chars().filter(|c| !c.is_control()).take(128).collect();
    let message = format!(
        "the price of the model '{printable}' is unknown, and this API key has a budget: choose a \
         model with a known price, or ask the operator to add its price to [[models]] or to set \
         budgets.unpriced"
    );
    GatewayError::new(ErrorKind::QuotaExceeded, message)
        .with_code("unpriced_model")
        .with_limit("budgets.unpriced")
        .with_param("model")
}

/// An amount for people: to the hundredth of a cent, rounded up.
fn dollars(NanoDollars(nano): NanoDollars) -> String {
    const UNIT: u64 = 100_000;
    let units = nano.div_ceil(UNIT);
    let (whole, rest) = (units / 10_000, units % 10_000);
    if rest % 100 == 0 {
        format!("${whole}.{:02}", rest / 100)
    } else {
        format!("${whole}.{rest:04}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BudgetPeriod;

    /// A budget of the term that contains 2026-11-30.
    fn shortage(period: BudgetPeriod, left: u64) -> BudgetShortage {
        let day = Date { year: 2026, month: 11, day: 30 }.days().unwrap();
        BudgetShortage {
            term: period.span(day),
            models: None,
            is_of_tenant: false,
            limit: NanoDollars(50_000_000),
            cost: NanoDollars(1_000_000_000),
            left: Some(NanoDollars(left)),
        }
    }

    #[test]
    fn budget_refusal_names_cost_and_remainder() {
        let error = exceeded(&shortage(BudgetPeriod::Day, 49_900_000));
        let expected = "the request could cost up to $1.00; $0.0499 of the $0.05 budget of \
                        2026-11-30 of this API key is left until 2026-12-01T00:00:00Z; lower \
                        max_tokens, choose a cheaper model, or wait until then";
        assert_eq!((error.code(), error.message()), ("budget_exceeded", expected));
    }

    #[test]
    fn refusal_of_a_total_budget_names_no_end() {
        let of_tenant = BudgetShortage { is_of_tenant: true, ..shortage(BudgetPeriod::Total, 0) };
        let error = exceeded(&of_tenant);
        let expected = "nothing of the $0.05 budget in all of this tenant is left; lower max_tokens, \
                        choose a cheaper model, or ask the operator to raise or reset it";
        assert!(error.message().ends_with(expected), "{}", error.message());
        assert_eq!(error.retry_after(), None);
    }

    #[test]
    fn budget_refusal_names_the_models_of_its_budget() {
        let models = Some("claude-*".into());
        let error = exceeded(&BudgetShortage { models, ..shortage(BudgetPeriod::Month, 0) });
        let expected =
            "nothing of the $0.05 budget for claude-* of 2026-11 of this API key is left";
        assert!(error.message().contains(expected), "{}", error.message());
    }

    #[test]
    fn unpriced_refusal_names_the_model_without_control_characters() {
        let error = unpriced("a\nb");
        assert!(error.message().contains("'ab'"), "{}", error.message());
        assert_eq!(error.code(), "unpriced_model");
    }
}
