//! The table of genai-prices: prices over time, and which names a model answers to.

mod hours;

use super::{is_plain, nano, number};
use crate::{
    error::CatalogueError,
    row::{ModelRow, PriceRow},
};
use gateway_core::{Date, Price, PriceVariants, RateCard, ServiceTier, TokenRates, UnitFees};
use serde_json::Value;
use std::sync::Arc;

const PROVIDERS: [(&str, &str); 14] = [
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("google", "gemini"),
    ("deepseek", "deepseek"),
    ("mistral", "mistral"),
    ("x-ai", "xai"),
    ("groq", "groq"),
    ("perplexity", "perplexity"),
    ("together", "together"),
    ("fireworks", "fireworks"),
    ("cerebras", "cerebras"),
    ("openrouter", "openrouter"),
    ("cohere", "cohere"),
    ("voyageai", "voyage"),
];

/// A model, and the names it answers to.
#[derive(Clone, Debug)]
pub struct KnownModel {
    /// Its row: without abilities, which this data set does not know.
    pub row: ModelRow,
    clause: Value,
}

/// The models of the data set.
#[derive(Clone, Debug, Default)]
pub struct KnownModels(Vec<KnownModel>);

/// Reads the whole table.
pub(super) fn read(value: &Value) -> Result<KnownModels, CatalogueError> {
    let Some(providers) = value.as_array() else {
        return Err(CatalogueError::Format("expected a list of providers".to_owned()));
    };
    let mut known = Vec::new();
    for provider in providers {
        let name = provider.get("id").and_then(Value::as_str).unwrap_or_default();
        let Some((_, ours)) = PROVIDERS.into_iter().find(|(it, _)| *it == name) else { continue };
        let models = provider.get("models").and_then(Value::as_array);
        known.extend(models.into_iter().flatten().filter_map(|model| model_of(ours, model)));
    }
    Ok(KnownModels(known))
}

impl KnownModels {
    /// Returns the model that answers to `id` at `provider`: by its own name first.
    pub fn find(&self, provider: &str, id: &str) -> Option<&KnownModel> {
        let mut of_provider = self.0.iter().filter(|known| known.row.provider == provider);
        let exact = of_provider.clone().find(|known| known.row.id.eq_ignore_ascii_case(id));
        exact.or_else(|| of_provider.find(|known| matches(&known.clause, &id.to_lowercase())))
    }

    /// Returns the models in the order of the data set.
    pub fn iter(&self) -> impl Iterator<Item = &KnownModel> {
        self.0.iter()
    }

    /// Returns the rows of the models.
    pub fn into_rows(self) -> Vec<ModelRow> {
        self.0.into_iter().map(|known| known.row).collect()
    }
}

fn model_of(provider: &str, model: &Value) -> Option<KnownModel> {
    let id = model.get("id")?.as_str().filter(|id| is_plain(id))?;
    // The set has one Google; Claude is served by Vertex AI, and not by the Gemini API.
    let is_vertex = provider == "gemini" && id.starts_with("claude");
    let mut row = ModelRow::new(if is_vertex { "vertex" } else { provider }, id);
    row.name = model.get("name").and_then(Value::as_str).map(str::to_owned);
    row.context = model.get("context_window").and_then(number).and_then(|it| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        (1.0..1e12).contains(&it).then_some(it as u64)
    });
    row.prices = periods(model);
    let clause = model.get("match").cloned().unwrap_or_default();
    (!row.prices.is_empty()).then_some(KnownModel { row, clause })
}

