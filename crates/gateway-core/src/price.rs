//! The prices of models, and the cost of a usage at one of them.

mod history;
mod off_peak;
mod tier;

pub use self::{
    history::{PriceHistory, PricePeriod},
    off_peak::{OffPeakPrice, PriceWindow},
    tier::ServiceTier,
};

use crate::{NanoDollars, UnitFees, Usage};
use std::sync::Arc;

/// Rates in nano-dollars for a million tokens of each class.
///
/// An absent class costs what its plain sibling costs: cached input as input, thinking as output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TokenRates {
    /// Nano-dollars per million input tokens.
    pub input: u64,
    /// Nano-dollars per million output tokens.
    pub output: u64,
    /// Tokens read from the prompt cache.
    pub cache_read: Option<u64>,
    /// Tokens written to the prompt cache for the provider's short time, such as five minutes.
    pub cache_write: Option<u64>,
    /// Tokens written to the prompt cache for the provider's long time, such as an hour.
    pub cache_write_1h: Option<u64>,
    /// Nano-dollars per million reasoning tokens; default: `output`.
    pub reasoning: Option<u64>,
    /// Tokens of sound, read.
    pub audio_input: Option<u64>,
    /// Tokens of sound, written.
    pub audio_output: Option<u64>,
    /// Tokens of images, read.
    pub image_input: Option<u64>,
    /// Tokens of images, written.
    pub image_output: Option<u64>,
}

/// Rates, and those that hold for the whole request once its prompt is longer than a threshold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RateCard {
    /// The rates of a prompt of usual length.
    pub base: TokenRates,
    /// Thresholds in tokens of the prompt, ascending, and the rates of a prompt that is longer.
    pub above: Vec<(u64, TokenRates)>,
}

/// The price of a model.
///
/// ```
/// use gateway_core::{NanoDollars, Price, TokenRates, Usage};
///
/// let price = Price::from(TokenRates { input: 3_000_000_000, output: 15_000_000_000, ..TokenRates::default() });
/// let usage = Usage { input: 1000, output: 100, ..Usage::default() };
/// assert_eq!(price.cost(&usage), NanoDollars(4_500_000));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Price {
    /// The rates of the standard service tier and a prompt of usual length.
    pub rates: TokenRates,
    /// Whatever else changes the price; absent for most models.
    pub variants: Option<Arc<PriceVariants>>,
}

/// The parts of a price that depend on more than the number of tokens.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PriceVariants {
    /// The rates of longer prompts in the standard tier, as in [`RateCard::above`].
    pub above: Vec<(u64, TokenRates)>,
    /// The rates of other service tiers.
    pub tiers: Vec<(ServiceTier, RateCard)>,
    /// Nano-dollars for each request.
    pub request: u64,
    /// Nano-dollars for each web search.
    pub search: u64,
    /// Fees for what is not counted in tokens.
    pub units: UnitFees,
}

impl TokenRates {
    /// Nano-dollars for a million times `usage`, in 128 bits: exact, and saturating.
    fn sum(&self, usage: &Usage) -> u128 {
        let cache_write = self.cache_write.unwrap_or(self.input);
        [
            (usage.input, self.input),
            (usage.cache_read, self.cache_read.unwrap_or(self.input)),
            (usage.cache_write, cache_write),
            (usage.cache_write_1h, self.cache_write_1h.unwrap_or(cache_write)),
            (usage.audio_input, self.audio_input.unwrap_or(self.input)),
            (usage.image_input, self.image_input.unwrap_or(self.input)),
            (usage.output, self.output),
            (usage.reasoning, self.reasoning.unwrap_or(self.output)),
            (usage.audio_output, self.audio_output.unwrap_or(self.output)),
            (usage.image_output, self.image_output.unwrap_or(self.output)),
        ]
        .into_iter()
        .map(|(tokens, rate)| u128::from(tokens) * u128::from(rate))
        .fold(0, u128::saturating_add)
    }
}

impl RateCard {
    /// Returns the rates of a request whose prompt has `prompt` tokens.
    pub fn rates(&self, prompt: u64) -> &TokenRates {
        of_length(&self.base, &self.above, prompt)
    }
}

fn of_length<'a>(
    base: &'a TokenRates,
    above: &'a [(u64, TokenRates)],
    prompt: u64,
) -> &'a TokenRates {
    let longer = above.iter().rev().find(|(threshold, _)| prompt > *threshold);
    longer.map_or(base, |(_, rates)| rates)
}

