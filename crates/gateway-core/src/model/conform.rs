//! Makes a request conform to the rules of its model, before any dialect writes it.

use super::{ForcedTools, ModelRules, ReasoningControl, ReasoningOff, SamplingSupport};
use crate::{
    ChatRequest, Content, Dialect, DroppedParams, Effort, Json, Message, Options, ReasoningOptions,
    Role, ToolChoice,
};
use serde_json::Number;

/// The turn that takes the place of words put into the model's mouth, which newer models refuse.
const CONTINUE: &str = "Continue your last message from where it ends.";

/// Returns `request` as a model with these `rules` accepts it over `dialect`; nothing if it does as
/// it is. What is left behind is noted in `dropped`; a value that changes nothing is no loss.
pub fn conform(
    request: &ChatRequest,
    rules: &ModelRules,
    dialect: Dialect,
    dropped: &mut DroppedParams,
) -> Option<ChatRequest> {
    if *rules == ModelRules::default() {
        return None;
    }
    let mut edited = request.clone();
    conform_tool_choice(&mut edited, rules, dropped);
    // In this dialect, effort alone is more than a wish to reason, and is sent as it is.
    let is_bare = request.dialect == Some(Dialect::Messages) && dialect == Dialect::Messages;
    if rules.reasoning == ReasoningControl::Never {
        drop_reasoning(&mut edited.options, dropped);
    }
    if let Some(reasoning) = &mut edited.options.reasoning {
        if is_bare && !takes_effort(rules) {
            dropped.insert_if(reasoning.effort.take().is_some(), "effort");
        }
        conform_reasoning(reasoning, rules, dialect, dropped);
    }
    let effort = effort(edited.options.reasoning.as_ref());
    conform_sampling(&mut edited.options, rules, effort, dropped);
    conform_options(&mut edited.options, rules, dropped);
    if rules.refuses_prefill {
        replace_prefill(&mut edited.messages, dropped);
    }
    (edited != *request).then_some(edited)
}

/// The effort that a request asks for, as far as it says.
fn effort(reasoning: Option<&ReasoningOptions>) -> Option<Effort> {
    let asked = reasoning?;
    match (asked.effort, asked.budget) {
        (Some(effort), _) => Some(effort),
        (None, Some(budget)) => Some(Effort::of_budget(budget)),
        (None, None) => asked.adaptive.then_some(Effort::Medium),
    }
}

fn conform_tool_choice(request: &mut ChatRequest, rules: &ModelRules, dropped: &mut DroppedParams) {
    let is_forced = match &request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_)) => true,
        Some(ToolChoice::Allowed { required, .. }) => *required,
        Some(ToolChoice::Auto | ToolChoice::None) | None => false,
    };
    if !is_forced {
        return;
    }
    match rules.forced_tools {
        ForcedTools::Unknown | ForcedTools::Always => {}
        ForcedTools::UnlessReasoning => {
            let asked = effort(request.options.reasoning.as_ref());
            if asked.is_some_and(|effort| effort != Effort::None) {
                request.options.reasoning = None;
                dropped.insert("reasoning");
            }
        }
        ForcedTools::Never => {
            dropped.insert("tool_choice");
            request.tool_choice = Some(match request.tool_choice.take() {
                Some(ToolChoice::Allowed { names, .. }) => {
                    ToolChoice::Allowed { names, required: false }
                }
                Some(ToolChoice::Named(name)) => {
                    ToolChoice::Allowed { names: vec![name], required: false }
                }
                Some(ToolChoice::Required | ToolChoice::Auto | ToolChoice::None) | None => {
                    ToolChoice::Auto
                }
            });
        }
    }
}

fn conform_reasoning(
    asked: &mut ReasoningOptions,
    rules: &ModelRules,
    dialect: Dialect,
    dropped: &mut DroppedParams,
) {
    let is_off =
        asked.effort == Some(Effort::None) || asked.budget == Some(0) && asked.effort.is_none();
    let is_always_on = match rules.reasoning {
        ReasoningControl::Adaptive { off: ReasoningOff::Never, .. }
        | ReasoningControl::Budget { off: false, .. } => true,
        ReasoningControl::Effort => {
            !rules.efforts.is_empty() && !rules.efforts.contains(Effort::None)
        }
        ReasoningControl::Adaptive { .. }
        | ReasoningControl::Budget { off: true, .. }
        | ReasoningControl::Never
        | ReasoningControl::Unknown => false,
    };
    if is_off && is_always_on {
        // As little as it can: it always reasons.
        dropped.insert("reasoning_effort");
        asked.summary.get_or_insert_with(|| "omitted".to_owned());
    }
    if is_off && !is_always_on {
        return;
    }
    match rules.reasoning {
        ReasoningControl::Unknown | ReasoningControl::Never => {}
        ReasoningControl::Budget { effort, .. } => {
            let beside_budget = asked.budget.is_some() && asked.effort.is_some();
            if !effort && beside_budget {
                asked.effort = None;
            }
            snap(asked, rules, dialect, effort);
        }
        ReasoningControl::Effort => {
            asked.effort = effort_of(asked);
            asked.budget = None;
            snap(asked, rules, dialect, true);
        }
        ReasoningControl::Adaptive { budget, .. } => {
            if !budget && let Some(tokens) = asked.budget.take() {
                // It is asked to reason, and decides by itself for how long.
                asked.adaptive = true;
                asked.effort = asked.effort.or(Some(Effort::of_budget(tokens)));
            }
            snap(asked, rules, dialect, true);
        }
    }
}

