//! Merges data sets into one catalogue: the facts they agree on, and the decision where they do not.

mod compare;
mod fold;
mod overrides;

pub use self::{
    compare::{PriceDifference, differences},
    overrides::{CatalogueOverrides, OverrideDecision, OverrideError, PreferredSource},
};

use crate::{
    import::KnownModels,
    row::{ModelAbility, ModelRow, PriceRow},
    text,
};
use gateway_core::{Date, ModelKind};
use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

/// The data sets that a catalogue is made of.
#[derive(Debug, Default)]
pub struct DataSets {
    /// The rows of the `LiteLLM` data set.
    pub litellm: Vec<ModelRow>,
    /// The models of genai-prices.
    pub genai_prices: KnownModels,
    /// The rows of models.dev: dates and names.
    pub models_dev: Vec<ModelRow>,
    /// The decisions where data sets disagree, and the rows they lack.
    pub overrides: CatalogueOverrides,
}

/// A disagreement between data sets about a price.
#[derive(Clone, Debug)]
pub struct PriceDisagreement {
    /// The provider and the model.
    pub key: String,
    /// The differing classes of the two prices.
    pub differences: Vec<PriceDifference>,
    /// The override that decides; absent if there is none.
    pub decision: Option<OverrideDecision>,
}

/// A catalogue, and how it came about.
#[derive(Debug, Default)]
pub struct MergedCatalogue {
    /// The rows, in order.
    pub rows: Vec<ModelRow>,
    /// The disagreements of the data sets.
    pub disagreements: Vec<PriceDisagreement>,
    /// Other names for models.
    pub aliases: BTreeMap<String, String>,
}

/// Providers whose models have names for display.
const NAMED: [&str; 6] = ["anthropic", "openai", "gemini", "deepseek", "mistral", "xai"];

/// Makes one catalogue of data sets as of `today`.
pub fn merge(sets: DataSets, today: Date) -> MergedCatalogue {
    let mut merged = MergedCatalogue::default();
    let mut rows: BTreeMap<String, ModelRow> = BTreeMap::new();
    let mut matched: HashSet<String> = HashSet::new();
    for mut row in sets.litellm {
        let key = key(&row);
        if rows.contains_key(&key) {
            continue;
        }
        let known = sets.genai_prices.find(&row.provider, &row.id);
        // Another name for a row has that row's facts.
        if let Some(known) = known.filter(|_| row.same_as.is_none()) {
            matched.insert(self::key(&known.row));
            row.context = row.context.or(known.row.context);
            row.name.clone_from(&known.row.name);
            reconcile(&mut row, &known.row, &sets.overrides, today, &mut merged.disagreements);
        }
        rows.insert(key, row);
    }
    for known in sets.genai_prices.iter() {
        let key = key(&known.row);
        if !matched.contains(&key) && !rows.contains_key(&key) {
            let kind = kind_of_name(&known.row.id);
            rows.insert(key, ModelRow { kind, ..known.row.clone() });
        }
    }
    fold::fold_snapshots(&mut rows);
    add_models_dev(&mut rows, &sets.models_dev);
    sets.overrides.apply(&mut rows);
    for row in rows.values_mut() {
        tidy(row);
    }
    fold::settle_aliases(&mut rows);
    merged.rows = rows.into_values().collect();
    merged.aliases = sets.overrides.aliases;
    merged
}

/// Writes a catalogue as text, with `head` as comments before its rows.
pub fn write(catalogue: &MergedCatalogue, head: &[String]) -> String {
    let mut out = String::new();
    for line in head {
        let _ = writeln!(out, "# {line}");
    }
    for (name, model) in &catalogue.aliases {
        let _ = writeln!(out, "@{name} {model}");
    }
    for row in &catalogue.rows {
        text::write_row(row, &mut out);
    }
    out
}

/// The order of rows.
fn key(row: &ModelRow) -> String {
    format!("{}/{}", row.provider, row.id).to_ascii_lowercase()
}

