use super::*;
use crate::{EffortSet, Part};

/// A request with `temperature`, `top_p` and an effort, each if given.
fn asks(temperature: Option<f64>, top_p: Option<f64>, effort: Option<Effort>) -> ChatRequest {
    let mut request = ChatRequest::user("m", "Hello");
    request.options.temperature = temperature.and_then(Number::from_f64);
    request.options.top_p = top_p.and_then(Number::from_f64);
    request.options.reasoning =
        effort.map(|it| ReasoningOptions { effort: Some(it), ..ReasoningOptions::default() });
    request
}

/// What is sent of the options, and after a `-` what is reported as dropped.
fn conformed_request(request: &ChatRequest, rules: &ModelRules, dialect: Dialect) -> String {
    let mut dropped = DroppedParams::default();
    let edited = conform(request, rules, dialect, &mut dropped);
    let options = &edited.as_ref().unwrap_or(request).options;
    let mut words = Vec::new();
    words.extend(options.temperature.as_ref().map(|it| format!("t={it}")));
    words.extend(options.top_p.as_ref().map(|it| format!("p={it}")));
    words.extend(options.top_k.map(|it| format!("k={it}")));
    let reasoning = options.reasoning.as_ref();
    words.extend(reasoning.and_then(|it| it.effort).map(|it| it.as_str().to_owned()));
    words.extend(reasoning.and_then(|it| it.budget).map(|it| format!("b={it}")));
    words.extend(dropped.iter().map(|it| format!("-{it}")));
    words.join(" ")
}

fn sampling(sampling: SamplingSupport) -> ModelRules {
    ModelRules { sampling, reasoning: ReasoningControl::Effort, ..ModelRules::default() }
}

#[test]
fn sampling_parameters_follow_their_rule() {
    let cases = [
        (SamplingSupport::Unknown, Some(0.5), Some(0.9), None, "t=0.5 p=0.9"),
        (SamplingSupport::Free, Some(0.5), Some(0.9), None, "t=0.5 p=0.9"),
        (SamplingSupport::OneOf, Some(0.5), Some(0.9), None, "t=0.5 -top_p"),
        (SamplingSupport::OneOf, Some(1.0), Some(0.9), None, "p=0.9"),
        (SamplingSupport::OneOf, None, Some(0.9), None, "p=0.9"),
        (SamplingSupport::Refused, Some(0.5), Some(0.9), None, "-temperature -top_p"),
        (SamplingSupport::Refused, Some(1.0), Some(1.0), None, ""),
        (SamplingSupport::Neutral, Some(0.5), None, None, "-temperature"),
        (SamplingSupport::WithoutReasoning, Some(0.5), None, None, "-temperature"),
        (SamplingSupport::WithoutReasoning, Some(0.5), None, Some(Effort::None), "t=0.5 none"),
        (SamplingSupport::WithoutReasoning, Some(0.5), None, Some(Effort::Low), "low -temperature"),
    ];
    for (rule, temperature, top_p, effort, expected) in cases {
        let request = asks(temperature, top_p, effort);
        assert_eq!(
            conformed_request(&request, &sampling(rule), Dialect::Chat),
            expected,
            "{rule:?}"
        );
    }
}

#[test]
fn sampling_beside_an_unset_effort_depends_on_the_default() {
    let rules = |default_effort| ModelRules {
        default_effort,
        ..sampling(SamplingSupport::UnlessReasoning)
    };
    let request = asks(Some(0.5), None, None);
    assert_eq!(conformed_request(&request, &rules(Some(Effort::None)), Dialect::Chat), "t=0.5");
    assert_eq!(
        conformed_request(&request, &rules(Some(Effort::Medium)), Dialect::Chat),
        "-temperature"
    );
}

#[test]
fn effort_moves_to_the_nearest_accepted() {
    let rules = ModelRules {
        reasoning: ReasoningControl::Effort,
        efforts: EffortSet::range(Effort::Low, Effort::XHigh),
        efforts_of_responses: EffortSet::of(&[Effort::Max]),
        ..ModelRules::default()
    };
    let cases = [
        (Effort::Minimal, Dialect::Chat, "low"),
        (Effort::Max, Dialect::Chat, "xhigh"),
        (Effort::Max, Dialect::Responses, "max"),
        (Effort::None, Dialect::Chat, "low -reasoning_effort"),
    ];
    for (effort, dialect, expected) in cases {
        assert_eq!(conformed_request(&asks(None, None, Some(effort)), &rules, dialect), expected);
    }
}

