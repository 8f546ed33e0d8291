//! Whatever the shape of a conversation, it arrives as turns that the provider takes.

use super::send;
use gateway_core::{ChatRequest, Content, Message, Role, ToolCall, ToolResult};
use proptest::prelude::*;
use serde_json::Value;

fn message() -> impl Strategy<Value = Message> {
    let role = prop_oneof![
        Just(Role::System),
        Just(Role::Developer),
        Just(Role::User),
        Just(Role::Assistant),
        Just(Role::Tool),
    ];
    (role, prop::collection::vec(content(), 0..4)).prop_map(|(role, mut parts)| {
        let is_ours = |content: &Content| {
            if matches!(content, Content::ToolCall(_)) {
                role == Role::Assistant
            } else {
                matches!(content, Content::ToolResult(_)) == (role == Role::Tool)
            }
        };
        parts.retain(is_ours);
        Message::new(role, parts)
    })
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        prop_oneof![Just(""), Just(" \n"), Just("a"), Just("b ")]
            .prop_map(|text| Content::Text(text.to_owned())),
        ("[ a-z.:]{0,4}", "[{}a\"1:]{0,4}").prop_map(|(id, arguments)| {
            Content::ToolCall(ToolCall {
                id,
                name: "f".to_owned(),
                arguments,
                ..ToolCall::default()
            })
        }),
        "[ a-z.:]{0,4}".prop_map(|call_id| Content::ToolResult(ToolResult {
            call_id,
            name: None,
            parts: Vec::new(),
            is_error: false,
        })),
    ]
}

fn blocks(turn: &Value) -> Vec<Value> {
    let content = &turn["content"];
    let plain = || vec![serde_json::json!({"type": "text", "text": content})];
    content.as_array().cloned().unwrap_or_else(plain)
}

proptest! {
    #[test]
    fn turns_alternate_and_start_with_results(messages in prop::collection::vec(message(), 1..10)) {
        let request = ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() };
        let Ok((sent, _)) = send(request, None) else { return Ok(()) };
        let turns = sent["messages"].as_array().unwrap();
        prop_assert!(!turns.is_empty());
        prop_assert!(turns.windows(2).all(|two| two[0]["role"] != two[1]["role"]));
        for turn in turns {
            let blocks = blocks(turn);
            prop_assert!(!blocks.is_empty());
            let kinds: Vec<_> = blocks.iter().map(|it| it["type"].as_str().unwrap()).collect();
            let results = kinds.iter().take_while(|kind| **kind == "tool_result").count();
            prop_assert!(!kinds[results..].contains(&"tool_result"), "results come first");
            for block in &blocks {
                let text = block["text"].as_str().unwrap_or("x");
                prop_assert!(!text.trim().is_empty());
                let id = block["id"].as_str().or(block["tool_use_id"].as_str()).unwrap_or("x");
                prop_assert!(!id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
                prop_assert!(block.get("input").is_none_or(Value::is_object));
            }
        }
        let last = blocks(turns.last().unwrap()).pop().unwrap();
        let is_models = turns.last().unwrap()["role"] == "assistant";
        let text = last["text"].as_str().unwrap_or("x");
        prop_assert!(!is_models || text.trim_end() == text, "a prefill ends in a word");
    }
}
