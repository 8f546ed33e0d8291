//! `LiteLLM`'s prices: names that end in thresholds and tiers.

use crate::import::{nano, number};
use gateway_core::{Price, PriceVariants, RateCard, ServiceTier, TokenRates, UnitFees};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The rates that a name is about: those of a tier and a length of prompts.
type RatePlace = (Option<ServiceTier>, Option<u64>);
/// A class of tokens.
type RateSetter = fn(&mut TokenRates, u64);

/// Classes of tokens by the beginnings of names; longer ones first.
const CLASSES: [(&str, RateSetter); 10] = [
    ("cache_creation_input_token_cost_above_12hr", |it, rate| it.cache_write_1h = Some(rate)),
    ("cache_creation_input_token_cost_above_1hr", |it, rate| it.cache_write_1h = Some(rate)),
    ("cache_creation_input_token_cost", |it, rate| it.cache_write = Some(rate)),
    ("cache_read_input_token_cost", |it, rate| it.cache_read = Some(rate)),
    ("output_cost_per_reasoning_token", |it, rate| it.reasoning = Some(rate)),
    ("input_cost_per_audio_token", |it, rate| it.audio_input = Some(rate)),
    ("output_cost_per_audio_token", |it, rate| it.audio_output = Some(rate)),
    ("input_cost_per_image_token", |it, rate| it.image_input = Some(rate)),
    ("output_cost_per_image_token", |it, rate| it.image_output = Some(rate)),
    ("input_cost_per_token", |it, rate| it.input = rate),
];

/// Names of the price of a second of sound or video; the first that is not nothing counts.
const SECONDS: [&str; 4] = [
    "output_cost_per_second",
    "output_cost_per_video_per_second",
    "input_cost_per_second",
    "cost_per_second",
];

/// Reads the prices of a model; nothing if it has none.
pub(super) fn read(model: &Value) -> Option<(Price, UnitFees)> {
    let members = model.as_object()?;
    let mut named: BTreeMap<RatePlace, Vec<(RateSetter, u64)>> = BTreeMap::new();
    for (name, value) in members {
        if let Some((set, place)) = class(name)
            && let Some(rate) = number(value).and_then(|dollars| nano(dollars * 1e6))
        {
            named.entry(place).or_default().push((set, rate));
        }
    }
    let amount = |name: &str| number(model.get(name)?).and_then(nano);
    let fees = UnitFees {
        image: amount("output_cost_per_image")
            .or_else(|| amount("input_cost_per_image"))
            .unwrap_or(0),
        second: SECONDS.into_iter().filter_map(amount).find(|it| *it > 0).unwrap_or(0),
        kilo_characters: number_times(model, "input_cost_per_character", 1000.0).unwrap_or(0),
    };
    let request = amount("input_cost_per_request").or_else(|| amount("input_cost_per_query"));
    let search = model.get("search_context_cost_per_query");
    let search =
        search.and_then(|it| it.get("search_context_size_medium")).and_then(number).and_then(nano);
    add_tiered(model, &mut named);
    let has_base = named.contains_key(&(None, None));
    if !has_base && fees == UnitFees::default() && request.is_none() {
        return None;
    }
    let mut variants = tables(&named);
    variants.1.request = request.unwrap_or(0);
    variants.1.search = search.unwrap_or(0);
    add_fast(model, &mut variants);
    let (rates, variants) = variants;
    let variants = (variants != PriceVariants::default()).then(|| Arc::new(variants));
    Some((Price { rates, variants }, fees))
}

/// Returns `base` with the standard rates that the members of `block` name.
pub(super) fn with_standard_rates(block: &Value, base: TokenRates) -> TokenRates {
    let mut rates = base;
    for (name, value) in block.as_object().into_iter().flatten() {
        if let Some((set, (None, None))) = class(name)
            && let Some(rate) = number(value).and_then(|dollars| nano(dollars * 1e6))
        {
            set(&mut rates, rate);
        }
    }
    rates
}

/// Adds the rates of `tiered_pricing`: a list of ranges of the prompt's length, each with its rates.
fn add_tiered(model: &Value, named: &mut BTreeMap<RatePlace, Vec<(RateSetter, u64)>>) {
    for tier in model.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        let start = tier.get("range").and_then(|range| number(range.get(0)?));
        let Some(start) = start.filter(|start| (0.0..1e12).contains(start)) else { continue };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let above = (start > 0.0).then_some(start as u64);
        for (name, value) in tier.as_object().into_iter().flatten() {
            if let Some((set, (None, None))) = class(name)
                && let Some(rate) = number(value).and_then(|dollars| nano(dollars * 1e6))
            {
                named.entry((None, above)).or_default().push((set, rate));
            }
        }
    }
}

fn number_times(model: &Value, name: &str, times: f64) -> Option<u64> {
    nano(number(model.get(name)?)? * times)
}

