//! The prices of the catalogue: golden costs, sources, and what no price may do.

use gateway_catalogue::TextCatalogue;
use gateway_core::{Date, ModelCatalogue as _, ModelKind, ServiceTier, Usage};

/// 1,000 tokens read, 300 from the cache, 200 and 50 written to it for a short and a long time, 400
/// written, and 100 of thinking.
const USAGE: Usage = Usage {
    input: 1000,
    cache_read: 300,
    cache_write: 200,
    cache_write_1h: 50,
    output: 400,
    reasoning: 100,
    ..Usage::NONE
};

/// Nano-dollars for [`USAGE`], computed from the data set itself and not by the code under test.
const GOLDEN: &[(&str, &str, u64)] = &[
    ("openai", "gpt-4o", 8_500_000),
    ("openai", "gpt-4o-mini", 510_000),
    ("openai", "gpt-4.1", 6_650_000),
    ("openai", "gpt-4.1-mini", 1_330_000),
    ("openai", "gpt-4.1-nano", 332_500),
    ("openai", "o1", 51_000_000),
    ("openai", "o3", 6_650_000),
    ("openai", "o3-mini", 3_740_000),
    ("openai", "o4-mini", 3_657_500),
    ("openai", "gpt-5", 6_600_000),
    ("openai", "gpt-5-mini", 1_320_000),
    ("openai", "gpt-5-nano", 264_000),
    ("openai", "gpt-5-pro", 83_250_000),
    ("openai", "gpt-5.1", 6_600_000),
    ("openai", "gpt-5.2", 9_240_000),
    ("openai", "gpt-5.2-pro", 116_550_000),
    ("openai", "gpt-5.4", 10_700_000),
    ("openai", "gpt-5.4-mini", 3_210_000),
    ("openai", "gpt-5.4-nano", 881_000),
    ("openai", "gpt-5.4-pro", 136_500_000),
    ("openai", "gpt-5.5", 21_400_000),
    ("openai", "gpt-5.5-pro", 136_500_000),
    ("openai", "gpt-5.6", 15_620_000),
    ("openai", "gpt-5.6-sol", 15_620_000),
    ("openai", "gpt-5.6-terra", 8_810_000),
    ("openai", "gpt-5.6-luna", 881_000),
    ("openai", "gpt-6-astra", 39_050_000),
    ("openai", "gpt-6-sol", 7_810_000),
    ("openai", "gpt-6-luna", 390_500),
    ("openai", "gpt-6.1-sol", 7_780_000),
    ("openai", "gpt-6.1-terra", 3_890_000),
    ("openai", "gpt-3.5-turbo", 1_525_000),
    ("anthropic", "claude-haiku-4-5", 3_880_000),
    ("anthropic", "claude-sonnet-4-5", 11_640_000),
    ("anthropic", "claude-opus-4-5", 19_400_000),
    ("anthropic", "claude-opus-4-6", 19_400_000),
    ("anthropic", "claude-sonnet-4-6", 11_640_000),
    ("anthropic", "claude-opus-4-7", 19_400_000),
    ("anthropic", "claude-opus-4-8", 19_400_000),
    ("anthropic", "claude-sonnet-5", 7_760_000),
    ("anthropic", "claude-opus-5", 19_400_000),
    ("anthropic", "claude-fable-5", 38_800_000),
    ("anthropic", "claude-fable-5-1", 38_575_000),
    ("anthropic", "claude-mythos-5", 38_800_000),
    ("anthropic", "claude-opus-5-5", 15_460_000),
    ("anthropic", "claude-sonnet-5-5", 7_730_000),
    ("anthropic", "claude-haiku-5-5", 388_000),
    ("gemini", "gemini-2.5-flash", 1_634_000),
    ("gemini", "gemini-2.5-pro", 6_600_000),
    ("gemini", "gemini-2.5-flash-lite", 328_000),
    ("gemini", "gemini-3-flash-preview", 2_140_000),
    ("gemini", "gemini-3.1-pro-preview", 8_560_000),
    ("gemini", "gemini-3.5-flash", 6_420_000),
    ("gemini", "gemini-3.6-flash", 2_835_000),
    ("gemini", "gemini-3.8-flash", 2_835_000),
    ("gemini", "gemini-4-argon", 7_530_000),
    ("deepseek", "deepseek-chat", 568_400),
    ("deepseek", "deepseek-v4-flash", 901_800),
    ("deepseek", "deepseek-v4-pro", 3_313_200),
    ("xai", "grok-4.3", 2_872_500),
    ("xai", "grok-4.5", 5_590_000),
    ("xai", "grok-4.7", 5_650_000),
    ("mistral", "mistral-large-latest", 1_390_000),
    ("mistral", "mistral-medium-latest", 5_670_000),
];

