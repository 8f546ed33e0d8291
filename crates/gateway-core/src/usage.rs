//! Token usage and cost.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Tokens consumed. The classes do not overlap, so that each can have its own price.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Usage {
    /// Read, and neither from nor into the provider's prompt cache.
    pub input: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the prompt cache, for five minutes or the provider's default.
    pub cache_write: u64,
    /// Written to the prompt cache, for an hour.
    pub cache_write_1h: u64,
    /// Input tokens of audio.
    pub audio_input: u64,
    /// Written, and neither thinking nor sound.
    pub output: u64,
    /// Output tokens of reasoning.
    pub reasoning: u64,
    /// Output tokens of audio.
    pub audio_output: u64,
    /// The provider's own total, where it differs from the sum of the classes.
    pub stated_total: Option<u64>,
    /// Whether one of the provider's counts was implausible: not a number of tokens, or larger than
    /// the sum of which it is a part.
    #[serde(skip)]
    pub is_odd: bool,
}

impl Usage {
    /// Returns all input tokens.
    pub const fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
            .saturating_add(self.audio_input)
    }

    /// Returns all output tokens.
    pub const fn completion(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.audio_output)
    }

    /// All tokens, as the provider counts them.
    pub fn total(&self) -> u64 {
        self.stated_total.unwrap_or_else(|| self.prompt().saturating_add(self.completion()))
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let stated = self.stated_total.is_some() || other.stated_total.is_some();
        let total = self.total().saturating_add(other.total());
        for (mine, more) in [
            (&mut self.input, other.input),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write, other.cache_write),
            (&mut self.cache_write_1h, other.cache_write_1h),
            (&mut self.audio_input, other.audio_input),
            (&mut self.output, other.output),
            (&mut self.reasoning, other.reasoning),
            (&mut self.audio_output, other.audio_output),
        ] {
            *mine = mine.saturating_add(more);
        }
        self.stated_total = stated.then_some(total);
        self.is_odd |= other.is_odd;
    }
}

/// Money, in billionths of a US dollar.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct NanoDollars(pub u64);

impl NanoDollars {
    /// In dollars; for display only.
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl AddAssign for NanoDollars {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

/// Prices of a model, in nano-dollars for a million tokens of each class.
///
/// An absent class costs what its plain sibling costs: cached input as input, thinking as output.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Nano-dollars per million input tokens.
    pub input: u64,
    /// Nano-dollars per million output tokens.
    pub output: u64,
    /// Tokens read from the prompt cache.
    pub cache_read: Option<u64>,
    /// Tokens written to the prompt cache for five minutes.
    pub cache_write: Option<u64>,
    /// Tokens written to the prompt cache for an hour.
    pub cache_write_1h: Option<u64>,
    /// Nano-dollars per million reasoning tokens; default: `output`.
    pub reasoning: Option<u64>,
    /// Tokens of sound, read.
    pub audio_input: Option<u64>,
    /// Tokens of sound, written.
    pub audio_output: Option<u64>,
}

impl Price {
    /// Returns the cost of `usage`, rounded up to a nano-dollar; saturates instead of overflowing.
    pub fn cost(&self, usage: &Usage) -> NanoDollars {
        let cache_write = self.cache_write.unwrap_or(self.input);
        let sum: u128 = [
            (usage.input, self.input),
            (usage.cache_read, self.cache_read.unwrap_or(self.input)),
            (usage.cache_write, cache_write),
            (usage.cache_write_1h, self.cache_write_1h.unwrap_or(cache_write)),
            (usage.audio_input, self.audio_input.unwrap_or(self.input)),
            (usage.output, self.output),
            (usage.reasoning, self.reasoning.unwrap_or(self.output)),
            (usage.audio_output, self.audio_output.unwrap_or(self.output)),
        ]
        .into_iter()
        .map(|(tokens, price)| u128::from(tokens) * u128::from(price))
        .fold(0, u128::saturating_add);
        NanoDollars(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(usage: Usage, price: Price, nano_dollars: u64) {
        assert_eq!(price.cost(&usage), NanoDollars(nano_dollars));
    }

    /// $3 and $15 for a million tokens.
    const SONNET: Price = Price {
        input: 3_000_000_000,
        output: 15_000_000_000,
        cache_read: Some(300_000_000),
        cache_write: Some(3_750_000_000),
        cache_write_1h: Some(6_000_000_000),
        reasoning: None,
        audio_input: None,
        audio_output: None,
    };

    #[test]
    fn each_token_class_has_its_price() {
        check(Usage { input: 1000, ..Usage::default() }, SONNET, 3_000_000);
        check(Usage { cache_read: 1000, ..Usage::default() }, SONNET, 300_000);
        check(Usage { cache_write: 1000, ..Usage::default() }, SONNET, 3_750_000);
        check(Usage { cache_write_1h: 1000, ..Usage::default() }, SONNET, 6_000_000);
        check(Usage { reasoning: 10, output: 10, ..Usage::default() }, SONNET, 300_000);
    }

    #[test]
    fn cost_rounds_up_and_saturates() {
        check(Usage { input: 1, ..Usage::default() }, Price { input: 1, ..SONNET }, 1);
        let absurd = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
        check(absurd, SONNET, u64::MAX);
    }

    #[test]
    fn usage_sum_keeps_stated_total() {
        let mut sum = Usage { input: 1, output: 2, stated_total: Some(10), ..Usage::default() };
        sum += Usage { input: 1, output: 1, ..Usage::default() };
        assert_eq!((sum.prompt(), sum.completion(), sum.total()), (2, 3, 12));
    }
}