/// Takes a name apart.
fn class(name: &str) -> Option<(RateSetter, RatePlace)> {
    let output: (&str, RateSetter) = ("output_cost_per_token", |it, rate| it.output = rate);
    let known = CLASSES.into_iter().chain([output]);
    let (set, mut rest) =
        known.into_iter().find_map(|(start, set)| Some((set, name.strip_prefix(start)?)))?;
    let (mut tier, mut above) = (None, None);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("_above_") {
            let (number, after) = after.split_once("k_tokens")?;
            above = Some(number.parse::<u64>().ok()? * 1000);
            rest = after;
            continue;
        }
        let (word, found) = [
            ("_batches", ServiceTier::Batch),
            ("_flex", ServiceTier::Flex),
            ("_priority", ServiceTier::Priority),
            ("_ultrafast", ServiceTier::Ultrafast),
        ]
        .into_iter()
        .find(|(word, _)| rest.starts_with(word))?;
        tier = Some(found);
        rest = rest.get(word.len()..)?;
    }
    Some((set, (tier, above)))
}

/// Rates by place; what a place does not name is as in the place it is a variant of.
fn tables(named: &BTreeMap<RatePlace, Vec<(RateSetter, u64)>>) -> (TokenRates, PriceVariants) {
    let filled = |place: RatePlace, base: TokenRates| {
        let mut rates = base;
        for (set, rate) in named.get(&place).into_iter().flatten() {
            set(&mut rates, *rate);
        }
        rates
    };
    let mut base = filled((None, None), TokenRates::default());
    if base.output == 0 {
        // What writes images only: its tokens are those of images.
        base.output = base.image_output.unwrap_or(0);
    }
    let lengths = |tier: Option<ServiceTier>| {
        let mut lengths: Vec<u64> = named
            .keys()
            .filter_map(|(of, above)| if *of == tier || of.is_none() { *above } else { None })
            .collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    };
    let above = lengths(None);
    // What is not named of long prompts is as for short ones, and nothing is cheaper: of one row the
    // set has audio at the price of text.
    let long_prompts = |length| (length, dearer(&base, &filled((None, Some(length)), base)));
    let mut variants = PriceVariants {
        above: above.into_iter().map(long_prompts).collect(),
        ..PriceVariants::default()
    };
    for tier in ServiceTier::ALL {
        if !named.keys().any(|(of, _)| *of == Some(tier)) {
            continue;
        }
        let of_tier = filled((Some(tier), None), base);
        let above = lengths(Some(tier)).into_iter().map(|length| {
            let standard = variants.above.iter().find(|(it, _)| *it == length).map(|(_, it)| *it);
            let floor = standard.map_or(of_tier, |standard| dearer(&of_tier, &standard));
            let rates = if named.contains_key(&(Some(tier), Some(length))) {
                dearer(&of_tier, &filled((Some(tier), Some(length)), of_tier))
            } else {
                floor
            };
            (length, rates)
        });
        let card = RateCard { base: of_tier, above: above.collect() };
        variants.tiers.push((tier, card));
    }
    (base, variants)
}

/// The dearer of two rates in each class; an absent one costs what its plain sibling costs.
fn dearer(one: &TokenRates, other: &TokenRates) -> TokenRates {
    let class = |get: fn(&TokenRates) -> Option<u64>, plain: fn(&TokenRates) -> u64| {
        let cost = |rates: &TokenRates| get(rates).unwrap_or_else(|| plain(rates));
        (get(one).is_some() || get(other).is_some()).then(|| cost(one).max(cost(other)))
    };
    let (input, output) = (|it: &TokenRates| it.input, |it: &TokenRates| it.output);
    TokenRates {
        input: one.input.max(other.input),
        output: one.output.max(other.output),
        cache_read: class(|it| it.cache_read, input),
        cache_write: class(|it| it.cache_write, input),
        cache_write_1h: class(|it| it.cache_write_1h, |it| it.cache_write.unwrap_or(it.input)),
        reasoning: class(|it| it.reasoning, output),
        audio_input: class(|it| it.audio_input, input),
        audio_output: class(|it| it.audio_output, output),
        image_input: class(|it| it.image_input, input),
        image_output: class(|it| it.image_output, output),
    }
}

/// A factor for fast output becomes a tier.
fn add_fast(model: &Value, (base, variants): &mut (TokenRates, PriceVariants)) {
    let factor =
        model.get("provider_specific_entry").and_then(|it| it.get("fast")).and_then(number);
    let Some(factor) = factor else { return };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "prices are small"
    )]
    let times = |rate: u64| (rate as f64 * factor).round() as u64;
    let scaled = |it: &TokenRates| TokenRates {
        input: times(it.input),
        output: times(it.output),
        cache_read: it.cache_read.map(times),
        cache_write: it.cache_write.map(times),
        cache_write_1h: it.cache_write_1h.map(times),
        reasoning: it.reasoning.map(times),
        audio_input: it.audio_input.map(times),
        audio_output: it.audio_output.map(times),
        image_input: it.image_input.map(times),
        image_output: it.image_output.map(times),
    };
    let above = variants.above.iter().map(|(length, rates)| (*length, scaled(rates))).collect();
    variants.tiers.push((ServiceTier::Fast, RateCard { base: scaled(base), above }));
}