/// Drops reasoning options for a model that has none; the wish not to reason is no loss.
fn drop_reasoning(options: &mut Options, dropped: &mut DroppedParams) {
    let asked = options.reasoning.take();
    let is_on = effort(asked.as_ref()).is_some_and(|effort| effort != Effort::None);
    dropped.insert_if(is_on, "reasoning_effort");
}

/// Whether an effort may be sent, where that is known.
const fn takes_effort(rules: &ModelRules) -> bool {
    match rules.reasoning {
        ReasoningControl::Never | ReasoningControl::Budget { effort: false, .. } => false,
        ReasoningControl::Budget { effort: true, .. }
        | ReasoningControl::Unknown
        | ReasoningControl::Effort
        | ReasoningControl::Adaptive { .. } => true,
    }
}

fn effort_of(asked: &ReasoningOptions) -> Option<Effort> {
    asked.effort.or_else(|| asked.budget.map(Effort::of_budget))
}

/// Moves the effort to the nearest that the model takes.
fn snap(asked: &mut ReasoningOptions, rules: &ModelRules, dialect: Dialect, takes_effort: bool) {
    if !takes_effort {
        return;
    }
    let set = match dialect {
        Dialect::Responses => rules.efforts.with(rules.efforts_of_responses),
        Dialect::Chat | Dialect::Messages | Dialect::Gemini | Dialect::Ollama => rules.efforts,
    };
    asked.effort = asked.effort.map(|effort| set.nearest(effort));
}

fn conform_sampling(
    options: &mut Options,
    rules: &ModelRules,
    effort: Option<Effort>,
    dropped: &mut DroppedParams,
) {
    match rules.sampling {
        SamplingSupport::Unknown | SamplingSupport::Free => {}
        SamplingSupport::OneOf => keep_one(options, dropped),
        SamplingSupport::UnlessReasoning if !rules.reasons(effort) => {}
        SamplingSupport::WithoutReasoning if effort == Some(Effort::None) => {}
        SamplingSupport::UnlessReasoning
        | SamplingSupport::WithoutReasoning
        | SamplingSupport::Refused
        | SamplingSupport::Neutral
        | SamplingSupport::NeutralOneOf => drop_sampling(options, dropped),
    }
}

/// Drops what the model refuses. Values that change nothing are left out as well, and are no loss.
fn drop_sampling(options: &mut Options, dropped: &mut DroppedParams) {
    let matters = |number: &Option<Number>| number.as_ref().is_some_and(|it| !is(it, 1.0));
    dropped.insert_if(matters(&options.temperature), "temperature");
    dropped.insert_if(matters(&options.top_p), "top_p");
    dropped.insert_if(options.top_k.is_some(), "top_k");
    dropped.insert_if(options.logprobs == Some(true), "logprobs");
    dropped.insert_if(options.top_logprobs.is_some_and(|it| it > 0), "top_logprobs");
    options.temperature = None;
    options.top_p = None;
    options.top_k = None;
    options.logprobs = None;
    options.top_logprobs = None;
}

/// Keeps the one of `temperature` and `top_p` that changes something.
fn keep_one(options: &mut Options, dropped: &mut DroppedParams) {
    let (Some(temperature), Some(top_p)) = (&options.temperature, &options.top_p) else { return };
    if is(temperature, 1.0) && !is(top_p, 1.0) {
        options.temperature = None;
    } else {
        dropped.insert_if(!is(top_p, 1.0), "top_p");
        options.top_p = None;
    }
}

fn conform_options(options: &mut Options, rules: &ModelRules, dropped: &mut DroppedParams) {
    if rules.refuses_penalties {
        for (slot, name) in [
            (&mut options.presence_penalty, "presence_penalty"),
            (&mut options.frequency_penalty, "frequency_penalty"),
        ] {
            dropped.insert_if(slot.take().is_some_and(|it| !is(&it, 0.0)), name);
        }
        let bias = options.logit_bias.take();
        dropped.insert_if(bias.as_ref().map(Json::get).is_some_and(|it| it != "{}"), "logit_bias");
    }
    if rules.refuses_stop {
        dropped.insert_if(!std::mem::take(&mut options.stop).is_empty(), "stop");
    }
    if rules.refuses_choices {
        dropped.insert_if(options.n.take().is_some_and(|n| n > 1), "n");
    }
}

/// Asks in a turn of the user for what a prefill asks for.
fn replace_prefill(messages: &mut Vec<Message>, dropped: &mut DroppedParams) {
    let is_prefill = messages.last().is_some_and(|last| {
        let says = |part: &crate::Part| matches!(&part.content, Content::Text(_));
        let calls = |part: &crate::Part| matches!(&part.content, Content::ToolCall(_));
        last.role == Role::Assistant && last.parts.iter().any(says) && !last.parts.iter().any(calls)
    });
    if is_prefill {
        dropped.insert("prefill");
        messages.push(Message::text(Role::User, CONTINUE));
    }
}

fn is(number: &Number, value: f64) -> bool {
    number.as_f64().is_some_and(|it| (it - value).abs() < f64::EPSILON)
}

#[cfg(test)]
mod tests;
