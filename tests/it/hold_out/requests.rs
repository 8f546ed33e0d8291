//! Requests of callers who know nothing of the rules of new models.

use serde_json::{Value, json};

const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Returns requests for `model` in each dialect, each with another wish, by their paths.
pub(super) fn requests(model: &str) -> Vec<(&'static str, Value)> {
    let all = [
        ("/v1/chat/completions", of_chat(), json!({ "messages": [user()] })),
        ("/v1/responses", of_responses(), json!({ "input": "Hi" })),
        ("/v1/messages", of_messages(), json!({ "max_tokens": 10_000, "messages": [user()] })),
    ];
    let mut requests = Vec::new();
    for (path, wishes, plain) in all {
        for wish in wishes {
            let mut body = plain.clone();
            body["model"] = model.into();
            for (name, value) in wish.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            requests.push((path, body));
        }
    }
    requests
}

fn user() -> Value {
    json!({ "role": "user", "content": "Hi" })
}

/// A schema with a member that is not required, and an object that is open.
fn schema() -> Value {
    json!({ "type": "object", "properties": { "a": { "type": "string" }, "b": { "type": "object",
        "properties": { "c": { "type": "integer" } } } }, "required": ["a"] })
}

fn of_chat() -> Vec<Value> {
    let function = json!({ "name": "f", "parameters": schema() });
    let tools = json!([{ "type": "function", "function": function }]);
    let call = json!({ "id": "call_1", "type": "function",
        "function": { "name": "f", "arguments": "{\"a\":\"b\"}" } });
    let loop_of_tools = json!([user(), { "role": "assistant", "tool_calls": [call] },
        { "role": "tool", "tool_call_id": "call_1", "content": "c" }]);
    let mut wishes: Vec<_> = EFFORTS.map(|effort| json!({ "reasoning_effort": effort })).into();
    wishes.extend([
        json!({}),
        json!({ "temperature": 0.3, "top_p": 0.9, "max_tokens": 500 }),
        json!({ "temperature": 0.3, "reasoning_effort": "high" }),
        json!({ "presence_penalty": 0.5, "frequency_penalty": 0.5, "stop": ["END"], "user": "u" }),
        json!({ "tools": tools }),
        json!({ "tools": tools, "tool_choice": "required", "reasoning_effort": "high" }),
        json!({ "tools": tools, "messages": loop_of_tools }),
        json!({ "messages": [user(), { "role": "assistant", "content": "{" }] }),
        json!({ "messages": [{ "role": "developer", "content": "Be brief." }, user()] }),
        json!({ "response_format": { "type": "json_schema",
            "json_schema": { "name": "n", "schema": schema() } } }),
    ]);
    wishes
}

fn of_responses() -> Vec<Value> {
    let tools = json!([{ "type": "function", "name": "f", "parameters": schema() }]);
    let mut wishes: Vec<_> =
        EFFORTS.map(|effort| json!({ "reasoning": { "effort": effort } })).into();
    wishes.extend([
        json!({ "temperature": 0.3, "top_p": 0.9, "max_output_tokens": 500 }),
        json!({ "tools": tools }),
        json!({ "tools": tools, "tool_choice": "required", "reasoning": { "effort": "medium" } }),
        json!({ "text": { "format": { "type": "json_schema", "name": "n", "schema": schema() } } }),
    ]);
    wishes
}

fn of_messages() -> Vec<Value> {
    let mut closed = schema();
    closed["additionalProperties"] = false.into();
    closed["properties"]["b"]["additionalProperties"] = false.into();
    let strict = json!([{ "name": "f", "input_schema": closed, "strict": true }]);
    let plain = json!([{ "name": "f", "input_schema": schema() }]);
    let used = json!([user(),
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "t_1", "name": "f", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t_1", "content": "c" }] }]);
    vec![
        json!({}),
        json!({ "temperature": 0.3 }),
        json!({ "top_k": 5 }),
        json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } }),
        json!({ "thinking": { "type": "enabled", "budget_tokens": 9000 } }),
        json!({ "thinking": { "type": "disabled" } }),
        json!({ "thinking": { "type": "adaptive" }, "output_config": { "effort": "max" } }),
        json!({ "tools": plain, "tool_choice": { "type": "any" } }),
        json!({ "tools": plain, "tool_choice": { "type": "any" },
            "thinking": { "type": "adaptive" } }),
        json!({ "tools": plain, "tool_choice": { "type": "tool", "name": "f" },
            "thinking": { "type": "enabled", "budget_tokens": 2000 } }),
        json!({ "tools": plain, "messages": used }),
        json!({ "tools": strict }),
        json!({ "output_config": { "format": { "type": "json_schema", "schema": closed } } }),
        json!({ "messages": [user(), { "role": "assistant", "content": "{" }] }),
    ]
}
