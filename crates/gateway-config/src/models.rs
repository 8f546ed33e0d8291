//! The operator's additions and corrections to the catalogue of models.

use super::{
    entries::list_entries,
    error::ConfigError,
    raw_value::{Table, ValueKind},
    section::{SectionReader, section},
    value::{SettingType, choice},
};
use gateway_core::{
    Capabilities, Dialect, ModelCard, ModelRules, Price, PriceHistory, ReasoningControl,
    ReasoningOff, ReasoningStyle, SamplingSupport, TokenRates, UnitFees,
};
use std::{path::PathBuf, sync::Arc};

choice! {
    /// The way reasoning is requested.
    ModelReasoning {
        /// The model does not reason.
        Never = "never" | "none";
        /// Reasoning has a token budget.
        Budget = "budget";
        /// Reasoning has an effort level.
        Effort = "effort";
        /// Adaptive, guided by an effort level.
        Adaptive = "adaptive";
    }
}

section! {
    /// The catalogue of models and prices.
    pub CatalogueSection {
        /// A file with models and prices instead of those of the release: in the gateway's own form, or laid over those of the release as the JSON of `litellm`, `genai-prices` or models.dev. It is watched like the configuration, and read anew when it changes and at each reload.
        file: Option<PathBuf> = None;
    }
}

section! {
    /// A model: a new one, or changes to a model of the built-in catalogue.
    pub ModelEntry {
        /// Model name for callers.
        id: Option<String> = None;
        /// Provider of the model; required unless the catalogue has the model.
        provider: Option<String> = None;
        /// The provider's name of the model. Default: `id`.
        upstream: Option<String> = None;
        /// API of the provider to use. Default: the caller's dialect if the provider supports it, else the provider's default API.
        api: Option<Dialect> = None;
        /// Context window in tokens.
        context_window: Option<u64> = None;
        /// Maximum number of output tokens.
        max_output: Option<u64> = None;
        /// Whether it supports tool calls.
        tools: Option<bool> = None;
        /// Whether it accepts images.
        vision: Option<bool> = None;
        /// Whether it supports structured output by JSON Schema.
        json_schema: Option<bool> = None;
        /// Whether it accepts `temperature` and `top_p`.
        sampling: Option<bool> = None;
        /// Whether it is an embedding model.
        embeddings: Option<bool> = None;
        /// The form in which reasoning is requested.
        reasoning: Option<ModelReasoning> = None;
        /// Price in US dollars per million tokens: `{ input, output, cache_read, cache_write, cache_write_1h, reasoning, audio_input, audio_output, image_input, image_output }`,
        /// and for what is not counted in tokens: `{ per_request, per_image, per_second, per_1k_characters }`. Without one of those, `input` and `output` are needed.
        price: Option<Price> = None;
    }
}

/// The number of nano-dollars in a dollar.
const NANO: f64 = 1e9;

impl SettingType for Price {
    fn expects() -> String {
        "a table of US dollars for a million tokens, `input` and `output` at least, or for a unit: `per_request`, `per_image`, `per_second`, `per_1k_characters`".to_owned()
    }

    fn read(node: &super::raw_value::ConfigValue) -> Option<Self> {
        let ValueKind::Table(table) = &node.content else { return None };
        let mut price = TokenRates::default();
        let (mut input, mut output) = (None, None);
        let (mut fees, mut request) = (UnitFees::NONE, 0);
        for (class, node) in table {
            let dollars = f64::read(node).filter(|dollars| (0.0..=1e6).contains(dollars))?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
            let nano = (dollars * NANO).round() as u64;
            let field = match class.as_str() {
                "input" => &mut input,
                "output" => &mut output,
                "cache_read" => &mut price.cache_read,
                "cache_write" => &mut price.cache_write,
                "cache_write_1h" => &mut price.cache_write_1h,
                "reasoning" => &mut price.reasoning,
                "audio_input" => &mut price.audio_input,
                "audio_output" => &mut price.audio_output,
                "image_input" => &mut price.image_input,
                "image_output" => &mut price.image_output,
                unit => {
                    *unit_fee(unit, &mut fees, &mut request)? = nano;
                    continue;
                }
            };
            *field = Some(nano);
        }
        let is_by_unit = request > 0 || fees != UnitFees::NONE;
        let needed = |rate: Option<u64>| rate.or(is_by_unit.then_some(0));
        (price.input, price.output) = (needed(input)?, needed(output)?);
        let mut price = Self::from(price).with_unit_fees(fees);
        if request > 0 {
            Arc::make_mut(price.variants.get_or_insert_default()).request = request;
        }
        Some(price)
    }

    #[expect(clippy::cast_precision_loss, reason = "prices are small")]
    fn show(&self) -> Option<String> {
        let rates = &self.rates;
        let classes = [
            ("input", Some(rates.input)),
            ("output", Some(rates.output)),
            ("cache_read", rates.cache_read),
            ("cache_write", rates.cache_write),
            ("cache_write_1h", rates.cache_write_1h),
            ("reasoning", rates.reasoning),
            ("audio_input", rates.audio_input),
            ("audio_output", rates.audio_output),
            ("image_input", rates.image_input),
            ("image_output", rates.image_output),
        ];
        let units = self.variants.as_ref().map(|it| {
            let UnitFees { image, second, kilo_characters } = it.units;
            [
                ("per_request", Some(it.request)),
                ("per_image", Some(image)),
                ("per_second", Some(second)),
                ("per_1k_characters", Some(kilo_characters)),
            ]
        });
        let units = units.into_iter().flatten().filter(|(_, fee)| *fee != Some(0));
        let shown = |(class, nano): (&str, Option<u64>)| {
            nano.map(|nano| format!("{class} = {}", nano as f64 / NANO))
        };
        let shown: Vec<_> = classes.into_iter().chain(units).filter_map(shown).collect();
        Some(format!("{{ {} }}", shown.join(", ")))
    }
}

