//! The rules that a provider enforces on requests for a model, as plain values.
//!
//! The catalogue resolves a model's name to these; [`conform`](super::conform) and the encoders
//! apply them. The default knows nothing and changes nothing.

use crate::Effort;

/// The rules that a provider enforces on requests for a model. The default is of an unknown model: everything
/// is passed on.
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ModelRules {
    /// The sampling parameters that it takes.
    pub sampling: SamplingSupport,
    /// The control of its reasoning.
    pub reasoning: ReasoningControl,
    /// The efforts it takes; empty if unknown.
    pub efforts: EffortSet,
    /// The efforts that only its Responses API takes.
    pub efforts_of_responses: EffortSet,
    /// The effort it reasons with when none is asked for.
    pub default_effort: Option<Effort>,
    /// Whether a caller may force it to call a tool.
    pub forced_tools: ForcedTools,
    /// The requests that it serves through the Responses API only.
    pub responses_only: ResponsesOnly,
    /// It refuses a conversation that ends with its own turn.
    pub refuses_prefill: bool,
    /// It refuses `presence_penalty`, `frequency_penalty` and `logit_bias`.
    pub refuses_penalties: bool,
    /// The model refuses `stop` sequences.
    pub refuses_stop: bool,
    /// It refuses to write more than one answer.
    pub refuses_choices: bool,
    /// It refuses `max_tokens` in Chat Completions: the bound is `max_completion_tokens` there.
    pub bounds_completion: bool,
    /// It refuses a history whose tool calls lack its signatures.
    pub needs_signatures: bool,
    /// It takes instructions within the conversation, not only before it.
    pub takes_system_turns: bool,
    /// The JSON schemas to which it can be held strictly.
    pub strict_schemas: StrictSchemas,
}

impl ModelRules {
    /// The rules of an unknown model: the default, as a constant.
    pub const UNKNOWN: Self = Self {
        sampling: SamplingSupport::Unknown,
        reasoning: ReasoningControl::Unknown,
        efforts: EffortSet::EMPTY,
        efforts_of_responses: EffortSet::EMPTY,
        default_effort: None,
        forced_tools: ForcedTools::Unknown,
        responses_only: ResponsesOnly::Never,
        refuses_prefill: false,
        refuses_penalties: false,
        refuses_stop: false,
        refuses_choices: false,
        bounds_completion: false,
        needs_signatures: false,
        takes_system_turns: false,
        strict_schemas: StrictSchemas::Unknown,
    };
}

/// The JSON schemas to which a model can be held strictly.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StrictSchemas {
    /// Nothing is known about this: schemas are sent as they are.
    #[default]
    Unknown,
    /// Its provider has no word for it, or refuses the word.
    Never,
    /// Every object is closed; members may be optional.
    Closed,
    /// Every object is closed, and each of its members is required.
    AllRequired,
}

/// The sampling parameters that a model takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SamplingSupport {
    /// Nothing is known about this.
    #[default]
    Unknown,
    /// All of them, also together.
    Free,
    /// `temperature` or `top_p`, not both.
    OneOf,
    /// Only values that change nothing.
    Neutral,
    /// Only values that change nothing, and of `temperature` and `top_p` only one.
    NeutralOneOf,
    /// None while it reasons, and it does not reason by default.
    UnlessReasoning,
    /// Only beside the explicit effort `none`.
    WithoutReasoning,
    /// None: they are refused, or ignored.
    Refused,
}

/// The control of the reasoning of a model.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReasoningControl {
    /// Nothing is known about this.
    #[default]
    Unknown,
    /// It does not reason.
    Never,
    /// By a number of tokens.
    Budget {
        /// It also takes an effort.
        effort: bool,
        /// It can be asked not to reason.
        off: bool,
    },
    /// An effort, given as a word.
    Effort,
    /// It decides by itself how long, guided by a word.
    Adaptive {
        /// Whether it can be asked not to reason.
        off: ReasoningOff,
        /// It also takes a number of tokens.
        budget: bool,
    },
}

/// Whether a model that decides how long to reason can be asked not to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReasoningOff {
    /// It does not reason unless asked.
    Default,
    /// Reasoning can be switched off.
    Yes,
    /// Only at an effort of `high` or less.
    UpToHigh,
    /// Reasoning cannot be switched off.
    Never,
}

/// Whether a caller may force a model to call a tool.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ForcedTools {
    /// Nothing is known about this.
    #[default]
    Unknown,
    /// Tool use may be forced at any time.
    Always,
    /// Only while it does not reason.
    UnlessReasoning,
    /// Tool use may never be forced.
    Never,
}