impl Price {
    /// The price of what costs nothing.
    pub fn free() -> &'static Self {
        static FREE: Price = Price {
            rates: TokenRates {
                input: 0,
                output: 0,
                cache_read: None,
                cache_write: None,
                cache_write_1h: None,
                reasoning: None,
                audio_input: None,
                audio_output: None,
                image_input: None,
                image_output: None,
            },
            variants: None,
        };
        &FREE
    }

    /// Returns the price with `fees` for what is not counted in tokens.
    #[must_use]
    pub fn with_unit_fees(mut self, fees: UnitFees) -> Self {
        if fees != UnitFees::NONE {
            let variants = self.variants.get_or_insert_default();
            Arc::make_mut(variants).units = fees;
        }
        self
    }

    /// Whether no usage costs anything.
    pub fn is_free(&self) -> bool {
        self == Self::free()
    }

    /// Returns the rates that apply to `usage`: those of its service tier and prompt length.
    pub fn rates_for(&self, usage: &Usage) -> &TokenRates {
        let Some(variants) = &self.variants else { return &self.rates };
        let prompt = usage.prompt();
        let of_tier = usage.tier.and_then(|tier| variants.tiers.iter().find(|(it, _)| *it == tier));
        match of_tier {
            Some((_, card)) => card.rates(prompt),
            None => of_length(&self.rates, &variants.above, prompt),
        }
    }

    /// Returns the cost of `usage`, rounded up to a whole nano-dollar; saturates instead of
    /// overflowing.
    pub fn cost(&self, usage: &Usage) -> NanoDollars {
        let tokens = self.rates_for(usage).sum(usage).div_ceil(1_000_000);
        let fees = self.variants.as_ref().map_or(0, |variants| {
            (u128::from(variants.request)
                + u128::from(variants.search) * u128::from(usage.searches))
            .saturating_add(variants.units.cost(&usage.units))
        });
        NanoDollars(u64::try_from(tokens.saturating_add(fees)).unwrap_or(u64::MAX))
    }
}

impl From<TokenRates> for Price {
    fn from(rates: TokenRates) -> Self {
        Self { rates, variants: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BilledUnits;

    #[track_caller]
    fn check(usage: Usage, price: &Price, nano_dollars: u64) {
        assert_eq!(price.cost(&usage), NanoDollars(nano_dollars));
    }

    /// $3 and $15 for a million tokens.
    const SONNET: TokenRates = TokenRates {
        input: 3_000_000_000,
        output: 15_000_000_000,
        cache_read: Some(300_000_000),
        cache_write: Some(3_750_000_000),
        cache_write_1h: Some(6_000_000_000),
        reasoning: None,
        audio_input: None,
        audio_output: None,
        image_input: None,
        image_output: None,
    };

    /// Doubles above 1,000 tokens; flex costs half, and priority double, at any length.
    fn tiered() -> Price {
        let times = |n: u64, d: u64| TokenRates {
            input: 1000 * n / d,
            output: 2000 * n / d,
            ..TokenRates::default()
        };
        let card = |base, long| RateCard { base, above: vec![(1000, long)] };
        let variants = PriceVariants {
            above: vec![(1000, times(2, 1))],
            tiers: vec![
                (ServiceTier::Flex, card(times(1, 2), times(1, 1))),
                (ServiceTier::Priority, card(times(2, 1), times(4, 1))),
            ],
            request: 7,
            search: 100,
            units: UnitFees { image: 1000, ..UnitFees::NONE },
        };
        Price { rates: times(1, 1), variants: Some(Arc::new(variants)) }
    }

    #[test]
    fn each_class_has_its_rate() {
        let price = Price::from(SONNET);
        check(Usage { input: 1000, ..Usage::default() }, &price, 3_000_000);
        check(Usage { cache_read: 1000, ..Usage::default() }, &price, 300_000);
        check(Usage { cache_write: 1000, ..Usage::default() }, &price, 3_750_000);
        check(Usage { cache_write_1h: 1000, ..Usage::default() }, &price, 6_000_000);
        check(Usage { reasoning: 10, output: 10, ..Usage::default() }, &price, 300_000);
    }

    #[test]
    fn fraction_rounds_up_and_absurd_usage_saturates() {
        let small = Price::from(TokenRates { input: 1, ..SONNET });
        check(Usage { input: 1, ..Usage::default() }, &small, 1);
        let absurd = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
        check(absurd, &Price::from(SONNET), u64::MAX);
    }

    #[test]
    fn long_prompt_reprices_the_whole_request() {
        let usage = |input| Usage { input, output: 1000, ..Usage::default() };
        check(usage(1000), &tiered(), 1 + 2 + 7);
        check(usage(1001), &tiered(), 7 + 7);
    }

    #[test]
    fn served_tier_decides_the_rates() {
        let usage = |tier, input| Usage { input, tier, ..Usage::default() };
        check(usage(Some(ServiceTier::Flex), 1000), &tiered(), 1 + 7);
        check(usage(Some(ServiceTier::Priority), 1000), &tiered(), 2 + 7);
        check(usage(Some(ServiceTier::Priority), 2000), &tiered(), 8 + 7);
        check(usage(Some(ServiceTier::Batch), 1000), &tiered(), 1 + 7);
    }

    #[test]
    fn searches_and_requests_have_fees() {
        check(Usage { searches: 3, ..Usage::default() }, &tiered(), 307);
        let units = BilledUnits { images: 2, ..BilledUnits::NONE };
        check(Usage { units, ..Usage::default() }, &tiered(), 2007);
    }

    #[test]
    fn price_with_unit_fees_alone_is_not_free() {
        let fees = UnitFees { kilo_characters: 15, ..UnitFees::NONE };
        assert!(Price::default().with_unit_fees(UnitFees::NONE).is_free());
        let price = Price::default().with_unit_fees(fees);
        let units = BilledUnits { characters: 2000, ..BilledUnits::NONE };
        check(Usage { units, ..Usage::default() }, &price, 30);
        assert!(!price.is_free());
    }
}
