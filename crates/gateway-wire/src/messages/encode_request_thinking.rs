//! Whether the model is asked to think, and how much.

use super::encode_request_turns::MessageTurns;
use crate::reasoning::{MIN_BUDGET, budget_of_effort, effort_of_budget, max_tokens_for};
use gateway_core::{
    ChatRequest, Dialect, DroppedParams, Effort, ModelCard, ReasoningOptions, ReasoningStyle,
    ToolChoice,
};
use serde::Serialize;

/// The bound on a response, where neither the caller nor the catalogue names one.
const MAX_TOKENS: u64 = 4096;

/// The reasoning configuration of a request.
#[derive(Debug, PartialEq)]
pub(super) struct ThinkingPlan {
    pub(super) mode: ThinkingMode,
    pub(super) effort: Option<&'static str>,
    /// The visibility of thinking: `omitted` or `summarized`.
    pub(super) display: Option<&'static str>,
    pub(super) max_tokens: u64,
}

/// The reasoning mode of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ThinkingMode {
    /// The default of the model; nothing is written.
    Unsaid,
    /// No thinking, stated explicitly.
    Disabled,
    /// For up to so many tokens.
    Enabled(u64),
    /// An amount of thinking that the model chooses.
    Adaptive,
}

/// `thinking` on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ThinkingOutWire {
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

impl ThinkingPlan {
    /// Plans the reasoning of a request from the caller's options, the model's catalogue entry, and
    /// the other parameters, some of which exclude thinking.
    pub(super) fn new(
        request: &ChatRequest,
        card: Option<&ModelCard>,
        turns: &MessageTurns<'_>,
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
        let mut mode = if is_effort_alone {
            ThinkingMode::Unsaid
        } else {
            thinking_budget(asked, style, bound)
        };
        let choice = request.tool_choice.as_ref();
        if mode.is_on() && !is_possible(mode, style, choice, turns) {
            dropped.insert("reasoning");
            mode = ThinkingMode::Unsaid;
        }
        let effort = match mode {
            ThinkingMode::Unsaid | ThinkingMode::Disabled => asked.effort.filter(|_| is_ours),
            ThinkingMode::Enabled(_) => asked.effort.filter(|_| asked.budget.is_some()),
            ThinkingMode::Adaptive => asked.effort.or(asked.budget.map(effort_of_budget)),
        };
        let display = match asked.summary.as_deref() {
            Some("omitted") if mode.is_on() => Some("omitted"),
            Some(_) if mode == ThinkingMode::Adaptive => Some("summarized"),
            _ => None,
        };
        let (mode, max_tokens) = fit(mode, bound, card.and_then(|card| card.max_output));
        Self { mode, effort: effort.and_then(word), display, max_tokens }
    }

    /// The wire form of the plan; `None` if nothing is to be written.
    pub(super) fn wire(&self) -> Option<ThinkingOutWire> {
        let display = self.display;
        match self.mode {
            ThinkingMode::Unsaid => None,
            ThinkingMode::Disabled => Some(ThinkingOutWire::Disabled),
            ThinkingMode::Enabled(budget_tokens) => {
                Some(ThinkingOutWire::Enabled { budget_tokens, display })
            }
            ThinkingMode::Adaptive => Some(ThinkingOutWire::Adaptive { display }),
        }
    }
}

impl ThinkingMode {
    /// Returns whether the model is asked to think.
    pub(super) const fn is_on(self) -> bool {
        matches!(self, Self::Enabled(_) | Self::Adaptive)
    }
}

fn thinking_budget(
    asked: &ReasoningOptions,
    style: Option<ReasoningStyle>,
    bound: Option<u64>,
) -> ThinkingMode {
    let by_word = match style {
        Some(ReasoningStyle::Adaptive | ReasoningStyle::Effort) => true,
        Some(ReasoningStyle::Budget) => false,
        Some(ReasoningStyle::Never) | None => asked.adaptive,
    };
    match asked {
        ReasoningOptions { budget: Some(0), .. } => ThinkingMode::Disabled,
        ReasoningOptions { effort: Some(Effort::None), adaptive: false, budget: None, .. } => {
            if by_word {
                ThinkingMode::Disabled
            } else {
                ThinkingMode::Unsaid
            }
        }
        ReasoningOptions { adaptive: false, effort: None, budget: None, .. } => {
            ThinkingMode::Unsaid
        }
        _ if by_word => ThinkingMode::Adaptive,
        ReasoningOptions { budget: Some(budget), .. } => {
            ThinkingMode::Enabled((*budget).max(MIN_BUDGET))
        }
        ReasoningOptions { effort, .. } => {
            ThinkingMode::Enabled(budget_of_effort(effort.unwrap_or(Effort::Medium), bound))
        }
    }
}

/// A model that thinks for a set time may not be forced to call a tool, and wants the thinking back
/// that led to its calls; none that thinks has words put into its mouth.
fn is_possible(
    mode: ThinkingMode,
    style: Option<ReasoningStyle>,
    choice: Option<&ToolChoice>,
    turns: &MessageTurns<'_>,
) -> bool {
    let is_forced = match choice {
        Some(ToolChoice::Required | ToolChoice::Named(_)) => true,
        Some(ToolChoice::Allowed { required, .. }) => *required,
        Some(ToolChoice::Auto | ToolChoice::None) | None => false,
    };
    let is_timed = matches!(mode, ThinkingMode::Enabled(_));
    style != Some(ReasoningStyle::Never)
        && !turns.has_prefill()
        && !(is_timed && (is_forced || turns.lacks_thinking()))
}

/// Makes the bound on the response larger than that on the thinking.
fn fit(mode: ThinkingMode, bound: Option<u64>, most: Option<u64>) -> (ThinkingMode, u64) {
    let ThinkingMode::Enabled(budget) = mode else { return (mode, bound.unwrap_or(MAX_TOKENS)) };
    let bound = bound.unwrap_or(budget.saturating_add(MAX_TOKENS));
    let raised = max_tokens_for(budget, bound);
    let max_tokens = if raised == bound { bound } else { raised.min(most.unwrap_or(raised)) };
    (ThinkingMode::Enabled(budget.min(max_tokens.saturating_sub(1))), max_tokens)
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
