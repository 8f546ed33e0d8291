//! A model, described for a person: its facts, and its prices with their sources.

use crate::{
    TextCatalogue,
    row::{ENDPOINTS, ModelRow},
    text,
};
use gateway_core::{Date, Effort, EffortSet, ModelCard, ModelCatalogue as _, PricePeriod};
use std::{collections::BTreeSet, fmt::Write as _};

impl TextCatalogue {
    /// Returns the providers that the catalogue has models of.
    pub fn providers(&self) -> Vec<String> {
        let providers: BTreeSet<String> = self.rows().map(|row| row.provider).collect();
        providers.into_iter().collect()
    }

    /// Describes the model `name` of `provider` as of `today`; `None` if nothing is known of it.
    pub fn describe(&self, provider: &str, name: &str, today: Date) -> Option<String> {
        let card = self.card(provider, name)?;
        let row = self.row(provider, &card.id);
        let mut out = format!("{provider}/{name}\n");
        let mut put = |label: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let _ = writeln!(out, "  {label:<15} {value}");
            }
        };
        put("name", card.display_name.clone());
        put("upstream", Some(card.upstream.clone()));
        put("assumed from", card.assumed_from.as_deref().map(str::to_owned));
        put("kind", Some(card.kind.as_str().to_owned()));
        put("released", card.released.map(Date::text));
        put("ends", card.ends.map(Date::text));
        put("context window", card.context_window.map(|it| it.to_string()));
        put("maximum output", card.max_output.map(|it| it.to_string()));
        put("efforts", Some(efforts(card.rules.efforts)));
        put("endpoints", row.as_ref().map(endpoints));
        put("snapshots", row.as_ref().map(|row| row.snapshots.join(" ")));
        put_prices(&card, row.as_ref(), today, &mut put);
        if card.prices.is_empty() {
            put("price", Some("unknown".to_owned()));
        }
        Some(out)
    }
}

fn put_prices(
    card: &ModelCard,
    row: Option<&ModelRow>,
    today: Date,
    put: &mut impl FnMut(&str, Option<String>),
) {
    let in_force = card.prices.index_at(today);
    for (at, period) in card.prices.periods().iter().enumerate() {
        let from = period.from.map_or_else(|| "always".to_owned(), Date::text);
        let words = row.and_then(|row| row.prices.get(at)).map(text::price_words);
        let words = words.unwrap_or_else(|| text::standard_rates(&period.price));
        let mark = if at == in_force { " (in force)" } else { "" };
        let sources = sources(period);
        put("price", Some(format!("from {from}{mark}: {words}; source {sources}")));
    }
}

fn sources(period: &PricePeriod) -> String {
    let name = |letter: char| match letter {
        'l' => "litellm".to_owned(),
        'g' => "genai-prices".to_owned(),
        'm' => "models.dev".to_owned(),
        'o' => "override".to_owned(),
        'x' => "file".to_owned(),
        other => other.to_string(),
    };
    period.source.chars().map(name).collect::<Vec<_>>().join(", ")
}

fn efforts(efforts: EffortSet) -> String {
    efforts.iter().map(Effort::as_str).collect::<Vec<_>>().join(" ")
}

fn endpoints(row: &ModelRow) -> String {
    let known =
        |letter: char| ENDPOINTS.iter().find(|(it, _)| *it == letter).map(|(_, path)| *path);
    row.endpoints.chars().filter_map(known).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = Date { year: 2026, month: 11, day: 30 };

    #[test]
    fn description_has_prices_with_their_sources() {
        let catalogue = TextCatalogue::built_in();
        let text = catalogue.describe("gemini", "gemini-4-argon", TODAY).unwrap();
        for part in ["(in force): i=2 o=10", "from 2026-12-01: i=4 o=20", "source "] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let newer = catalogue.describe("openai", "gpt-6.9-sol", TODAY).unwrap();
        assert!(newer.contains("assumed from    gpt-6.2-sol"), "{newer}");
        assert_eq!(catalogue.describe("openai", "no-such-model", TODAY), None);
    }
}
