//! The tools that a model is offered and may call.

use super::*;

#[test]
fn forced_tool_choice_is_relaxed_after_first_round() {
    let forced = |names: &[&str], required| ToolChoice::Allowed {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        required,
    };
    for (choice, next) in [
        (ToolChoice::Required, ToolChoice::Auto),
        (ToolChoice::Named("ours".to_owned()), ToolChoice::Auto),
        (forced(&["ours"], true), forced(&["ours"], false)),
        (ToolChoice::Auto, ToolChoice::Auto),
    ] {
        let script = Script::new(&["g0", "ta"]);
        chunks(&script, ChatRequest { tool_choice: Some(choice.clone()), ..request() });
        let asked = script.asked();
        assert_eq!(asked[0].tool_choice, Some(choice));
        assert_eq!(asked[1].tool_choice, Some(next));
    }
}

#[test]
fn offered_tool_is_added_unless_caller_describes_it() {
    let described = |request: ChatRequest| {
        let script = Script::new(&["ta"]);
        chunks(&script, request);
        let tools = script.asked().remove(0).tools.into_iter().map(|tool| match tool.kind {
            ToolKind::Function(it) => format!("{}: {}", it.name, it.description.unwrap()),
            other @ (ToolKind::Custom(_) | ToolKind::Hosted(_)) => panic!("{other:?}"),
        });
        tools.collect::<Vec<_>>()
    };
    assert_eq!(described(request()), ["theirs: the caller's", "ours: "]);
    let mut shadows = request();
    shadows.tools.push(ToolSpec::function("ours", "shadow", Json::null()));
    assert_eq!(described(shadows), ["theirs: the caller's", "ours: shadow"]);
}

#[test]
fn unlisted_tool_is_not_run() {
    let script = Script::new(&["g0", "tnever"]);
    let provider: Arc<dyn Provider> = Arc::<Script>::clone(&script);
    let tools = Arc::new(OneTool(Echo::new("ours")));
    let known = ToolLoop::new(provider).with_tools(tools);
    let called = |conversation: &ToolLoop, request: ChatRequest| {
        block_on(conversation.run(request)).unwrap().tool_calls().count()
    };
    assert_eq!(called(&known, request()), 1, "neither described nor offered");
    assert_eq!(called(&known.with_offered_tools(["ours"]), request()), 0, "offered");
}

#[test]
fn unknown_offered_tool_is_rejected() {
    let offering = conversation(&Script::new(&["ta"])).with_offered_tools(["missing"]);
    let error = block_on(offering.run(request())).unwrap_err();
    assert_eq!((error.code(), error.param()), ("tool_not_found", Some("tools")));
}

#[test]
fn multiple_choices_disable_tools() {
    let mut request = request();
    request.options.n = Some(2);
    let script = Script::new(&["g0", "tnever"]);
    let answer = block_on(conversation(&script).run(request)).unwrap();
    assert_eq!(answer.tool_calls().count(), 1);
    assert_eq!(script.asked()[0].tools.len(), 1);
}
