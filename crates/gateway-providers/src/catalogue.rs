//! The models that are known by name: a data file, which users extend and override.

use gateway_core::{Capabilities, Dialect, ModelCard, Price, ReasoningStyle};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Models and other names for them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The models of the catalogue.
    #[serde(default)]
    pub models: Vec<Entry>,
    /// Other names, and what they stand for.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
}

/// A model, as it is written in the data file and in configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name by which callers ask for it.
    pub id: String,
    /// The provider that serves it.
    pub provider: String,
    /// The provider's own name for it; the same if absent.
    pub upstream: Option<String>,
    /// The dialect in which its provider serves it, if not the usual one: `responses`.
    pub api: Option<String>,
    /// Context window, in tokens of input and output together.
    pub context_window: Option<u64>,
    /// Maximum output, in tokens.
    pub max_output: Option<u64>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it sees pictures.
    pub vision: Option<bool>,
    /// Whether it keeps to a JSON schema.
    pub json_schema: Option<bool>,
    /// The way in which reasoning is requested: `never`, `budget`, `effort`, `adaptive`.
    pub reasoning: Option<String>,
    /// Whether it takes `temperature` and `top_p`.
    pub sampling: Option<bool>,
    /// Whether it turns text into vectors instead of answering.
    pub embeddings: Option<bool>,
    /// The price by token class.
    pub price: Option<Prices>,
}

/// Prices in US dollars for a million tokens, as decimal numbers in text: `"0.075"`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Price of input tokens.
    pub input: String,
    /// Price of output tokens.
    pub output: String,
    /// Tokens read from the prompt cache; as `input` if absent.
    pub cache_read: Option<String>,
    /// Tokens written to the prompt cache for five minutes; as `input` if absent.
    pub cache_write: Option<String>,
    /// Tokens written to the prompt cache for an hour; as `cache_write` if absent.
    pub cache_write_1h: Option<String>,
    /// Tokens of thinking; as `output` if absent.
    pub reasoning: Option<String>,
    /// Tokens of sound, read; as `input` if absent.
    pub audio_input: Option<String>,
    /// Tokens of sound, written; as `output` if absent.
    pub audio_output: Option<String>,
}

/// The data file of this release.
const DATA: &str = include_str!("catalogue.toml");

impl Catalogue {
    /// The models of this release.
    ///
    /// # Errors
    ///
    /// Never: a test reads the file.
    pub fn built_in() -> Result<Self, toml::de::Error> {
        toml::from_str(DATA)
    }
}

impl Entry {
    /// The model.
    ///
    /// # Errors
    ///
    /// Returns the name of the first invalid field.
    pub fn card(&self) -> Result<ModelCard, String> {
        let wrong = |field: &str| format!("model '{}': invalid {field}", self.id);
        let api = match self.api.as_deref() {
            None => None,
            Some(name) => {
                let known = Dialect::ALL.into_iter().find(|it| it.as_str() == name);
                Some(known.ok_or_else(|| wrong("api"))?)
            }
        };
        let reasoning = match self.reasoning.as_deref() {
            None => None,
            Some("never") => Some(ReasoningStyle::Never),
            Some("budget") => Some(ReasoningStyle::Budget),
            Some("effort") => Some(ReasoningStyle::Effort),
            Some("adaptive") => Some(ReasoningStyle::Adaptive),
            Some(_) => return Err(wrong("reasoning")),
        };
        let price = match &self.price {
            None => None,
            Some(prices) => Some(prices.read().ok_or_else(|| wrong("price"))?),
        };
        Ok(ModelCard {
            id: self.id.clone(),
            provider: self.provider.clone(),
            upstream: self.upstream.clone().unwrap_or_else(|| self.id.clone()),
            api,
            context_window: self.context_window,
            max_output: self.max_output,
            capabilities: Capabilities {
                tools: self.tools,
                vision: self.vision,
                json_schema: self.json_schema,
                reasoning,
                sampling: self.sampling,
                embeddings: self.embeddings,
            },
            price,
        })
    }
}

impl Prices {
    fn read(&self) -> Option<Price> {
        let optional = |text: &Option<String>| match text {
            None => Some(None),
            Some(text) => nano_dollars(text).map(Some),
        };
        Some(Price {
            input: nano_dollars(&self.input)?,
            output: nano_dollars(&self.output)?,
            cache_read: optional(&self.cache_read)?,
            cache_write: optional(&self.cache_write)?,
            cache_write_1h: optional(&self.cache_write_1h)?,
            reasoning: optional(&self.reasoning)?,
            audio_input: optional(&self.audio_input)?,
            audio_output: optional(&self.audio_output)?,
        })
    }
}

/// Dollars in decimal as billionths of a dollar, exactly.
fn nano_dollars(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find;
    use std::collections::HashSet;

    #[test]
    fn the_data_file_can_be_read_and_names_known_providers() {
        let catalogue = Catalogue::built_in().unwrap();
        let mut names = HashSet::new();
        for entry in &catalogue.models {
            let card = entry.card().unwrap();
            assert!(find(&card.provider).is_some(), "{}: {}", card.id, card.provider);
            assert!(names.insert(card.id.to_lowercase()), "{} is there twice", card.id);
        }
        for (alias, model) in &catalogue.aliases {
            let known =
                names.contains(&model.to_lowercase()) || catalogue.aliases.contains_key(model);
            assert!(known, "{alias} stands for {model}, which is not there");
        }
    }

    #[test]
    fn decimal_dollars_are_read_exactly() {
        for (text, expected) in [
            ("3", Some(3_000_000_000)),
            ("0.075", Some(75_000_000)),
            ("0.000000001", Some(1)),
            ("0.0000000001", None),
            ("", None),
            (".5", None),
            ("-1", None),
            ("1e3", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(nano_dollars(text), expected, "{text}");
        }
    }

    #[test]
    fn unknown_api_of_catalogue_entry_is_named() {
        let entry = Entry { id: "m".into(), api: Some("soap".into()), ..Entry::default() };
        assert_eq!(entry.card().unwrap_err(), "model 'm': invalid api");
    }
}
