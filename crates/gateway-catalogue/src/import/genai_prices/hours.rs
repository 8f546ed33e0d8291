//! Prices of some hours of the day: entries of a price with a constraint on the time.

use super::rates;
use crate::{
    row::{OffPeakRates, PriceRow},
    text::off_peak::minute,
};
use gateway_core::{PriceWindow, TokenRates};
use serde_json::Value;

/// Adds the price of some hours to one that holds at the others. The dearer of both becomes the price,
/// the cheaper one that of its hours. Nothing changes if neither is the dearer one in every class.
pub(super) fn add(row: &mut PriceRow, entries: &[Value]) {
    let mut times = Vec::new();
    let mut of_hours = None;
    for entry in entries {
        let Some((from, to)) = entry.get("constraint").and_then(hours) else { continue };
        let priced = entry.get("prices").and_then(rates).map(|(rates, _)| rates);
        // Hours with different prices among them are more than a row can hold.
        if of_hours.is_some_and(|known| Some(known) != priced) {
            return;
        }
        of_hours = priced;
        times.extend(PriceWindow::around_midnight(PriceWindow::ALL_DAYS, from, to));
    }
    let Some(of_hours) = of_hours else { return };
    let base = row.price.rates;
    if is_at_most(&base, &of_hours) {
        row.price.rates = of_hours;
        row.off_peak = Some(OffPeakRates { windows: others(times), rates: base });
    } else if is_at_most(&of_hours, &base) {
        row.off_peak = Some(OffPeakRates { windows: times, rates: of_hours });
    }
}

/// The first and the last minute of a constraint on the time of the day.
fn hours(constraint: &Value) -> Option<(u16, u16)> {
    let time = |name: &str| minute(constraint.get(name)?.as_str()?.get(..5)?);
    Some((time("start_time")?, time("end_time")?))
}

/// Whether no class of tokens costs more at `one` than at `other`.
fn is_at_most(one: &TokenRates, other: &TokenRates) -> bool {
    let read = |rates: &TokenRates| rates.cache_read.unwrap_or(rates.input);
    one.input <= other.input && one.output <= other.output && read(one) <= read(other)
}

/// The rest of the day around windows.
fn others(mut windows: Vec<PriceWindow>) -> Vec<PriceWindow> {
    windows.sort_by_key(|window| window.minutes());
    let (mut rest, mut begin) = (Vec::new(), 0);
    for window in &windows {
        let (from, to) = window.minutes();
        rest.extend(PriceWindow::new(PriceWindow::ALL_DAYS, begin, from));
        begin = begin.max(to);
    }
    rest.extend(PriceWindow::new(PriceWindow::ALL_DAYS, begin, 24 * 60));
    rest
}
