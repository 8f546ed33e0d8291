//! The prices of the catalogue: golden costs, sources, and what no price may do.

use gateway_catalogue::TextCatalogue;
use gateway_core::{BilledUnits, Date, ModelCatalogue as _, ModelKind, ServiceTier, Usage};

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
    units: BilledUnits { images: 0, audio_millis: 0, characters: 0 },
    tier: None,
    stated_total: None,
    is_odd: false,
};

/// A prompt beyond every threshold.
const LONG: Usage = Usage {
    input: 300_000,
    cache_read: 10_000,
    cache_write: 0,
    cache_write_1h: 0,
    audio_input: 0,
    image_input: 0,
    output: 1000,
    reasoning: 0,
    audio_output: 0,
    image_output: 0,
    searches: 0,
    units: BilledUnits { images: 0, audio_millis: 0, characters: 0 },
    tier: None,
    stated_total: None,
    is_odd: false,
};

/// What the usages of each column cost, in nano-dollars, calculated from the figures of the data sets by
/// a calculation of its own; `-` where the data sets have no price for the tier.
const COSTS: &str = include_str!("costs.txt");

/// The usages of the columns, in order.
fn columns() -> [Usage; 6] {
    let tier = |tier| Usage { tier: Some(tier), ..USAGE };
    [
        USAGE,
        EVERY_CLASS,
        LONG,
        tier(ServiceTier::Batch),
        tier(ServiceTier::Flex),
        tier(ServiceTier::Priority),
    ]
}

const TODAY: Date = Date { year: 2026, month: 11, day: 30 };

#[test]
fn cost_of_known_models_is_exact_in_every_class() {
    let catalogue = TextCatalogue::built_in();
    let rows = COSTS.lines().filter(|line| !line.starts_with('#'));
    let mut models = 0;
    for row in rows {
        let mut words = row.split_whitespace();
        let name = words.next().unwrap();
        let (provider, id) = name.split_once('/').unwrap();
        let card = catalogue.card(provider, id).expect(name);
        let period = card.prices.at(TODAY).expect(name);
        for (usage, expected) in columns().iter().zip(words) {
            let is_priced = expected != "-";
            let cost = period.price.cost(usage).0;
            assert!(!is_priced || cost.to_string() == expected, "{name} {usage:?}: {cost}");
        }
        models += 1;
    }
    assert!(models >= 60, "{models}");
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