/// The prices in force from each day on; the last of them with those of some hours of the day.
fn periods(model: &Value) -> Vec<PriceRow> {
    let prices = model.get("prices");
    let entries: Vec<(Option<Date>, &Value)> = match prices {
        Some(Value::Array(list)) => list.iter().filter_map(conditional).collect(),
        Some(single) => vec![(None, single)],
        None => Vec::new(),
    };
    let variants = model.get("price_variants").and_then(Value::as_array);
    let rows = entries.into_iter().filter_map(|(from, prices)| {
        let mut price = price(prices)?;
        for variant in variants.into_iter().flatten() {
            add_variant(&mut price, variant, from);
        }
        Some(PriceRow {
            from,
            sources: "g".to_owned(),
            price,
            fees: UnitFees::default(),
            off_peak: None,
        })
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| row.from);
    if let (Some(last), Some(Value::Array(entries))) = (rows.last_mut(), prices) {
        hours::add(last, entries);
    }
    rows
}

/// Prices, and the day from which they hold; nothing for those of a time of the day.
fn conditional(entry: &Value) -> Option<(Option<Date>, &Value)> {
    let prices = entry.get("prices")?;
    match entry.get("constraint") {
        None | Some(Value::Null) => Some((None, prices)),
        Some(constraint) => {
            let day = constraint.get("start_date").and_then(Value::as_str).and_then(Date::parse)?;
            Some((Some(day), prices))
        }
    }
}

fn price(prices: &Value) -> Option<Price> {
    let (base, above) = rates(prices)?;
    let search =
        prices.get("web_searches_kcount").and_then(number).and_then(|it| nano(it / 1000.0));
    let request = prices.get("requests_kcount").and_then(number).and_then(|it| nano(it / 1000.0));
    let variants = PriceVariants {
        above,
        tiers: Vec::new(),
        request: request.unwrap_or(0),
        search: search.unwrap_or(0),
        units: UnitFees::NONE,
    };
    let variants = (variants != PriceVariants::default()).then(|| Arc::new(variants));
    Some(Price { rates: base, variants })
}

/// A rate, and those above thresholds.
fn rate(value: &Value) -> Option<(u64, Vec<(u64, u64)>)> {
    if let Some(rate) = number(value) {
        return Some((nano(rate)?, Vec::new()));
    }
    let base = value.get("base").and_then(number).and_then(nano)?;
    let mut above = Vec::new();
    for tier in value.get("tiers").and_then(Value::as_array).into_iter().flatten() {
        let start = tier.get("start").and_then(number)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let start = (0.0..1e12).contains(&start).then_some(start as u64)?;
        above.push((start, nano(tier.get("price").and_then(number)?)?));
    }
    Some((base, above))
}

/// Sets the rate of a class.
type TierRateSetter = fn(&mut TokenRates, u64);

fn rates(prices: &Value) -> Option<(TokenRates, Vec<(u64, TokenRates)>)> {
    const CLASSES: [(&str, TierRateSetter); 10] = [
        ("input_mtok", |it, rate| it.input = rate),
        ("output_mtok", |it, rate| it.output = rate),
        ("cache_read_mtok", |it, rate| it.cache_read = Some(rate)),
        ("cache_write_mtok", |it, rate| it.cache_write = Some(rate)),
        ("cache_write_1h_mtok", |it, rate| it.cache_write_1h = Some(rate)),
        ("output_reasoning_mtok", |it, rate| it.reasoning = Some(rate)),
        ("input_audio_mtok", |it, rate| it.audio_input = Some(rate)),
        ("output_audio_mtok", |it, rate| it.audio_output = Some(rate)),
        ("input_image_mtok", |it, rate| it.image_input = Some(rate)),
        ("output_image_mtok", |it, rate| it.image_output = Some(rate)),
    ];
    let (mut base, mut steps) = (TokenRates::default(), Vec::new());
    let mut is_any = false;
    for (name, set) in CLASSES {
        let Some((of_base, above)) = prices.get(name).and_then(rate) else { continue };
        is_any = true;
        set(&mut base, of_base);
        steps.extend(above.into_iter().map(|(threshold, rate)| (threshold, set, rate)));
    }
    let mut thresholds: Vec<u64> = steps.iter().map(|(threshold, ..)| *threshold).collect();
    thresholds.sort_unstable();
    thresholds.dedup();
    let above = thresholds.into_iter().map(|threshold| {
        let mut rates = base;
        for (_, set, rate) in steps.iter().filter(|(it, ..)| *it <= threshold) {
            set(&mut rates, *rate);
        }
        (threshold, rates)
    });
    let above = above.collect();
    is_any.then_some((base, above))
}

/// Adds the tier of a variant that held when the price began, or began with it.
fn add_variant(price: &mut Price, variant: &Value, from: Option<Date>) {
    let tier = variant.get("when").and_then(|when| {
        if when.get("processing").and_then(Value::as_str) == Some("batch") {
            return Some(ServiceTier::Batch);
        }
        if when.get("speed").and_then(Value::as_str) == Some("fast") {
            return Some(ServiceTier::Fast);
        }
        ServiceTier::from_answer(when.get("service_tier")?.as_str()?)
    });
    let start = variant
        .get("constraint")
        .and_then(|it| it.get("start_date")?.as_str())
        .and_then(Date::parse);
    let held = start.is_none() || from.is_some() && start <= from;
    let (Some(tier), Some((base, above)), true) =
        (tier, variant.get("prices").and_then(rates), held)
    else {
        return;
    };
    let variants = Arc::make_mut(price.variants.get_or_insert_default());
    variants.tiers.retain(|(it, _)| *it != tier);
    variants.tiers.push((tier, RateCard { base, above }));
    variants.tiers.sort_by_key(|(tier, _)| *tier);
}

/// Whether a name fits a clause, written in Python or in JSON.
fn matches(clause: &Value, id: &str) -> bool {
    let Some(members) = clause.as_object() else { return false };
    members.iter().any(|(name, value)| {
        let text = value.as_str().map(str::to_lowercase);
        let of_text = |fits: fn(&str, &str) -> bool| text.as_deref().is_some_and(|it| fits(id, it));
        match name.as_str() {
            "equals" => of_text(|id, text| id == text),
            "starts_with" => of_text(|id, text| id.starts_with(text)),
            "ends_with" => of_text(|id, text| id.ends_with(text)),
            "contains" => of_text(|id, text| id.contains(text)),
            "or_" | "or" => value.as_array().into_iter().flatten().any(|it| matches(it, id)),
            "and_" | "and" => value.as_array().into_iter().flatten().all(|it| matches(it, id)),
            "regex" => of_text(matches_dated),
            _ => false,
        }
    })
}

/// The regular expressions of the data set name a model with a date, or with something after it:
/// `^name-\d{8}$`, `^name-\d`. Others are not understood, and match nothing.
fn matches_dated(id: &str, regex: &str) -> bool {
    let Some(body) = regex.strip_prefix('^') else { return false };
    let Some((name, pattern)) = body.split_once("\\d") else { return false };
    let name = name.replace('\\', "");
    let is_plain =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/@".contains(&byte));
    let Some(rest) = id.strip_prefix(&name).filter(|_| is_plain) else { return false };
    match pattern {
        "{8}$" => rest.len() == 8 && rest.bytes().all(|byte| byte.is_ascii_digit()),
        "{4}-\\d{2}-\\d{2}$" => Date::parse(rest).is_some(),
        "" => rest.starts_with(|c: char| c.is_ascii_digit()),
        _ => false,
    }
}
