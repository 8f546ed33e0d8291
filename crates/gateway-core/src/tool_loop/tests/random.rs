//! Any conversation at all.

use super::*;
use proptest::prelude::*;

/// Turns of words, at random; a call may come in several pieces, and in between others.
fn script() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        "t[a-z]{1,3}",
        "r[a-z]{1,3}",
        (0..3u8).prop_map(|at| format!("g{at}")),
        Just("L".to_owned()),
        (0..2u8).prop_map(|at| format!("c{at}")),
    ];
    let turn = prop::collection::vec(word, 0..8).prop_map(|words| words.join(" "));
    prop::collection::vec(turn, 1..12)
}

/// Begins once, ends once, with nothing but counts after; calls are numbered without gaps, and
/// named once.
fn is_well_formed(events: &[StreamEvent]) -> Result<(), TestCaseError> {
    let place = |wanted: fn(&StreamEvent) -> bool| -> Vec<usize> {
        events.iter().enumerate().filter(|(_, it)| wanted(it)).map(|(at, _)| at).collect()
    };
    prop_assert_eq!(place(|it| matches!(it, StreamEvent::Started(_))), [0]);
    let ends = place(|it| matches!(it, StreamEvent::Finished(_)));
    prop_assert_eq!(ends.len(), 1);
    let rest = &events[ends[0] + 1..];
    prop_assert!(rest.iter().all(|it| matches!(it, StreamEvent::Usage(_))));
    let mut calls = 0;
    for event in events {
        if let StreamEvent::ToolCall(delta) = event {
            prop_assert_eq!(delta.name.is_empty(), delta.index < calls);
            prop_assert!(delta.index <= calls, "a gap before {}", delta.index);
            calls = calls.max(delta.index + 1);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn random_tool_loops_form_one_valid_response(turns in script()) {
        let turns: Vec<_> = turns.iter().map(String::as_str).collect();
        let streamed = chunks(&Script::new(&turns), ChatRequest { stream: true, ..request() });
        let events: Vec<_> = streamed.iter().flat_map(|chunk| chunk.events.clone()).collect();
        is_well_formed(&events)?;
        let whole = chunks(&Script::new(&turns), request());
        prop_assert_eq!(whole.len(), 1);
        is_well_formed(&whole[0].events)?;
        let fold = |events: Vec<StreamEvent>| {
            let mut answer = Collector::default();
            answer.extend(events);
            answer.finish()
        };
        prop_assert_eq!(fold(events), fold(whole[0].events.clone()));
        let kept: Vec<_> = streamed.into_iter().flat_map(|chunk| chunk.completed_messages).collect();
        prop_assert_eq!(&kept, &whole[0].completed_messages);
        every_call_is_run_or_shown(&kept, &fold(whole[0].events.clone()).choices)?;
    }
}

/// Each call that is kept has its result right after it; the rest are the caller's to run.
fn every_call_is_run_or_shown(kept: &[Message], shown: &[Choice]) -> Result<(), TestCaseError> {
    let ids =
        |message: &Message| message.tool_calls().map(|call| call.id.clone()).collect::<Vec<_>>();
    let shown: Vec<_> = shown.iter().flat_map(|choice| ids(&choice.message)).collect();
    let mut messages = kept.iter().peekable();
    while let Some(said) = messages.next() {
        prop_assert_eq!(said.role, Role::Assistant);
        let answered = messages.next_if(|next| next.role == Role::Tool).map(|results| {
            let ids = results.parts.iter().filter_map(|part| {
                if let Content::ToolResult(it) = &part.content { Some(&it.call_id) } else { None }
            });
            ids.cloned().collect()
        });
        prop_assert_eq!(ids(said), answered.unwrap_or_else(|| shown.clone()));
    }
    Ok(())
}