/// Tokens of every class, a different number of each, and three searches.
const EVERY_CLASS: Usage = Usage {
    input: 10,
    cache_read: 5,
    cache_write: 6,
    cache_write_1h: 7,
    audio_input: 70,
    image_input: 30,
    output: 20,
    reasoning: 8,
    audio_output: 40,
    image_output: 50,
    searches: 3,
    tier: None,
    stated_total: None,
    is_odd: false,
};

/// Nano-dollars for [`EVERY_CLASS`], computed from the figures of the data set by a calculation of its
/// own.
const GOLDEN_OF_EVERY_CLASS: &[(&str, &str, u64)] = &[
    ("openai", "gpt-4o", 1_493_750),
    ("openai", "gpt-4o-mini", 75_089_625),
    ("openai", "gpt-4.1", 76_192_500),
    ("openai", "gpt-4.1-mini", 75_238_500),
    ("openai", "gpt-4.1-nano", 59_625),
    ("openai", "o1", 8_962_500),
    ("openai", "o3", 31_192_500),
    ("openai", "o3-mini", 657_250),
    ("openai", "o4-mini", 30_655_875),
    ("openai", "gpt-5", 31_334_375),
    ("openai", "gpt-5-mini", 30_266_875),
    ("openai", "gpt-5-nano", 30_053_375),
    ("openai", "gpt-5-pro", 46_080_000),
    ("openai", "gpt-5.1", 31_334_375),
    ("openai", "gpt-5.2", 31_868_125),
    ("openai", "gpt-5.2-pro", 52_512_000),
    ("openai", "gpt-5.4", 2_078_750),
    ("openai", "gpt-5.4-mini", 30_623_625),
    ("openai", "gpt-5.4-nano", 30_172_200),
    ("openai", "gpt-5.4-pro", 55_080_000),
    ("openai", "gpt-5.5", 34_157_500),
    ("openai", "gpt-5.5-pro", 55_080_000),
    ("openai", "gpt-5.6", 32_902_000),
    ("openai", "gpt-5.6-sol", 32_902_000),
    ("openai", "gpt-5.6-terra", 31_687_000),
    ("openai", "gpt-5.6-luna", 30_168_700),
    ("openai", "gpt-6-astra", 37_255_000),
    ("openai", "gpt-6-sol", 31_451_000),
    ("openai", "gpt-6-luna", 30_072_550),
    ("openai", "gpt-6.1-sol", 31_450_500),
    ("openai", "gpt-6.1-terra", 30_725_250),
    ("openai", "gpt-3.5-turbo", 241_000),
    ("anthropic", "claude-haiku-4-5", 722_000),
    ("anthropic", "claude-sonnet-4-5", 32_166_000),
    ("anthropic", "claude-opus-4-5", 33_610_000),
    ("anthropic", "claude-opus-4-6", 33_610_000),
    ("anthropic", "claude-sonnet-4-6", 32_166_000),
    ("anthropic", "claude-opus-4-7", 33_610_000),
    ("anthropic", "claude-opus-4-8", 33_610_000),
    ("anthropic", "claude-sonnet-5", 31_444_000),
    ("anthropic", "claude-opus-5", 33_610_000),
    ("anthropic", "claude-fable-5", 37_220_000),
    ("anthropic", "claude-fable-5-1", 37_216_250),
    ("anthropic", "claude-mythos-5", 37_220_000),
    ("anthropic", "claude-opus-5-5", 32_887_000),
    ("anthropic", "claude-sonnet-5-5", 31_443_500),
    ("anthropic", "claude-haiku-5-5", 30_072_200),
    ("gemini", "gemini-2.5-flash", 105_381_050),
    ("gemini", "gemini-2.5-pro", 106_334_375),
    ("gemini", "gemini-2.5-flash-lite", 105_073_550),
    ("gemini", "gemini-3-flash-preview", 42_450_750),
    ("gemini", "gemini-3.1-pro-preview", 43_663_000),
    ("gemini", "gemini-3.5-flash", 43_247_250),
    ("gemini", "gemini-3.6-flash", 42_535_125),
    ("gemini", "gemini-3.8-flash", 42_535_125),
    ("gemini", "gemini-4-argon", 43_426_500),
    ("deepseek", "deepseek-chat", 84_140),
    ("deepseek", "deepseek-v4-flash", 174_630),
    ("deepseek", "deepseek-v4-pro", 612_700),
    ("xai", "grok-4.3", 449_750),
    ("xai", "grok-4.5", 955_500),
    ("xai", "grok-4.7", 956_500),
    ("mistral", "mistral-large-latest", 238_750),
    ("mistral", "mistral-medium-latest", 1_070_250),
];

