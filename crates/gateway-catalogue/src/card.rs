//! From rows and rules to what the router and the encoders need to know of a model.

use crate::{
    families,
    row::{ModelAbility, ModelRow},
};
use gateway_core::{
    Dialect, ModelCard, ModelKind, ModelRules, PriceHistory, PricePeriod, ReasoningControl,
    ReasoningStyle, ResponsesOnly, SamplingSupport,
};
use std::sync::Arc;

/// Returns the card of a row.
pub(crate) fn card(row: &ModelRow) -> ModelCard {
    let rules = rules(row);
    let mut card = of_rules(&row.id, &row.provider, rules);
    card.kind = row.kind;
    card.display_name.clone_from(&row.name);
    card.released = row.released;
    card.ends = row.ends;
    card.context_window = row.context.or(row.max_input);
    card.max_output = row.max_output;
    card.cache_minimum = row.cache_minimum;
    card.capabilities.tools = row.ability(ModelAbility::Tools);
    card.capabilities.vision = row.ability(ModelAbility::Vision);
    card.capabilities.json_schema = row.ability(ModelAbility::Schema);
    if row.kind == ModelKind::Embedding {
        card.capabilities.embeddings = Some(true);
    }
    let is_responses_only = row.endpoints.contains('r') && !row.endpoints.contains('c');
    if row.kind == ModelKind::Chat && is_responses_only {
        card.api = Some(Dialect::Responses);
    }
    card.prices = PriceHistory::new(
        row.prices
            .iter()
            .map(|price| {
                let source: Arc<str> = price.sources.as_str().into();
                let off_peak = price.off_peak_price();
                let priced = price.price.clone().with_unit_fees(price.fees);
                PricePeriod { from: price.from, source, price: priced, off_peak }
            })
            .collect(),
    );
    card
}

/// Returns the card of a model of which only the rules of its family are known.
pub(crate) fn of_rules(id: &str, provider: &str, rules: ModelRules) -> ModelCard {
    let mut card = ModelCard::new(id, provider);
    set_rules(&mut card, rules);
    card
}

/// Sets the rules of a model, and what follows from them.
pub(crate) fn set_rules(card: &mut ModelCard, rules: ModelRules) {
    card.rules = rules;
    card.capabilities.reasoning = style(rules.reasoning);
    card.capabilities.sampling = (rules.sampling == SamplingSupport::Refused).then_some(false);
    card.api = (rules.responses_only == ResponsesOnly::Always).then_some(Dialect::Responses);
}

/// The rules of a row: those of its family, and what its flags say where the family is silent.
fn rules(row: &ModelRow) -> ModelRules {
    let family = families::parse(&row.id).as_ref().and_then(families::rule).map(|it| it.rules);
    let mut rules = family.unwrap_or_default();
    let is_silent = matches!(rules.reasoning, ReasoningControl::Unknown | ReasoningControl::Never);
    if is_silent && !row.efforts.is_empty() {
        rules.reasoning = ReasoningControl::Effort;
        rules.efforts = row.efforts;
        rules.default_effort = row.default_effort;
    }
    if family.is_none() && row.ability(ModelAbility::Sampling) == Some(false) {
        rules.sampling = SamplingSupport::Refused;
    }
    rules
}

const fn style(reasoning: ReasoningControl) -> Option<ReasoningStyle> {
    match reasoning {
        ReasoningControl::Unknown => None,
        ReasoningControl::Never => Some(ReasoningStyle::Never),
        ReasoningControl::Budget { .. } => Some(ReasoningStyle::Budget),
        ReasoningControl::Effort => Some(ReasoningStyle::Effort),
        ReasoningControl::Adaptive { .. } => Some(ReasoningStyle::Adaptive),
    }
}
