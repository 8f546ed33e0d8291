//! Callers: where they ask, and how they put a wish.

use super::story::{PICTURE, WantedFeature, WantedFeatures};
use serde_json::{Value, json};

/// The dialect of a caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CallerDialect {
    Chat,
    Responses,
    Messages,
}

impl CallerDialect {
    pub(super) const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// The body of a request, but for the model and whether it streams.
    pub(super) fn ask(self, wish: WantedFeatures) -> Value {
        match self {
            Self::Chat => chat(wish),
            Self::Responses => responses(wish),
            Self::Messages => messages(wish),
        }
    }
}

fn chat(wish: WantedFeatures) -> Value {
    let url = json!({ "url": data_url() });
    let content = if wish.has(WantedFeature::Image) {
        json!([{ "type": "text", "text": "Hello" }, { "type": "image_url", "image_url": url }])
    } else {
        json!("Hello")
    };
    let mut list = vec![json!({ "role": "user", "content": content })];
    if wish.has(WantedFeature::History) {
        let function =
            json!({ "name": "look", "arguments": json!({ "city": "Bergen" }).to_string() });
        let call = json!({ "id": "call_before", "type": "function", "function": function });
        list.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] }));
        list.push(json!({ "role": "tool", "tool_call_id": "call_before", "content": "12 C" }));
    }
    let mut body = json!({ "messages": list });
    if wish.has(WantedFeature::Tools) {
        let tool = |(name, schema): (&str, Value)| json!({ "type": "function", "function": { "name": name, "parameters": schema } });
        body["tools"] = tools().map(tool).into_iter().collect();
    }
    if wish.has(WantedFeature::Schema) {
        let schema = json!({ "name": "judgement", "schema": schema(), "strict": true });
        body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
    }
    if wish.has(WantedFeature::Reasoning) {
        body["reasoning_effort"] = json!("high");
    }
    body
}

fn responses(wish: WantedFeatures) -> Value {
    let mut content = vec![json!({ "type": "input_text", "text": "Hello" })];
    if wish.has(WantedFeature::Image) {
        content.push(json!({ "type": "input_image", "image_url": data_url() }));
    }
    let mut input = vec![json!({ "role": "user", "content": content })];
    if wish.has(WantedFeature::History) {
        let arguments = json!({ "city": "Bergen" }).to_string();
        input.push(json!({
            "type": "function_call", "call_id": "call_before", "name": "look",
            "arguments": arguments,
        }));
        input.push(json!({
            "type": "function_call_output", "call_id": "call_before", "output": "12 C",
        }));
    }
    let mut body = json!({ "input": input });
    if wish.has(WantedFeature::Tools) {
        let tool = |(name, schema): (&str, Value)| json!({ "type": "function", "name": name, "parameters": schema, "strict": false });
        body["tools"] = tools().map(tool).into_iter().collect();
    }
    if wish.has(WantedFeature::Schema) {
        let format = json!({
            "type": "json_schema", "name": "judgement", "schema": schema(), "strict": true,
        });
        body["text"] = json!({ "format": format });
    }
    if wish.has(WantedFeature::Reasoning) {
        body["reasoning"] = json!({ "effort": "high", "summary": "auto" });
    }
    body
}

fn messages(wish: WantedFeatures) -> Value {
    let mut content = vec![json!({ "type": "text", "text": "Hello" })];
    if wish.has(WantedFeature::Image) {
        let source = json!({ "type": "base64", "media_type": "image/png", "data": PICTURE });
        content.push(json!({ "type": "image", "source": source }));
    }
    let mut list = vec![json!({ "role": "user", "content": content })];
    if wish.has(WantedFeature::History) {
        let input = json!({ "city": "Bergen" });
        let call =
            json!({ "type": "tool_use", "id": "toolu_before", "name": "look", "input": input });
        let result =
            json!({ "type": "tool_result", "tool_use_id": "toolu_before", "content": "12 C" });
        list.push(json!({ "role": "assistant", "content": [call] }));
        list.push(json!({ "role": "user", "content": [result] }));
    }
    let mut body = json!({ "max_tokens": 4096, "messages": list });
    if wish.has(WantedFeature::Tools) {
        let tool = |(name, schema): (&str, Value)| json!({ "name": name, "input_schema": schema });
        body["tools"] = tools().map(tool).into_iter().collect();
    }
    if wish.has(WantedFeature::Schema) {
        let format = json!({ "type": "json_schema", "schema": schema() });
        body["output_config"] = json!({ "format": format });
    }
    if wish.has(WantedFeature::Reasoning) {
        body["thinking"] = json!({ "type": "enabled", "budget_tokens": 2048 });
    }
    body
}

fn tools() -> [(&'static str, Value); 2] {
    let city = json!({ "type": "string", "description": "the city to look at" });
    let look = json!({ "type": "object", "properties": { "city": city }, "required": ["city"] });
    [("look", look), ("locate", json!({ "type": "object", "properties": {} }))]
}

fn schema() -> Value {
    json!({
        "type": "object", "properties": { "verdict": { "type": "boolean" } },
        "required": ["verdict"], "additionalProperties": false,
    })
}

fn data_url() -> String {
    format!("data:image/png;base64,{PICTURE}")
}