const TODAY: Date = Date { year: 2026, month: 11, day: 30 };

#[test]
fn cost_of_known_models_is_exact() {
    let catalogue = TextCatalogue::built_in();
    assert!(GOLDEN.len() >= 60);
    for (provider, name, expected) in GOLDEN {
        let card = catalogue.card(provider, name).expect(name);
        let period = card.prices.at(TODAY).expect(name);
        assert_eq!(period.price.cost(&USAGE).0, *expected, "{provider}/{name}");
    }
}

#[test]
fn cost_of_every_class_is_exact() {
    let catalogue = TextCatalogue::built_in();
    assert!(GOLDEN_OF_EVERY_CLASS.len() >= 60);
    for (provider, name, expected) in GOLDEN_OF_EVERY_CLASS {
        let card = catalogue.card(provider, name).expect(name);
        let period = card.prices.at(TODAY).expect(name);
        assert_eq!(period.price.cost(&EVERY_CLASS).0, *expected, "{provider}/{name}");
    }
}

#[test]
fn every_price_names_its_sources() {
    for row in TextCatalogue::built_in().rows() {
        for price in &row.prices {
            let is_known = |letter: char| "lgmo".contains(letter);
            let sources = &price.sources;
            assert!(!sources.is_empty() && sources.chars().all(is_known), "{}: {sources}", row.id);
        }
    }
}

#[test]
fn chat_model_that_writes_for_nothing_is_free_by_decision() {
    for row in TextCatalogue::built_in().rows().filter(|row| row.kind == ModelKind::Chat) {
        for price in row.prices.iter().filter(|it| it.price.rates.output == 0) {
            let is_decided = price.sources == "o" || row.id.contains("free");
            assert!(is_decided, "{}/{}", row.provider, row.id);
        }
    }
}

/// Adds tokens of one class to a usage.
type Add = fn(&mut Usage, u64);

#[test]
fn cost_never_falls_when_a_class_grows() {
    const CLASSES: [Add; 11] = [
        |it, more| it.image_input += more,
        |it, more| it.audio_output += more,
        |it, more| it.image_output += more,
        |it, more| it.input += more,
        |it, more| it.cache_read += more,
        |it, more| it.cache_write += more,
        |it, more| it.cache_write_1h += more,
        |it, more| it.audio_input += more,
        |it, more| it.output += more,
        |it, more| it.reasoning += more,
        |it, more| it.searches += more,
    ];
    let tiers = ServiceTier::ALL.into_iter().map(Some).chain([None]);
    let tiers: Vec<_> = tiers.collect();
    for row in TextCatalogue::built_in().rows() {
        for price in row.prices.iter().map(|it| &it.price) {
            for tier in &tiers {
                for add in CLASSES {
                    let mut usage = Usage { tier: *tier, ..USAGE };
                    let mut last = price.cost(&usage);
                    for more in [1, 1000, 99_000, 101_000, 72_000, 1_000_000] {
                        add(&mut usage, more);
                        let cost = price.cost(&usage);
                        assert!(cost >= last, "{}/{} {tier:?} {usage:?}", row.provider, row.id);
                        last = cost;
                    }
                }
            }
        }
    }
}
