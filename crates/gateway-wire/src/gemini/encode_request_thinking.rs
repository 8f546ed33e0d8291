//! Maps reasoning options to `thinkingConfig`, by the generation of the model.

use crate::reasoning::{budget_of_effort, effort_of_budget};
use gateway_core::{DroppedParams, Effort, Options, ReasoningOptions, ReasoningStyle, Target};
use serde::Serialize;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThinkingConfigWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

/// The largest budget that every model which takes one accepts.
const MAX_BUDGET: u64 = 24_576;
/// The smallest budget of the models that cannot do without.
const LEAST: i64 = 128;
/// The budget value that leaves the amount of thinking to the model.
const DYNAMIC: i64 = -1;

/// Says what the options say of thinking, in the terms of the model.
pub(super) fn config(
    target: &Target,
    options: &Options,
    dropped: &mut DroppedParams,
) -> Option<ThinkingConfigWire> {
    let wanted = options.reasoning.as_ref()?;
    let is_off = is_off(wanted);
    let style = style(target);
    if style == ReasoningStyle::Never {
        dropped.insert_if(!is_off, "reasoning_effort");
        return None;
    }
    let shown = !is_off && wanted.summary.as_deref() != Some("omitted");
    let mut config = ThinkingConfigWire {
        include_thoughts: shown.then_some(true),
        ..ThinkingConfigWire::default()
    };
    let is_pro = target.model.contains("pro");
    match style {
        ReasoningStyle::Budget | ReasoningStyle::Never => {
            config.thinking_budget = budget(wanted, options.max_tokens, is_pro);
        }
        ReasoningStyle::Effort | ReasoningStyle::Adaptive => {
            let takes_more =
                target.card.as_ref().is_some_and(|card| card.rules.efforts.contains(Effort::XHigh));
            config.thinking_level = level(wanted, is_pro, takes_more);
        }
    }
    Some(config)
}

/// Returns whether `wanted` says: do not think.
fn is_off(wanted: &ReasoningOptions) -> bool {
    match (wanted.effort, wanted.budget) {
        (Some(effort), _) => effort == Effort::None,
        (None, budget) => budget == Some(0),
    }
}

fn budget(wanted: &ReasoningOptions, max_tokens: Option<u64>, is_pro: bool) -> Option<i64> {
    let tokens = match (wanted.budget, wanted.effort) {
        (Some(tokens), _) => tokens,
        (None, Some(effort)) => budget_of_effort(effort, max_tokens).min(MAX_BUDGET),
        (None, None) => return wanted.adaptive.then_some(DYNAMIC),
    };
    let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
    Some(if is_pro { tokens.max(LEAST) } else { tokens })
}

fn level(wanted: &ReasoningOptions, is_pro: bool, takes_more: bool) -> Option<&'static str> {
    let effort = wanted.effort.or_else(|| wanted.budget.map(effort_of_budget))?;
    Some(match effort {
        Effort::None | Effort::Minimal if is_pro => "low",
        Effort::None | Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::XHigh | Effort::Max if takes_more => "xhigh",
        Effort::High | Effort::XHigh | Effort::Max => "high",
    })
}

/// Returns whether the model refuses a history whose calls it did not sign.
pub(super) fn needs_signatures(target: &Target) -> bool {
    style(target) == ReasoningStyle::Effort || generation(&target.model) == Some(3)
}

/// The reasoning style of the model, from the catalogue or else from its name.
fn style(target: &Target) -> ReasoningStyle {
    let known = target.card.as_ref().and_then(|card| card.capabilities.reasoning);
    known.unwrap_or_else(|| match generation(&target.model) {
        Some(0..=2) if !target.model.contains("2.5") => ReasoningStyle::Never,
        // All later models still take a budget, so it does no harm where the name tells nothing.
        Some(0..=2) | None => ReasoningStyle::Budget,
        Some(_) => ReasoningStyle::Effort,
    })
}