#[test]
fn budget_becomes_an_effort_where_no_budget_is_taken() {
    let adaptive = |off| ModelRules {
        reasoning: ReasoningControl::Adaptive { off, budget: false },
        efforts: EffortSet::range(Effort::Low, Effort::Max),
        ..ModelRules::default()
    };
    let mut request = asks(None, None, None);
    let cases = [
        (16_000, ReasoningOff::Never, "high"),
        (0, ReasoningOff::Never, "low -reasoning_effort"),
        (0, ReasoningOff::Yes, "b=0"),
    ];
    for (budget, off, expected) in cases {
        let budget = Some(budget);
        request.options.reasoning =
            Some(ReasoningOptions { budget, ..ReasoningOptions::default() });
        assert_eq!(
            conformed_request(&request, &adaptive(off), Dialect::Messages),
            expected,
            "{budget:?}"
        );
    }
}

#[test]
fn forced_tool_is_only_offered_where_forcing_is_refused() {
    let mut request = asks(None, None, Some(Effort::High));
    request.tool_choice = Some(ToolChoice::Named("f".into()));
    let choice = |forced_tools| {
        let rules = ModelRules { forced_tools, ..ModelRules::default() };
        let mut dropped = DroppedParams::default();
        let edited = conform(&request, &rules, Dialect::Messages, &mut dropped);
        let names: Vec<_> = dropped.iter().map(str::to_owned).collect();
        (edited.map(|it| (it.tool_choice, it.options.reasoning.is_some())), names.join(" "))
    };
    let allowed = ToolChoice::Allowed { names: vec!["f".into()], required: false };
    let named = ToolChoice::Named("f".into());
    assert_eq!(choice(ForcedTools::Always), (None, String::new()));
    assert_eq!(choice(ForcedTools::Never), (Some((Some(allowed), true)), "tool_choice".into()));
    let without_reasoning = (Some((Some(named), false)), "reasoning".into());
    assert_eq!(choice(ForcedTools::UnlessReasoning), without_reasoning);
}

#[test]
fn prefill_becomes_a_turn_of_the_user() {
    let rules = ModelRules { refuses_prefill: true, ..ModelRules::default() };
    let mut request = ChatRequest::user("m", "Hello");
    let mut dropped = DroppedParams::default();
    assert_eq!(conform(&request, &rules, Dialect::Messages, &mut dropped), None);
    request.messages.push(Message::text(Role::Assistant, "{"));
    let edited = conform(&request, &rules, Dialect::Messages, &mut dropped).unwrap();
    assert_eq!(edited.messages.len(), 3);
    assert_eq!(edited.messages.last().map(|it| it.role), Some(Role::User));
    assert_eq!(dropped.iter().collect::<Vec<_>>(), ["prefill"]);
}

#[test]
fn turn_that_calls_tools_is_no_prefill() {
    let rules = ModelRules { refuses_prefill: true, ..ModelRules::default() };
    let mut request = ChatRequest::user("m", "Hello");
    let mut turn = Message::text(Role::Assistant, "Let me see.");
    turn.parts.push(Part::from(Content::ToolCall(crate::ToolCall::default())));
    request.messages.push(turn);
    assert_eq!(conform(&request, &rules, Dialect::Gemini, &mut DroppedParams::default()), None);
}

#[test]
fn parameters_that_are_refused_are_dropped_by_name() {
    let rules = ModelRules {
        refuses_penalties: true,
        refuses_stop: true,
        refuses_choices: true,
        ..ModelRules::default()
    };
    let mut request = ChatRequest::user("m", "Hello");
    request.options.presence_penalty = Some(1.into());
    request.options.frequency_penalty = Some(0.into());
    request.options.stop = vec!["END".into()];
    request.options.n = Some(2);
    let mut dropped = DroppedParams::default();
    let edited = conform(&request, &rules, Dialect::Chat, &mut dropped).unwrap();
    assert_eq!(edited.options, Options::default());
    assert_eq!(dropped.iter().collect::<Vec<_>>(), ["presence_penalty", "stop", "n"]);
}

#[test]
fn effort_beside_messages_is_dropped_where_the_model_has_none() {
    let rules = ModelRules {
        reasoning: ReasoningControl::Budget { effort: false, off: true },
        ..ModelRules::default()
    };
    let mut request = asks(None, None, Some(Effort::High));
    assert_eq!(conformed_request(&request, &rules, Dialect::Messages), "high");
    request.dialect = Some(Dialect::Messages);
    assert_eq!(conformed_request(&request, &rules, Dialect::Messages), "-effort");
}

#[test]
fn model_that_cannot_stop_reasoning_does_not_show_it() {
    let rules = ModelRules {
        reasoning: ReasoningControl::Effort,
        efforts: EffortSet::range(Effort::Minimal, Effort::High),
        ..ModelRules::default()
    };
    let request = asks(None, None, Some(Effort::None));
    let edited = conform(&request, &rules, Dialect::Gemini, &mut DroppedParams::default()).unwrap();
    let reasoning = edited.options.reasoning.unwrap();
    assert_eq!(
        (reasoning.effort, reasoning.summary.as_deref()),
        (Some(Effort::Minimal), Some("omitted"))
    );
}
