//! Token usage and cost.

use crate::{BilledUnits, ServiceTier};
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
    /// Read as images, where the provider counts them apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_input: u64,
    /// Written as images, where the provider counts them apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_output: u64,
    /// Searches of the web that the provider ran and bills by the call.
    #[serde(skip_serializing_if = "is_zero")]
    pub searches: u64,
    /// Units that are not counted in tokens: images, time, characters.
    #[serde(skip_serializing_if = "BilledUnits::is_empty")]
    pub units: BilledUnits,
    /// The service tier that was served, as the answer names it; the standard one if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<ServiceTier>,
    /// The provider's own total, where it differs from the sum of the classes.
    pub stated_total: Option<u64>,
    /// Whether one of the provider's counts was implausible: not a number of tokens, or larger than
    /// the sum of which it is a part.
    #[serde(skip)]
    pub is_odd: bool,
}

impl Usage {
    /// No tokens, as a constant for others; the same as the default.
    pub const NONE: Self = Self {
        input: 0,
        cache_read: 0,
        cache_write: 0,
        cache_write_1h: 0,
        audio_input: 0,
        output: 0,
        reasoning: 0,
        audio_output: 0,
        image_input: 0,
        image_output: 0,
        searches: 0,
        units: BilledUnits::NONE,
        tier: None,
        stated_total: None,
        is_odd: false,
    };

    /// Returns all input tokens.
    pub const fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
            .saturating_add(self.audio_input)
            .saturating_add(self.image_input)
    }

    /// Returns all output tokens.
    pub const fn completion(&self) -> u64 {
        self.output
            .saturating_add(self.reasoning)
            .saturating_add(self.audio_output)
            .saturating_add(self.image_output)
    }

    /// Whether something was counted: tokens of the prompt or of the completion, or other units.
    pub const fn is_reported(&self) -> bool {
        self.prompt() > 0 || self.completion() > 0 || !self.units.is_empty()
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
            (&mut self.image_input, other.image_input),
            (&mut self.image_output, other.image_output),
            (&mut self.searches, other.searches),
        ] {
            *mine = mine.saturating_add(more);
        }
        self.units += other.units;
        self.stated_total = stated.then_some(total);
        self.tier = other.tier.or(self.tier);
        self.is_odd |= other.is_odd;
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_keeps_a_stated_total() {
        let mut sum = Usage { input: 1, output: 2, stated_total: Some(10), ..Usage::default() };
        sum += Usage { input: 1, output: 1, ..Usage::default() };
        assert_eq!((sum.prompt(), sum.completion(), sum.total()), (2, 3, 12));
    }

    #[test]
    fn sum_keeps_the_service_tier_that_is_known() {
        let mut sum = Usage { tier: Some(ServiceTier::Flex), ..Usage::default() };
        sum += Usage { input: 1, ..Usage::default() };
        assert_eq!((sum.tier, sum.input), (Some(ServiceTier::Flex), 1));
    }
}
