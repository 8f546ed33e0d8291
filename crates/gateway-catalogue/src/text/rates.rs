//! Rates as words: `i=2.5 o=15 >272000 i=5`.

use super::off_peak;
use crate::row::{OffPeakRates, PriceRow};
use gateway_core::{Date, Price, PriceVariants, RateCard, ServiceTier, TokenRates, UnitFees};
use std::{fmt::Write as _, sync::Arc};

/// A class of tokens: its word, and its rate.
type TokenClass = (&'static str, fn(&TokenRates) -> Option<u64>, fn(&mut TokenRates, u64));

const CLASSES: [TokenClass; 10] = [
    ("i", |it| Some(it.input), |it, rate| it.input = rate),
    ("o", |it| Some(it.output), |it, rate| it.output = rate),
    ("cr", |it| it.cache_read, |it, rate| it.cache_read = Some(rate)),
    ("cw", |it| it.cache_write, |it, rate| it.cache_write = Some(rate)),
    ("cl", |it| it.cache_write_1h, |it, rate| it.cache_write_1h = Some(rate)),
    ("rs", |it| it.reasoning, |it, rate| it.reasoning = Some(rate)),
    ("ai", |it| it.audio_input, |it, rate| it.audio_input = Some(rate)),
    ("ao", |it| it.audio_output, |it, rate| it.audio_output = Some(rate)),
    ("ii", |it| it.image_input, |it, rate| it.image_input = Some(rate)),
    ("io", |it| it.image_output, |it, rate| it.image_output = Some(rate)),
];

/// Writes a price, each word behind a space.
pub(super) fn write_price(row: &PriceRow, out: &mut String) {
    write_rate_words(&row.price, &row.fees, out);
    if let Some(off_peak) = &row.off_peak {
        off_peak::write(&off_peak.windows, out);
        write_rates(&off_peak.rates, Some(&row.price.rates), out);
    }
}

/// Writes a price that holds at any hour.
pub(super) fn write_rate_words(price: &Price, fees: &UnitFees, out: &mut String) {
    write_rates(&price.rates, None, out);
    let nothing = PriceVariants::default();
    let variants = price.variants.as_deref().unwrap_or(&nothing);
    write_above(&variants.above, &price.rates, out);
    for (tier, card) in &variants.tiers {
        let _ = write!(out, " {}", tier.as_str());
        write_rates(&card.base, Some(&price.rates), out);
        write_above(&card.above, &card.base, out);
    }
    for (name, fee) in [
        ("req", variants.request),
        ("search", variants.search),
        ("img", fees.image),
        ("sec", fees.second),
        ("kch", fees.kilo_characters),
    ] {
        if fee > 0 {
            let _ = write!(out, " {name}={}", decimal(fee));
        }
    }
}

fn write_above(above: &[(u64, TokenRates)], base: &TokenRates, out: &mut String) {
    for (threshold, rates) in above {
        let _ = write!(out, " >{threshold}");
        write_rates(rates, Some(base), out);
    }
}

/// Writes the rates that differ from those of `base`.
fn write_rates(rates: &TokenRates, base: Option<&TokenRates>, out: &mut String) {
    for (name, get, _) in CLASSES {
        if let Some(rate) = get(rates)
            && base.is_none_or(|base| get(base) != Some(rate))
        {
            let _ = write!(out, " {name}={}", decimal(rate));
        }
    }
}

/// The rates that the next word belongs to.
#[derive(Clone, Copy)]
struct WordPlace {
    tier: Option<usize>,
    is_above: bool,
}

/// A word of a price that has no meaning.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct UnknownWord(pub(super) String);

/// Reads the words of a price.
///
/// # Errors
///
/// If a word has no meaning.
pub(super) fn parse_price<'a>(
    from: Option<Date>,
    sources: String,
    mut words: impl Iterator<Item = &'a str>,
) -> Result<PriceRow, UnknownWord> {
    let mut begin_off_peak = None;
    let at_any_hour = words.by_ref().take_while(|word| {
        begin_off_peak = word.strip_prefix(off_peak::PREFIX);
        begin_off_peak.is_none()
    });
    let (price, fees) = parse_rate_words(at_any_hour)?;
    let off_peak = match begin_off_peak {
        Some(windows) => Some(parse_off_peak(windows, price.rates, words)?),
        None => None,
    };
    Ok(PriceRow { from, sources, price, fees, off_peak })
}

/// Reads the rates of some hours of the week, which are the last words of a price.
fn parse_off_peak<'a>(
    windows: &str,
    base: TokenRates,
    words: impl Iterator<Item = &'a str>,
) -> Result<OffPeakRates, UnknownWord> {
    let wrong = || UnknownWord(format!("{}{windows}", off_peak::PREFIX));
    let windows = off_peak::parse(windows).ok_or_else(wrong)?;
    let mut rates = base;
    for word in words {
        let class = word.split_once('=').and_then(|(name, rate)| {
            let (_, _, set) = CLASSES.iter().find(|(it, ..)| *it == name)?;
            Some((set, nano_dollars(rate)?))
        });
        let (set, rate) = class.ok_or_else(|| UnknownWord(word.to_owned()))?;
        set(&mut rates, rate);
    }
    Ok(OffPeakRates { windows, rates })
}