/// Compares the prices of both data sets and keeps those that count.
fn reconcile(
    row: &mut ModelRow,
    known: &ModelRow,
    overrides: &CatalogueOverrides,
    today: Date,
    disagreements: &mut Vec<PriceDisagreement>,
) {
    let in_force = known.prices.iter().rposition(|it| it.from.is_none_or(|from| from <= today));
    let Some((at, theirs)) = in_force.and_then(|at| Some((at, known.prices.get(at)?))) else {
        return;
    };
    let Some(ours) = row.prices.first() else {
        row.prices.clone_from(&known.prices);
        return;
    };
    let differences = differences(&ours.price, &theirs.price);
    if differences.is_empty() {
        let agreed = PriceRow {
            from: theirs.from,
            sources: "lg".to_owned(),
            price: ours.price.clone(),
            fees: ours.fees,
            off_peak: ours.off_peak.clone().or_else(|| theirs.off_peak.clone()),
        };
        row.prices.clone_from(&known.prices);
        if let Some(slot) = row.prices.get_mut(at) {
            *slot = agreed;
        }
        return;
    }
    let decision = overrides.decision(&row.provider, &row.id);
    if decision.as_ref().is_some_and(|it| it.preferred == PreferredSource::GenaiPrices) {
        row.prices.clone_from(&known.prices);
    }
    disagreements.push(PriceDisagreement { key: key(row), differences, decision });
}

/// Adds dates and names to rows, and the rows of the vendors' own models that the other sets have dropped.
fn add_models_dev(rows: &mut BTreeMap<String, ModelRow>, models_dev: &[ModelRow]) {
    let snapshots: HashSet<String> = rows
        .values()
        .flat_map(|row| row.snapshots.iter().map(|it| format!("{}/{it}", row.provider)))
        .collect();
    for other in models_dev {
        let key = key(other);
        match rows.get_mut(&key) {
            Some(row) => enrich(row, other),
            None if NAMED.contains(&other.provider.as_str()) && !snapshots.contains(&key) => {
                let kind = kind_of_name(&other.id);
                rows.insert(key, ModelRow { kind, ..other.clone() });
            }
            None => {}
        }
    }
}

/// Adds what only models.dev knows.
fn enrich(row: &mut ModelRow, other: &ModelRow) {
    row.released = row.released.or(other.released);
    row.context = other.context.or(row.context);
    row.max_output = row.max_output.or(other.max_output);
    row.name = row.name.take().or_else(|| other.name.clone());
    if row.inputs.is_empty() {
        row.inputs.clone_from(&other.inputs);
        row.outputs.clone_from(&other.outputs);
    }
    for (_, flag) in ModelAbility::LETTERS {
        if row.ability(flag).is_none()
            && let Some(has) = other.ability(flag)
        {
            row.set(flag, has);
        }
    }
}

/// Leaves out what says nothing.
fn tidy(row: &mut ModelRow) {
    if !NAMED.contains(&row.provider.as_str()) {
        row.name = None;
    }
    if row.context == row.max_input {
        row.context = None;
    }
    row.drop_doubtful_prices();
}

fn kind_of_name(id: &str) -> ModelKind {
    let id = id.to_ascii_lowercase();
    for (part, kind) in [
        ("embed", ModelKind::Embedding),
        ("voyage", ModelKind::Embedding),
        ("rerank", ModelKind::Rerank),
        ("whisper", ModelKind::Transcription),
        ("transcribe", ModelKind::Transcription),
        ("tts", ModelKind::Speech),
        ("realtime", ModelKind::Realtime),
        ("moderation", ModelKind::Moderation),
        ("dall-e", ModelKind::Image),
        ("imagen", ModelKind::Image),
        ("gpt-image", ModelKind::Image),
        ("flux", ModelKind::Image),
        ("veo-", ModelKind::Video),
        ("sora", ModelKind::Video),
    ] {
        if id.contains(part) {
            return kind;
        }
    }
    ModelKind::Chat
}

#[cfg(test)]
mod tests;
