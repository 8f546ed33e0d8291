//! Whether the model is asked to think, and how much.

use super::encode_request_turns::Turns;
use crate::reasoning::{MIN_BUDGET, budget_of_effort, effort_of_budget, max_tokens_for};
use gateway_core::{
    ChatRequest, Dialect, DroppedParams, Effort, ModelCard, ReasoningOptions, ReasoningStyle,
    ToolChoice,
};
use serde::Serialize;

/// The bound on an answer, where neither the caller nor the catalogue names one.
const MAX_TOKENS: u64 = 4096;

/// What is asked of the model's thinking.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    pub(super) effort: Option<&'static str>,
    /// `omitted` or `summarized`.
    pub(super) display: Option<&'static str>,
    pub(super) max_tokens: u64,
}

/// How the model thinks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// As it does when nothing is said.
    Unsaid,
    /// Not at all.
    Disabled,
    /// For up to so many tokens.
    Enabled(u64),
    /// As long as it sees fit.
    Adaptive,
}

/// `thinking` on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Wire {
    Disabled,
    Enabled {
        budget_tokens: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
    Adaptive {
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
}

impl Plan {
    /// What to ask for, given the caller's wish, what the catalogue knows of the model, and what
    /// else is asked: the provider refuses some of it together with thinking.
    pub(super) fn new(
        request: &ChatRequest,
        card: Option<&ModelCard>,
        turns: &Turns<'_>,
        dropped: &mut DroppedParams,
    ) -> Self {
        let options = &request.options;
        let bound = options.max_tokens.or(card.and_then(|card| card.max_output));
        let unasked = ReasoningOptions::default();
        let asked = options.reasoning.as_ref().unwrap_or(&unasked);
        let style = card.and_then(|card| card.capabilities.reasoning);
        let is_ours = request.dialect == Some(Dialect::Messages);
        // Here effort is more than thinking, and may be asked for without.
        let is_effort_alone = is_ours && !asked.adaptive && asked.budget.is_none();
        let mut mode = if is_effort_alone { Mode::Unsaid } else { wanted(asked, style, bound) };
        let choice = request.tool_choice.as_ref();
        if mode.is_on() && !is_possible(mode, style, choice, turns) {
            dropped.insert("reasoning");
            mode = Mode::Unsaid;
        }
        let effort = match mode {
            Mode::Unsaid | Mode::Disabled => asked.effort.filter(|_| is_ours),
            Mode::Enabled(_) => asked.effort.filter(|_| asked.budget.is_some()),
            Mode::Adaptive => asked.effort.or(asked.budget.map(effort_of_budget)),
        };
        let display = match asked.summary.as_deref() {
            Some("omitted") if mode.is_on() => Some("omitted"),
            Some(_) if mode == Mode::Adaptive => Some("summarized"),
            _ => None,
        };
        let (mode, max_tokens) = fit(mode, bound, card.and_then(|card| card.max_output));
        Self { mode, effort: effort.and_then(word), display, max_tokens }
    }

    /// The wire's `thinking`.
    pub(super) fn wire(&self) -> Option<Wire> {
        let display = self.display;
        match self.mode {
            Mode::Unsaid => None,
            Mode::Disabled => Some(Wire::Disabled),
            Mode::Enabled(budget_tokens) => Some(Wire::Enabled { budget_tokens, display }),
            Mode::Adaptive => Some(Wire::Adaptive { display }),
        }
    }
}

impl Mode {
    /// Whether the model is asked to think.
    pub(super) const fn is_on(self) -> bool {
        matches!(self, Self::Enabled(_) | Self::Adaptive)
    }
}

fn wanted(asked: &ReasoningOptions, style: Option<ReasoningStyle>, bound: Option<u64>) -> Mode {
    let by_word = match style {
        Some(ReasoningStyle::Adaptive | ReasoningStyle::Effort) => true,
        Some(ReasoningStyle::Budget) => false,
        Some(ReasoningStyle::Never) | None => asked.adaptive,
    };
    match asked {
        ReasoningOptions { budget: Some(0), .. } => Mode::Disabled,
        ReasoningOptions { effort: Some(Effort::None), adaptive: false, budget: None, .. } => {
            if by_word {
                Mode::Disabled
            } else {
                Mode::Unsaid
            }
        }
        ReasoningOptions { adaptive: false, effort: None, budget: None, .. } => Mode::Unsaid,
        _ if by_word => Mode::Adaptive,
        ReasoningOptions { budget: Some(budget), .. } => Mode::Enabled((*budget).max(MIN_BUDGET)),
        ReasoningOptions { effort, .. } => {
            Mode::Enabled(budget_of_effort(effort.unwrap_or(Effort::Medium), bound))
        }
    }
}

/// A model that thinks for a set time may not be forced to call a tool, and wants the thinking back
/// that led to its calls; none that thinks has words put into its mouth.
fn is_possible(
    mode: Mode,
    style: Option<ReasoningStyle>,
    choice: Option<&ToolChoice>,
    turns: &Turns<'_>,
) -> bool {
    let is_forced = match choice {
        Some(ToolChoice::Required | ToolChoice::Named(_)) => true,
        Some(ToolChoice::Allowed { required, .. }) => *required,
        Some(ToolChoice::Auto | ToolChoice::None) | None => false,
    };
    let is_timed = matches!(mode, Mode::Enabled(_));
    style != Some(ReasoningStyle::Never)
        && !turns.has_prefill()
        && !(is_timed && (is_forced || turns.lacks_thinking()))
}

/// Makes the bound on the answer larger than that on the thinking.
fn fit(mode: Mode, bound: Option<u64>, most: Option<u64>) -> (Mode, u64) {
    let Mode::Enabled(budget) = mode else { return (mode, bound.unwrap_or(MAX_TOKENS)) };
    let bound = bound.unwrap_or(budget.saturating_add(MAX_TOKENS));
    let raised = max_tokens_for(budget, bound);
    let max_tokens = if raised == bound { bound } else { raised.min(most.unwrap_or(raised)) };
    (Mode::Enabled(budget.min(max_tokens.saturating_sub(1))), max_tokens)
}

const fn word(effort: Effort) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Minimal => Some("low"),
        Effort::Low | Effort::Medium | Effort::High | Effort::XHigh | Effort::Max => {
            Some(effort.as_str())
        }
    }
}