/// The place of the fee called `name`; `None` if there is none of that name.
fn unit_fee<'a>(name: &str, fees: &'a mut UnitFees, request: &'a mut u64) -> Option<&'a mut u64> {
    Some(match name {
        "per_request" => request,
        "per_image" => &mut fees.image,
        "per_second" => &mut fees.second,
        "per_1k_characters" => &mut fees.kilo_characters,
        _ => return None,
    })
}

impl ModelEntry {
    /// Returns the model's card: the settings over the `known` card of the catalogue; `None` if neither
    /// names a provider.
    pub fn card(&self, known: Option<&ModelCard>) -> Option<ModelCard> {
        let id = self.id.clone()?;
        let provider = self.provider.clone().or_else(|| Some(known?.provider.clone()))?;
        // What is known of a model at one provider need not hold at another.
        let known = known.filter(|known| known.provider == provider);
        let upstream = self.upstream.clone().or_else(|| Some(known?.upstream.clone()));
        let base = known.cloned().unwrap_or_default();
        Some(ModelCard {
            upstream: upstream.unwrap_or_else(|| id.clone()),
            id,
            provider,
            api: self.api.or(base.api),
            context_window: self.context_window.or(base.context_window),
            max_output: self.max_output.or(base.max_output),
            capabilities: self.capabilities(known.map(|known| known.capabilities)),
            rules: self.rules(base.rules),
            prices: match &self.price {
                Some(price) => PriceHistory::fixed(price.clone(), "configuration"),
                None => base.prices,
            },
            ..base
        })
    }

    /// The rules of the model, as far as what is configured says otherwise.
    fn rules(&self, known: ModelRules) -> ModelRules {
        let adaptive = ReasoningControl::Adaptive { off: ReasoningOff::Default, budget: false };
        let reasoning = match self.reasoning {
            None => known.reasoning,
            Some(ModelReasoning::Never) => ReasoningControl::Never,
            Some(ModelReasoning::Budget) => ReasoningControl::Budget { effort: false, off: true },
            Some(ModelReasoning::Effort) => ReasoningControl::Effort,
            Some(ModelReasoning::Adaptive) => adaptive,
        };
        let sampling = match self.sampling {
            None => known.sampling,
            Some(true) => SamplingSupport::Free,
            Some(false) => SamplingSupport::Refused,
        };
        ModelRules { reasoning, sampling, ..known }
    }

    fn capabilities(&self, known: Option<Capabilities>) -> Capabilities {
        let known = known.unwrap_or_default();
        Capabilities {
            tools: self.tools.or(known.tools),
            vision: self.vision.or(known.vision),
            json_schema: self.json_schema.or(known.json_schema),
            reasoning: self.reasoning.map(style).or(known.reasoning),
            sampling: self.sampling.or(known.sampling),
            embeddings: self.embeddings.or(known.embeddings),
        }
    }
}

const fn style(reasoning: ModelReasoning) -> ReasoningStyle {
    match reasoning {
        ModelReasoning::Never => ReasoningStyle::Never,
        ModelReasoning::Budget => ReasoningStyle::Budget,
        ModelReasoning::Effort => ReasoningStyle::Effort,
        ModelReasoning::Adaptive => ReasoningStyle::Adaptive,
    }
}

/// Reads the entries of `[[models]]`.
pub(super) fn read(root: &Table, errors: &mut Vec<ConfigError>) -> Vec<ModelEntry> {
    let mut models = Vec::new();
    for (at, item) in list_entries(root, "models", errors).iter().enumerate() {
        let path = format!("models[{at}]");
        let before = errors.len();
        let model: ModelEntry = SectionReader::read(path.clone(), Some(item), errors);
        if model.id.is_none() && errors.len() == before {
            let error = ConfigError::new(format!("{path}.id"), "is needed");
            errors.push(error.source(item.source.clone()));
        }
        models.push(model);
    }
    models
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known_card() -> ModelCard {
        ModelEntry {
            id: Some("m".to_owned()),
            provider: Some("lab".to_owned()),
            upstream: Some("m-2".to_owned()),
            context_window: Some(1000),
            tools: Some(true),
            ..ModelEntry::default()
        }
        .card(None)
        .unwrap()
    }

    #[test]
    fn settings_override_the_catalogue() {
        let model =
            ModelEntry { id: Some("m".to_owned()), tools: Some(false), ..ModelEntry::default() };
        let card = model.card(Some(&known_card())).unwrap();
        assert_eq!((card.upstream.as_str(), card.capabilities.tools), ("m-2", Some(false)));
        assert_eq!(card.context_window, Some(1000));
    }

    #[test]
    fn card_of_another_provider_is_ignored() {
        let provider = Some("other".to_owned());
        let model = ModelEntry { id: Some("m".to_owned()), provider, ..ModelEntry::default() };
        let card = model.card(Some(&known_card())).unwrap();
        assert_eq!((card.upstream.as_str(), card.context_window), ("m", None));
    }

    #[test]
    fn model_without_provider_has_no_card() {
        assert_eq!(
            ModelEntry { id: Some("m".to_owned()), ..ModelEntry::default() }.card(None),
            None
        );
    }
}