/// Reads the words of a price that holds at any hour.
fn parse_rate_words<'a>(
    words: impl Iterator<Item = &'a str>,
) -> Result<(Price, UnitFees), UnknownWord> {
    let mut card = RateCard::default();
    let mut variants = PriceVariants::default();
    let mut fees = UnitFees::default();
    let mut place = WordPlace { tier: None, is_above: false };
    for word in words {
        let understood = if let Some(threshold) = word.strip_prefix('>') {
            place.is_above = true;
            begin_above(&mut card, &mut variants, place.tier, threshold)
        } else if let Some((name, value)) = word.split_once('=') {
            nano_dollars(value).and_then(|rate| {
                set_rate(&mut card, &mut variants, place, name, rate)
                    .or_else(|| set_fee(&mut variants, &mut fees, name, rate))
            })
        } else {
            place.is_above = false;
            let tier = ServiceTier::ALL.into_iter().find(|tier| tier.as_str() == word);
            tier.map(|tier| {
                let base = card.base;
                variants.tiers.push((tier, RateCard { base, above: Vec::new() }));
                place.tier = Some(variants.tiers.len() - 1);
            })
        };
        understood.ok_or_else(|| UnknownWord(word.to_owned()))?;
    }
    variants.above = std::mem::take(&mut card.above);
    let variants = (variants != PriceVariants::default()).then(|| Arc::new(variants));
    Ok((Price { rates: card.base, variants }, fees))
}

fn begin_above(
    card: &mut RateCard,
    variants: &mut PriceVariants,
    tier: Option<usize>,
    threshold: &str,
) -> Option<()> {
    let card = match tier {
        None => card,
        Some(at) => &mut variants.tiers.get_mut(at)?.1,
    };
    card.above.push((threshold.parse().ok()?, card.base));
    Some(())
}

fn set_rate(
    card: &mut RateCard,
    variants: &mut PriceVariants,
    place: WordPlace,
    name: &str,
    rate: u64,
) -> Option<()> {
    let (_, _, set) = CLASSES.iter().find(|(it, ..)| *it == name)?;
    let card = match place.tier {
        None => card,
        Some(at) => &mut variants.tiers.get_mut(at)?.1,
    };
    let rates = if place.is_above { &mut card.above.last_mut()?.1 } else { &mut card.base };
    set(rates, rate);
    Some(())
}

fn set_fee(variants: &mut PriceVariants, fees: &mut UnitFees, name: &str, fee: u64) -> Option<()> {
    match name {
        "req" => variants.request = fee,
        "search" => variants.search = fee,
        "img" => fees.image = fee,
        "sec" => fees.second = fee,
        "kch" => fees.kilo_characters = fee,
        _ => return None,
    }
    Some(())
}

/// Reads dollars in decimal as billionths of a dollar, exactly. The whole part may be missing.
fn nano_dollars(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || fraction.len() > 9 {
        return None;
    }
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    whole.checked_mul(1_000_000_000)?.checked_add(fraction)
}

/// Billionths of a dollar as dollars in decimal, as short as can be.
pub(crate) fn decimal(nano: u64) -> String {
    const UNIT: u64 = 1_000_000_000;
    let (whole, rest) = (nano / UNIT, nano % UNIT);
    let mut text = if whole == 0 && rest > 0 { String::new() } else { whole.to_string() };
    if rest > 0 {
        let _ = write!(text, ".{rest:09}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_dollars_are_read_exactly() {
        for (text, expected) in [
            ("3", Some(3_000_000_000)),
            ("0.075", Some(75_000_000)),
            (".5", Some(500_000_000)),
            ("0.000000001", Some(1)),
            ("0.0000000001", None),
            ("", None),
            (".", None),
            ("-1", None),
            ("1e3", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(nano_dollars(text), expected, "{text}");
        }
    }

    #[test]
    fn amounts_are_written_as_they_are_read() {
        for nano in [0, 1, 62_500_000, 500_000_000, 1_000_000_000, 1_500_000_000, 12_000_000_001] {
            assert_eq!(nano_dollars(&decimal(nano)), Some(nano));
        }
        assert_eq!(decimal(62_500_000), ".0625");
        assert_eq!(decimal(0), "0");
    }

    #[test]
    fn tier_inherits_unnamed_rates() {
        let words = "i=4 o=20 cr=.4 >1000 i=8 flex i=2 >1000 o=30".split(' ');
        let (price, _) = parse_rate_words(words).unwrap();
        let variants = price.variants.unwrap();
        let (tier, card) = &variants.tiers[0];
        assert_eq!(
            (*tier, card.base.input, card.base.cache_read),
            (ServiceTier::Flex, 2_000_000_000, Some(400_000_000))
        );
        assert_eq!(card.above[0].1.input, 2_000_000_000);
        assert_eq!(variants.above[0].1.output, 20_000_000_000);
    }
}
