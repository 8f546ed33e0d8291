//! What the operator adds to the catalogue of models, or knows better.

use super::{
    node::{Content, Table},
    problem::Problem,
    section::{Reader, section},
    value::{Value, choice},
};
use gateway_core::{Capabilities, Dialect, ModelCard, Price, ReasoningStyle};

choice! {
    /// How a model is asked to think.
    Reasoning {
        /// It does not think.
        Never = "never" | "none";
        /// By a number of tokens.
        Budget = "budget";
        /// By a word.
        Effort = "effort";
        /// It decides by itself, guided by a word.
        Adaptive = "adaptive";
    }
}

section! {
    /// A model, at `[[models]]`: a new one, or what is different of one that the catalogue knows.
    pub Model {
        /// The name by which callers ask for it.
        id: Option<String> = None;
        /// The provider that serves it; needed unless the catalogue knows the model.
        provider: Option<String> = None;
        /// The provider's own name for it.
        upstream: Option<String> = None;
        /// Through which of its provider's APIs it is asked, if not the usual one.
        api: Option<Dialect> = None;
        /// How many tokens it can read and write in all.
        context_window: Option<u64> = None;
        /// How many tokens it can write.
        max_output: Option<u64> = None;
        /// Whether it calls tools.
        tools: Option<bool> = None;
        /// Whether it sees pictures.
        vision: Option<bool> = None;
        /// Whether it keeps to a JSON schema.
        json_schema: Option<bool> = None;
        /// Whether it takes `temperature` and `top_p`.
        sampling: Option<bool> = None;
        /// Whether it turns text into vectors instead of answering.
        embeddings: Option<bool> = None;
        /// How it is asked to think.
        reasoning: Option<Reasoning> = None;
        /// What it costs: `{ input, output, cache_read, cache_write, cache_write_1h, reasoning, audio_input, audio_output }`.
        price: Option<Price> = None;
    }
}

/// Nano-dollars in a dollar.
const NANO: f64 = 1e9;

impl Value for Price {
    fn expects() -> String {
        "a table of US dollars for a million tokens, `input` and `output` at least".to_owned()
    }

    fn read(node: &super::node::Node) -> Option<Self> {
        let Content::Table(table) = &node.content else { return None };
        let mut price = Self::default();
        let (mut input, mut output) = (None, None);
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
                _ => return None,
            };
            *field = Some(nano);
        }
        (price.input, price.output) = (input?, output?);
        Some(price)
    }

    #[expect(clippy::cast_precision_loss, reason = "prices are small")]
    fn show(&self) -> Option<String> {
        let classes = [
            ("input", Some(self.input)),
            ("output", Some(self.output)),
            ("cache_read", self.cache_read),
            ("cache_write", self.cache_write),
            ("cache_write_1h", self.cache_write_1h),
            ("reasoning", self.reasoning),
            ("audio_input", self.audio_input),
            ("audio_output", self.audio_output),
        ];
        let shown = |(class, nano): (&str, Option<u64>)| {
            nano.map(|nano| format!("{class} = {}", nano as f64 / NANO))
        };
        let shown: Vec<_> = classes.into_iter().filter_map(shown).collect();
        Some(format!("{{ {} }}", shown.join(", ")))
    }
}

impl Model {
    /// The model's card: what is said here, over what the catalogue knows. `None` if neither names
    /// a provider.
    pub fn card(&self, known: Option<&ModelCard>) -> Option<ModelCard> {
        let id = self.id.clone()?;
        let provider = self.provider.clone().or_else(|| Some(known?.provider.clone()))?;
        // What is known of a model at one provider need not hold at another.
        let known = known.filter(|known| known.provider == provider);
        let upstream = self.upstream.clone().or_else(|| Some(known?.upstream.clone()));
        Some(ModelCard {
            upstream: upstream.unwrap_or_else(|| id.clone()),
            id,
            provider,
            api: self.api.or_else(|| known?.api),
            context_window: self.context_window.or_else(|| known?.context_window),
            max_output: self.max_output.or_else(|| known?.max_output),
            capabilities: self.capabilities(known.map(|known| known.capabilities)),
            price: self.price.or_else(|| known?.price),
        })
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

const fn style(reasoning: Reasoning) -> ReasoningStyle {
    match reasoning {
        Reasoning::Never => ReasoningStyle::Never,
        Reasoning::Budget => ReasoningStyle::Budget,
        Reasoning::Effort => ReasoningStyle::Effort,
        Reasoning::Adaptive => ReasoningStyle::Adaptive,
    }
}

/// Reads `[[models]]`.
pub(super) fn read(root: &Table, problems: &mut Vec<Problem>) -> Vec<Model> {
    let Some(node) = root.get("models") else { return Vec::new() };
    let Content::List(items) = &node.content else {
        let message = format!("expected a list of tables, found {}", node.kind());
        problems.push(Problem::new("models", message).source(node.source.clone()));
        return Vec::new();
    };
    let mut models = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("models[{at}]");
        let before = problems.len();
        let model: Model = Reader::read(path.clone(), Some(item), problems);
        if model.id.is_none() && problems.len() == before {
            let problem = Problem::new(format!("{path}.id"), "is needed");
            problems.push(problem.source(item.source.clone()));
        }
        models.push(model);
    }
    models
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> ModelCard {
        Model {
            id: Some("m".to_owned()),
            provider: Some("lab".to_owned()),
            upstream: Some("m-2".to_owned()),
            context_window: Some(1000),
            tools: Some(true),
            ..Model::default()
        }
        .card(None)
        .unwrap()
    }

    #[test]
    fn what_is_said_lies_over_what_is_known() {
        let model = Model { id: Some("m".to_owned()), tools: Some(false), ..Model::default() };
        let card = model.card(Some(&known())).unwrap();
        assert_eq!((card.upstream.as_str(), card.capabilities.tools), ("m-2", Some(false)));
        assert_eq!(card.context_window, Some(1000));
    }

    #[test]
    fn what_is_known_of_it_elsewhere_does_not_hold_here() {
        let provider = Some("other".to_owned());
        let model = Model { id: Some("m".to_owned()), provider, ..Model::default() };
        let card = model.card(Some(&known())).unwrap();
        assert_eq!((card.upstream.as_str(), card.context_window), ("m", None));
    }

    #[test]
    fn somebody_must_serve_it() {
        assert_eq!(Model { id: Some("m".to_owned()), ..Model::default() }.card(None), None);
    }
}
