//! The table of models.dev: release dates, windows, modalities, prices for a million tokens.

use super::{is_plain, nano, number};
use crate::{
    error::CatalogueError,
    row::{MODALITIES, ModelAbility, ModelRow, PriceRow},
};
use gateway_core::{Date, Price, PriceVariants, TokenRates, UnitFees};
use serde_json::Value;
use std::sync::Arc;

const PROVIDERS: [(&str, &str); 16] = [
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("google", "gemini"),
    ("deepseek", "deepseek"),
    ("mistral", "mistral"),
    ("xai", "xai"),
    ("groq", "groq"),
    ("perplexity", "perplexity"),
    ("togetherai", "together"),
    ("fireworks-ai", "fireworks"),
    ("cerebras", "cerebras"),
    ("openrouter", "openrouter"),
    ("amazon-bedrock", "bedrock"),
    ("azure", "azure"),
    ("google-vertex", "vertex"),
    ("cohere", "cohere"),
];

/// Reads the whole table.
pub(super) fn rows(value: &Value) -> Result<Vec<ModelRow>, CatalogueError> {
    let Some(providers) = value.as_object() else {
        return Err(CatalogueError::Format("expected an object of providers".to_owned()));
    };
    let mut rows = Vec::new();
    for (name, provider) in providers {
        let Some((_, ours)) = PROVIDERS.into_iter().find(|(it, _)| it == name) else { continue };
        let models = provider.get("models").and_then(Value::as_object);
        rows.extend(models.into_iter().flatten().filter_map(|(id, model)| row(ours, id, model)));
    }
    Ok(rows)
}

fn row(provider: &str, id: &str, model: &Value) -> Option<ModelRow> {
    if !is_plain(id) {
        return None;
    }
    let mut row = ModelRow::new(provider, id);
    let text = |name: &str| model.get(name).and_then(Value::as_str);
    row.name = text("name").map(str::to_owned);
    row.released = text("release_date").and_then(Date::parse);
    let limit = |name: &str| model.get("limit")?.get(name)?.as_u64().filter(|it| *it > 0);
    row.context = limit("context");
    row.max_output = limit("output");
    for (name, flag) in [
        ("tool_call", ModelAbility::Tools),
        ("reasoning", ModelAbility::Reasoning),
        ("structured_output", ModelAbility::Schema),
        ("temperature", ModelAbility::Sampling),
    ] {
        if let Some(has) = model.get(name).and_then(Value::as_bool) {
            row.set(flag, has);
        }
    }
    let modalities = |side: &str| {
        let words = model.get("modalities").and_then(|it| it.get(side)).and_then(Value::as_array);
        let words: Vec<_> = words.into_iter().flatten().filter_map(Value::as_str).collect();
        MODALITIES
            .iter()
            .filter(|(_, word)| words.contains(word))
            .map(|(letter, _)| *letter)
            .collect()
    };
    row.inputs = modalities("input");
    row.outputs = modalities("output");
    if row.inputs.contains('i') {
        row.set(ModelAbility::Vision, true);
    }
    if let Some(price) = model.get("cost").and_then(price) {
        row.prices.push(PriceRow {
            from: None,
            sources: "m".to_owned(),
            price,
            fees: UnitFees::default(),
            off_peak: None,
        });
    }
    Some(row)
}

fn price(cost: &Value) -> Option<Price> {
    let base = rates(cost, TokenRates::default());
    cost.get("input").and_then(number)?;
    let tiers = cost.get("tiers").and_then(Value::as_array);
    let mut above: Vec<_> = tiers
        .into_iter()
        .flatten()
        .filter_map(|tier| Some((tier.get("tier")?.get("size")?.as_u64()?, rates(tier, base))))
        .collect();
    above.sort_by_key(|(threshold, _)| *threshold);
    let variants = PriceVariants { above, ..PriceVariants::default() };
    let variants = (!variants.above.is_empty()).then(|| Arc::new(variants));
    Some(Price { rates: base, variants })
}

fn rates(cost: &Value, base: TokenRates) -> TokenRates {
    let rate = |name: &str| cost.get(name).and_then(number).and_then(nano);
    TokenRates {
        input: rate("input").unwrap_or(base.input),
        output: rate("output").unwrap_or(base.output),
        cache_read: rate("cache_read").or(base.cache_read),
        cache_write: rate("cache_write").or(base.cache_write),
        reasoning: rate("reasoning").or(base.reasoning),
        audio_input: rate("input_audio").or(base.audio_input),
        audio_output: rate("output_audio").or(base.audio_output),
        ..base
    }
}
