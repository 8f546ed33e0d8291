//! The differences between two prices.

use crate::text::decimal;
use gateway_core::{Price, TokenRates};
use std::fmt;

/// A class of tokens for which two prices differ, in nano-dollars for a million.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PriceDifference {
    /// The class; behind `>N` that of longer prompts.
    pub class: String,
    /// The first of the two prices.
    pub one: Option<u64>,
    /// The second of the two prices.
    pub other: Option<u64>,
}

impl fmt::Display for PriceDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |rate: Option<u64>| rate.map_or_else(|| "-".to_owned(), decimal);
        write!(f, "{} {} / {}", self.class, text(self.one), text(self.other))
    }
}

/// Thresholds this near are the same: some count from the last cheap token, some from the first dear.
const SAME_THRESHOLD: u64 = 1;

/// Returns how the standard rates of two prices differ, in what both name.
pub fn differences(one: &Price, other: &Price) -> Vec<PriceDifference> {
    let mut found = Vec::new();
    compare("", &one.rates, &other.rates, &mut found);
    let above =
        |price: &Price| price.variants.as_ref().map(|it| it.above.clone()).unwrap_or_default();
    let (ours, theirs) = (above(one), above(other));
    for (threshold, rates) in &ours {
        match theirs.iter().find(|(it, _)| it.abs_diff(*threshold) <= SAME_THRESHOLD) {
            Some((_, others)) => compare(&format!(">{threshold} "), rates, others, &mut found),
            None => found.push(PriceDifference {
                class: format!(">{threshold} input"),
                one: Some(rates.input),
                other: None,
            }),
        }
    }
    for (threshold, rates) in &theirs {
        if !ours.iter().any(|(it, _)| it.abs_diff(*threshold) <= SAME_THRESHOLD) {
            let class = format!(">{threshold} input");
            found.push(PriceDifference { class, one: None, other: Some(rates.input) });
        }
    }
    found
}

fn compare(prefix: &str, one: &TokenRates, other: &TokenRates, found: &mut Vec<PriceDifference>) {
    let plain = |rate: u64| Some(rate);
    for (class, one, other) in [
        ("input", plain(one.input), plain(other.input)),
        ("output", plain(one.output), plain(other.output)),
        ("cache_read", one.cache_read, other.cache_read),
        ("cache_write", one.cache_write, other.cache_write),
        ("cache_write_1h", one.cache_write_1h, other.cache_write_1h),
        ("reasoning", one.reasoning, other.reasoning),
        ("audio_input", one.audio_input, other.audio_input),
        ("audio_output", one.audio_output, other.audio_output),
    ] {
        if let (Some(a), Some(b)) = (one, other)
            && a != b
        {
            found.push(PriceDifference { class: format!("{prefix}{class}"), one, other });
        }
    }
}
