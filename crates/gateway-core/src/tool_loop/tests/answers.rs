//! The view of callers and of sessions on a response.

use super::*;

#[test]
fn response_without_tool_calls_passes_through() {
    check(&["rhm thi"], "rhm thi (stop, 1) | rhm thi");
}

#[test]
fn gateway_tool_calls_run_without_being_shown() {
    check(&["ta g0 g0", "tb g1", "tc"], "tabc (stop, 3) | ta g0 / g0=[11] / tb g1 / g1=[1] / tc");
}

#[test]
fn tool_results_keep_call_order_and_include_failures() {
    let slow = r#"{"error":"slow","error_code":"timeout"}"#;
    let script = Script::new(&["tx"]);
    script.turns.lock().unwrap().insert(0, {
        let mut events = events("g0 g1 g2");
        if let StreamEvent::ToolCall(delta) = &mut events[2] {
            delta.arguments = "13".to_owned();
        }
        events
    });
    let kept: Vec<_> = chunks(&script, request())
        .iter()
        .flat_map(|it| &it.completed_messages)
        .map(spell)
        .collect();
    assert_eq!(kept, ["g0 g1 g2", &format!("g0=[1] g1={slow}! g2=[1]"), "tx"]);
}

#[test]
fn caller_tool_call_ends_the_response() {
    check(&["ta c0 tb"], "ta c0 tb (tool_calls, 1) | ta c0 tb");
    check(&["g0", "tb c1", "tnever"], "tb c1 (tool_calls, 2) | g0 / g0=[1] / tb c1");
}

#[test]
fn mixed_turn_returns_all_calls_unexecuted() {
    check(&["c0 g1", "tnever"], "c0 g1 (tool_calls, 1) | c0 g1");
    check(&["g0 c1 g2", "tnever"], "g0 c1 g2 (tool_calls, 1) | g0 c1 g2");
}

#[test]
fn truncated_turn_runs_no_tools() {
    check(&["ta g0 L", "tnever"], "ta g0 (length, 1) | ta g0");
}