/// The requests that a model serves through the Responses API only.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ResponsesOnly {
    /// None, or nothing is known.
    #[default]
    Never,
    /// Requests with function tools, unless the effort is explicitly `none`.
    Tools,
    /// All of its requests.
    Always,
}

/// A set of efforts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EffortSet(u8);

impl EffortSet {
    /// The set without any effort.
    pub const EMPTY: Self = Self(0);

    /// The set of `efforts`.
    pub const fn of(efforts: &[Effort]) -> Self {
        let (mut bits, mut rest) = (0, efforts);
        while let [first, others @ ..] = rest {
            bits |= 1 << (*first as u8);
            rest = others;
        }
        Self(bits)
    }

    /// The efforts from `least` to `most`.
    pub const fn range(least: Effort, most: Effort) -> Self {
        Self((u8::MAX >> (7 - most as u8)) & (u8::MAX << (least as u8)))
    }

    /// The efforts of both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is in the set.
    pub const fn contains(self, effort: Effort) -> bool {
        self.0 & (1 << (effort as u8)) != 0
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The efforts in the set, least first.
    pub fn iter(self) -> impl Iterator<Item = Effort> {
        Effort::ALL.into_iter().filter(move |effort| self.contains(*effort))
    }

    /// Returns the effort of the set that is nearest to `wanted`: the same, else the next lower that
    /// reasons, else the next higher. An empty set takes any.
    ///
    /// `none` stands for the least effort where a model cannot do without.
    pub fn nearest(self, wanted: Effort) -> Effort {
        if self.is_empty() || self.contains(wanted) {
            return wanted;
        }
        let lower = self.iter().filter(|it| *it < wanted && *it != Effort::None).last();
        let higher = self.iter().find(|it| *it > wanted);
        if wanted == Effort::None {
            return higher.unwrap_or(wanted);
        }
        lower.or(higher).or_else(|| self.iter().next()).unwrap_or(wanted)
    }
}

impl ModelRules {
    /// Whether a request with these members is served through the Responses API only.
    pub fn needs_responses(&self, has_function_tools: bool, effort: Option<Effort>) -> bool {
        match self.responses_only {
            ResponsesOnly::Always => true,
            ResponsesOnly::Tools if has_function_tools => effort != Some(Effort::None),
            ResponsesOnly::Tools | ResponsesOnly::Never => {
                effort.is_some_and(|effort| self.efforts_of_responses.contains(effort))
            }
        }
    }

    /// Whether a model that is asked for `effort`, or for none in particular, reasons.
    pub fn reasons(&self, effort: Option<Effort>) -> bool {
        match effort.or(self.default_effort) {
            Some(effort) => effort != Effort::None,
            None => !matches!(self.reasoning, ReasoningControl::Never),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_range_includes_both_ends() {
        let set = EffortSet::range(Effort::Low, Effort::XHigh);
        let words: Vec<_> = set.iter().map(Effort::as_str).collect();
        assert_eq!(words, ["low", "medium", "high", "xhigh"]);
        assert_eq!(EffortSet::range(Effort::None, Effort::Max).iter().count(), 7);
    }

    #[test]
    fn nearest_effort_prefers_the_lower() {
        use Effort::{High, Low, Max, Medium, Minimal, None, XHigh};
        let cases: [(&[Effort], Effort, Effort); 8] = [
            (&[], Max, Max),
            (&[Low, Medium, High], Medium, Medium),
            (&[Low, Medium, High], Max, High),
            (&[Low, Medium, High], Minimal, Low),
            (&[Low, Medium, High], None, Low),
            (&[None, High], Medium, High),
            (&[Low, High, Max], XHigh, High),
            (&[Medium], Low, Medium),
        ];
        for (set, wanted, expected) in cases {
            assert_eq!(EffortSet::of(set).nearest(wanted), expected, "{set:?} {wanted:?}");
        }
    }

    #[test]
    fn tools_need_responses_unless_effort_is_explicitly_none() {
        let rules = ModelRules { responses_only: ResponsesOnly::Tools, ..ModelRules::default() };
        assert!(rules.needs_responses(true, None));
        assert!(rules.needs_responses(true, Some(Effort::High)));
        assert!(!rules.needs_responses(true, Some(Effort::None)));
        assert!(!rules.needs_responses(false, Some(Effort::High)));
    }

    #[test]
    fn unknown_model_is_asked_as_its_caller_likes() {
        assert!(!ModelRules::default().needs_responses(true, Some(Effort::Max)));
    }
}
