//! `LiteLLM`'s rates of some hours of the week: `off_peak_pricing`.

use super::prices;
use crate::{row::OffPeakRates, text::off_peak::minute};
use gateway_core::{PriceWindow, TokenRates};
use serde_json::Value;

/// Reads the rates of some hours; what they do not name is as at other hours. Nothing if the hours
/// cannot be understood, so that the price of the others holds at all times.
pub(super) fn read(model: &Value, base: TokenRates) -> Option<OffPeakRates> {
    let block = model.get("off_peak_pricing")?;
    // The days of another zone begin at another hour.
    let zone = block.get("weekday_timezone").and_then(Value::as_str);
    if zone.is_some_and(|zone| zone != "UTC") {
        return None;
    }
    let mut windows = hours(block, PriceWindow::ALL_DAYS)?;
    for rule in block.get("windows").and_then(Value::as_array).into_iter().flatten() {
        windows.extend(hours(rule, days(rule.get("weekdays"))?)?);
    }
    let rates = prices::with_standard_rates(block, base);
    (!windows.is_empty()).then_some(OffPeakRates { windows, rates })
}

/// The windows of a rule: a time of the day, or several.
fn hours(rule: &Value, days: u8) -> Option<Vec<PriceWindow>> {
    let words = match rule.get("hours_utc") {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(Value::Array(words)) => words.as_slice(),
        Some(word) => std::slice::from_ref(word),
    };
    let mut windows = Vec::new();
    for word in words {
        let (from, to) = word.as_str()?.split_once('-')?;
        windows.extend(PriceWindow::around_midnight(days, minute(from)?, minute(to)?));
    }
    Some(windows)
}

/// The days of a rule, a bit each; every day if it names none.
fn days(weekdays: Option<&Value>) -> Option<u8> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let Some(weekdays) = weekdays.filter(|it| !it.is_null()) else {
        return Some(PriceWindow::ALL_DAYS);
    };
    weekdays.as_array()?.iter().try_fold(0, |days, day| {
        let number = day.as_u64().and_then(|day| day.checked_sub(1)).filter(|day| *day < 7);
        let named = || {
            let name = day.as_str()?.trim().to_lowercase();
            let at = NAMES.iter().position(|it| name.starts_with(it))?;
            u64::try_from(at).ok()
        };
        Some(days | 1 << number.or_else(named)?)
    })
}