/// The generation of a Gemini model.
fn generation(model: &str) -> Option<u32> {
    let name = model.strip_prefix("models/").unwrap_or(model);
    if name.starts_with("gemma") {
        return Some(0);
    }
    let version = name.strip_prefix("gemini-")?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version.get(..end)?.parse().ok()
}

/// Returns whether the model takes no instructions beside the conversation.
pub(super) fn lacks_instructions(target: &Target) -> bool {
    target.model.trim_start_matches("models/").starts_with("gemma")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(model: &str, wanted: ReasoningOptions) -> String {
        let target = Target { model: model.into(), card: None };
        let options = Options { reasoning: Some(wanted), ..Options::default() };
        let mut dropped = DroppedParams::default();
        let config = config(&target, &options, &mut dropped);
        let names: Vec<_> = dropped.iter().map(|name| format!(" -{name}")).collect();
        serde_json::to_string(&config).unwrap() + &names.concat()
    }

    fn effort(effort: Effort) -> ReasoningOptions {
        ReasoningOptions { effort: Some(effort), ..ReasoningOptions::default() }
    }

    fn budget(budget: u64) -> ReasoningOptions {
        ReasoningOptions { budget: Some(budget), ..ReasoningOptions::default() }
    }

    #[test]
    fn generation_two_takes_token_budget() {
        let check = |model: &str, wanted, expected: &str| assert_eq!(asks(model, wanted), expected);
        let flash = "gemini-2.5-flash";
        check(flash, effort(Effort::None), r#"{"thinkingBudget":0}"#);
        check(flash, effort(Effort::Low), r#"{"includeThoughts":true,"thinkingBudget":1024}"#);
        check(flash, effort(Effort::Max), r#"{"includeThoughts":true,"thinkingBudget":24576}"#);
        check(flash, budget(700), r#"{"includeThoughts":true,"thinkingBudget":700}"#);
        check("gemini-2.5-pro", effort(Effort::None), r#"{"thinkingBudget":128}"#);
        let adaptive = ReasoningOptions { adaptive: true, ..ReasoningOptions::default() };
        check(flash, adaptive, r#"{"includeThoughts":true,"thinkingBudget":-1}"#);
    }

    #[test]
    fn generation_three_takes_thinking_level() {
        let check = |model: &str, wanted, expected: &str| assert_eq!(asks(model, wanted), expected);
        let flash = "gemini-3-flash-preview";
        check(flash, effort(Effort::None), r#"{"thinkingLevel":"minimal"}"#);
        check(flash, effort(Effort::XHigh), r#"{"includeThoughts":true,"thinkingLevel":"high"}"#);
        check(flash, budget(2000), r#"{"includeThoughts":true,"thinkingLevel":"medium"}"#);
        check(
            "gemini-3.1-pro",
            effort(Effort::Minimal),
            r#"{"includeThoughts":true,"thinkingLevel":"low"}"#,
        );
    }

    #[test]
    fn thoughts_can_be_excluded() {
        let hidden = ReasoningOptions { summary: Some("omitted".into()), ..effort(Effort::Low) };
        assert_eq!(asks("gemini-3-flash", hidden), r#"{"thinkingLevel":"low"}"#);
    }

    #[test]
    fn model_without_reasoning_gets_no_thinking_config() {
        assert_eq!(asks("gemini-2.0-flash", effort(Effort::High)), "null -reasoning_effort");
        assert_eq!(asks("gemini-2.0-flash", effort(Effort::None)), "null");
    }

    #[test]
    fn signatures_are_required_from_generation_three() {
        let needs = |model: &str| needs_signatures(&Target { model: model.into(), card: None });
        assert!(needs("gemini-3-pro-preview") && needs("models/gemini-3.5-flash"));
        assert!(!needs("gemini-2.5-pro") && !needs("gemma-3-27b-it") && !needs("tuned"));
    }
}
