//! The fields of each caller's dialect: a JSON pointer into a request, and a value that says
//! something. Fields called `zz_...` are invented: those of the future.

use gateway_tests::Dialect;
use serde_json::{Value, json};

/// A field of a request: where it stands, and a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestField {
    pub(super) pointer: &'static str,
    pub(super) value: &'static str,
}

impl RequestField {
    /// Adds the field to `body`, with the object that it is in if that is missing; false if it has
    /// no place there.
    pub(super) fn add_to(self, body: &mut Value) -> bool {
        let (parent, name) = self.pointer.rsplit_once('/').expect("a pointer");
        let value: Value = serde_json::from_str(self.value).expect("JSON");
        if let Some((outer, missing)) = parent.rsplit_once('/')
            && let Some(Value::Object(members)) = body.pointer_mut(outer)
        {
            members.entry(missing).or_insert_with(|| json!({}));
        }
        match body.pointer_mut(parent) {
            Some(Value::Object(members)) => {
                members.insert(name.to_owned(), value);
                true
            }
            Some(Value::Array(items)) => {
                items.push(value);
                true
            }
            _ => false,
        }
    }

    /// The path without indices, as `x-gateway-dropped` names it.
    pub(super) fn name(self) -> String {
        let parts = self.pointer.split('/').filter(|part| !part.is_empty());
        let words = parts.filter(|part| !part.bytes().all(|b| b.is_ascii_digit()) && *part != "-");
        words.collect::<Vec<_>>().join(".")
    }
}

const fn field(pointer: &'static str, value: &'static str) -> RequestField {
    RequestField { pointer, value }
}

/// A dialect that callers speak, with its fields.
#[derive(Debug)]
pub(super) struct CallerTable {
    pub(super) dialect: Dialect,
    pub(super) path: &'static str,
    pub(super) fields: &'static [RequestField],
    base: fn() -> Value,
}

impl CallerTable {
    /// A request of several turns, with a picture, a tool and its result.
    pub(super) fn base(&self, model: &str) -> Value {
        let mut body = (self.base)();
        body["model"] = model.into();
        body
    }
}

pub(super) const TABLES: [CallerTable; 3] = [
    CallerTable {
        dialect: Dialect::Chat,
        path: "/v1/chat/completions",
        fields: CHAT,
        base: chat_base,
    },
    CallerTable {
        dialect: Dialect::Responses,
        path: "/v1/responses",
        fields: RESPONSES,
        base: responses_base,
    },
    CallerTable {
        dialect: Dialect::Messages,
        path: "/v1/messages",
        fields: MESSAGES,
        base: messages_base,
    },
];

const PICTURE: &str = "iVBORw0KGgo=";

fn chat_base() -> Value {
    let picture = format!("data:image/png;base64,{PICTURE}");
    json!({
        "max_completion_tokens": 900,
        "messages": [
            { "role": "system", "content": [{ "type": "text", "text": "Be brief." }] },
            { "role": "user", "content": [
                { "type": "text", "text": "look" },
                { "type": "image_url", "image_url": { "url": picture } },
            ] },
            { "role": "assistant", "content": [{ "type": "text", "text": "I look." }], "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{}" } },
            ] },
            { "role": "tool", "tool_call_id": "call_1", "content": [{ "type": "text", "text": "42" }] },
            { "role": "user", "content": "go on" },
        ],
        "tools": [{ "type": "function", "function": {
            "name": "look", "description": "Looks.", "parameters": { "type": "object" },
        } }],
        "response_format": { "type": "json_schema", "json_schema": {
            "name": "answer", "schema": { "type": "object", "properties": { "a": { "type": "string" } },
            "required": ["a"], "additionalProperties": false } } },
    })
}

fn responses_base() -> Value {
    let picture = format!("data:image/png;base64,{PICTURE}");
    json!({
        "max_output_tokens": 900,
        "store": false,
        "instructions": "Be brief.",
        "input": [
            { "type": "message", "role": "user", "content": [
                { "type": "input_text", "text": "look" },
                { "type": "input_image", "image_url": picture },
            ] },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "I look." }] },
            { "type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "call_1", "output": [{ "type": "input_text", "text": "42" }] },
            { "type": "message", "role": "user", "content": "go on" },
        ],
        "tools": [{
            "type": "function", "name": "look", "description": "Looks.",
            "parameters": { "type": "object" }, "strict": false,
        }],
        "text": { "format": { "type": "json_schema", "name": "answer", "schema": { "type": "object",
            "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false } } },
    })
}

fn messages_base() -> Value {
    json!({
        "max_tokens": 9000,
        "system": [{ "type": "text", "text": "Be brief." }],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "look" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": PICTURE } },
                { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "a page" } },
            ] },
            { "role": "assistant", "content": [
                { "type": "text", "text": "I look." },
                { "type": "tool_use", "id": "toolu_1", "name": "look", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "text", "text": "42" }] },
                { "type": "text", "text": "go on" },
            ] },
        ],
        "tools": [{ "name": "look", "description": "Looks.", "input_schema": { "type": "object" } }],
    })
}

const CHAT: &[RequestField] = &[
    field("/metadata", r#"{"k":"zq1"}"#),
    field("/top_logprobs", "3"),
    field("/temperature", "0.73"),
    field("/top_p", "0.61"),
    field("/user", r#""zq2""#),
    field("/safety_identifier", r#""zq3""#),
    field("/prompt_cache_key", r#""zq4""#),
    field("/prompt_cache_retention", r#""24h""#),
    field("/prompt_cache_options", r#"{"mode":"explicit"}"#),
    field("/prompt_cache_options", r#"{"mode":"explicit","ttl":"12h"}"#),
    field("/moderation", r#"{"model":"zq30","policy":{"input":"zq31","output":"zq32"}}"#),
    field("/tool_choice", r#"{"type":"function","function":{"name":"look"}}"#),
    field(
        "/web_search_options",
        r#"{"user_location":{"type":"approximate","approximate":{"city":"zq33"}}}"#,
    ),
    field("/service_tier", r#""flex""#),
    field("/modalities", r#"["text","audio"]"#),
    field("/verbosity", r#""low""#),
    field("/reasoning_effort", r#""high""#),
    field("/frequency_penalty", "0.37"),
    field("/presence_penalty", "0.39"),
    field("/web_search_options", r#"{"search_context_size":"low"}"#),
    field("/audio", r#"{"voice":"alloy","format":"wav"}"#),
    field("/audio", r#"{"voice":{"id":"zq70"},"format":"wav"}"#),
    field("/function_call", r#"{"name":"look"}"#),
    field("/tool_choice", r#"{"type":"custom","custom":{"name":"zq71"}}"#),
    field("/store", "true"),
    field("/moderation", r#"{"model":"zq5"}"#),
    field("/stop", r#"["zq6"]"#),
    field("/logit_bias", r#"{"50256":-100}"#),
    field("/logprobs", "true"),
    field("/n", "2"),
    field("/prediction", r#"{"type":"content","content":"zq7"}"#),
    field("/seed", "8141"),
    field("/parallel_tool_calls", "false"),
    field("/function_call", r#""none""#),
    field("/functions", r#"[{"name":"zq8","parameters":{"type":"object"}}]"#),
    field("/zz_option", r#""zq9""#),
    field("/thinking", r#"{"type":"enabled","budget_tokens":2000}"#),
    field("/stream_options/zz_option", "true"),
    field("/stream_options/include_obfuscation", "true"),
    field("/messages/0/name", r#""zq10""#),
    field("/messages/0/zz_member", r#""zq11""#),
    field("/messages/0/content/0/zz_member", r#""zq12""#),
    field("/messages/1/name", r#""zq13""#),
    field("/messages/1/zz_member", r#""zq14""#),
    field("/messages/1/cache_control", r#"{"type":"ephemeral"}"#),
    field("/messages/1/content/0/cache_control", r#"{"type":"ephemeral"}"#),
    field("/messages/1/content/0/prompt_cache_breakpoint", r#"{"mode":"explicit"}"#),
    field("/messages/1/content/0/zz_member", r#""zq15""#),
    field("/messages/1/content/1/image_url/detail", r#""low""#),
    field("/messages/1/content/1/image_url/zz_member", r#""zq16""#),
    field("/messages/1/content/1/zz_member", r#""zq17""#),
    field("/messages/1/content/-", r#"{"type":"zz_part","zz":"zq18"}"#),
    field("/messages/1/content/-", r#"{"type":"file","file":{"file_id":"zq19"}}"#),
    field(
        "/messages/1/content/-",
        r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}"#,
    ),
    field(
        "/messages/1/content/-",
        r#"{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}"#,
    ),
    field("/messages/2/name", r#""zq20""#),
    field("/messages/2/refusal", r#""zq21""#),
    field("/messages/2/audio", r#"{"id":"zq22"}"#),
    field("/messages/2/zz_member", r#""zq23""#),
    field("/messages/2/reasoning_content", r#""zq24""#),
    field("/messages/2/content/0/zz_member", r#""zq25""#),
    field("/messages/2/tool_calls/0/zz_member", r#""zq26""#),
    field("/messages/2/tool_calls/0/function/zz_member", r#""zq27""#),
    field(
        "/messages/2/annotations",
        r#"[{"type":"url_citation","url_citation":{"url":"https://zq28"}}]"#,
    ),
    field("/messages/3/name", r#""zq29""#),
    field("/messages/3/zz_member", r#""zq30""#),
    field("/messages/3/content/0/zz_member", r#""zq31""#),
    field("/tools/0/zz_member", r#""zq32""#),
    field("/tools/0/defer_loading", "true"),
    field("/tools/0/cache_control", r#"{"type":"ephemeral"}"#),
    field("/tools/0/function/strict", "true"),
    field("/tools/0/function/zz_member", r#""zq33""#),
    field(
        "/tools/-",
        r#"{"type":"custom","custom":{"name":"zq34","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"zq35"}}}}"#,
    ),
    field("/tools/-", r#"{"type":"zz_tool","name":"zq36"}"#),
    field("/tool_choice", r#""required""#),
    field("/tool_choice", r#"{"type":"function","function":{"name":"look","zz_member":"zq37"}}"#),
    field(
        "/tool_choice",
        r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"look"}}]}}"#,
    ),
    field("/tool_choice", r#"{"type":"zz_choice"}"#),
    field("/response_format/json_schema/strict", "true"),
    field("/response_format/json_schema/description", r#""zq38""#),
    field("/response_format/json_schema/zz_member", r#""zq39""#),
    field("/response_format/zz_member", r#""zq40""#),
    field("/response_format", r#"{"type":"zz_format"}"#),
    field("/response_format", r#"{"type":"json_object"}"#),
];

const RESPONSES: &[RequestField] = &[
    field("/metadata", r#"{"k":"zq1"}"#),
    field("/top_logprobs", "3"),
    field("/temperature", "0.73"),
    field("/top_p", "0.61"),
    field("/user", r#""zq2""#),
    field("/safety_identifier", r#""zq3""#),
    field("/prompt_cache_key", r#""zq4""#),
    field("/prompt_cache_retention", r#""24h""#),
    field("/prompt_cache_options", r#"{"mode":"explicit"}"#),
    field("/max_tool_calls", "7"),
    field("/prompt", r#"{"id":"zq5"}"#),
    field("/prompt", r#"{"id":"zq70","version":"zq71","variables":{"a":"zq72"}}"#),
    field("/moderation", r#"{"model":"zq73","policy":{"input":"zq74","output":"zq75"}}"#),
    field("/prompt_cache_options", r#"{"mode":"explicit","ttl":"12h"}"#),
    field("/reasoning/generate_summary", r#""detailed""#),
    field("/tool_choice", r#"{"type":"mcp","server_label":"zq76"}"#),
    field("/service_tier", r#""flex""#),
    field("/truncation", r#""auto""#),
    field("/include", r#"["message.output_text.logprobs"]"#),
    field("/include", r#"["zz.include"]"#),
    field("/parallel_tool_calls", "false"),
    field("/moderation", r#"{"model":"zq6"}"#),
    field("/zz_option", r#""zq7""#),
    field("/stream_options/include_obfuscation", "true"),
    field("/stream_options/zz_option", "true"),
    field("/text/verbosity", r#""low""#),
    field("/text/zz_member", r#""zq8""#),
    field("/text/format/strict", "true"),
    field("/text/format/description", r#""zq9""#),
    field("/text/format/zz_member", r#""zq10""#),
    field("/text/format", r#"{"type":"zz_format"}"#),
    field("/reasoning/effort", r#""high""#),
    field("/reasoning/summary", r#""detailed""#),
    field("/reasoning/mode", r#""zq11""#),
    field("/reasoning/context", r#""zq12""#),
    field("/reasoning/zz_member", r#""zq13""#),
    field("/tool_choice", r#""required""#),
    field("/tool_choice", r#"{"type":"function","name":"look","zz_member":"zq14"}"#),
    field(
        "/tool_choice",
        r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"look"}]}"#,
    ),
    field("/tool_choice", r#"{"type":"zz_choice"}"#),
    field("/input/0/zz_member", r#""zq15""#),
    field("/input/0/phase", r#""zq16""#),
    field("/input/0/content/0/zz_member", r#""zq17""#),
    field("/input/0/content/0/prompt_cache_breakpoint", r#"{"mode":"explicit"}"#),
    field("/input/0/content/1/detail", r#""low""#),
    field("/input/0/content/1/zz_member", r#""zq18""#),
    field("/input/0/content/-", r#"{"type":"zz_part","zz":"zq19"}"#),
    field("/input/0/content/-", r#"{"type":"input_file","file_id":"zq20"}"#),
    field("/input/0/content/-", r#"{"type":"input_file","file_url":"https://zq21/a.pdf"}"#),
    field(
        "/input/0/content/-",
        r#"{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0=","detail":"zq22"}"#,
    ),
    field("/input/0/content/-", r#"{"type":"input_image","file_id":"zq23"}"#),
    field("/input/1/phase", r#""commentary""#),
    field("/input/1/zz_member", r#""zq24""#),
    field("/input/1/content/0/zz_member", r#""zq25""#),
    field("/input/1/content/-", r#"{"type":"refusal","refusal":"zq26"}"#),
    field("/input/2/namespace", r#""zq27""#),
    field("/input/2/caller", r#"{"type":"program","caller_id":"zq28"}"#),
    field("/input/2/zz_member", r#""zq29""#),
    field("/input/3/caller", r#"{"type":"program","caller_id":"zq30"}"#),
    field("/input/3/zz_member", r#""zq31""#),
    field("/input/3/output/0/zz_member", r#""zq33""#),
    field("/input/-", r#"{"type":"zz_item","zz":"zq34"}"#),
    field(
        "/input/-",
        r#"{"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"zq35","parameters":{"type":"object"}}]}"#,
    ),
    field("/tools/0/zz_member", r#""zq36""#),
    field("/tools/0/strict", "true"),
    field("/tools/0/output_schema", r#"{"type":"object","title":"zq37"}"#),
    field("/tools/0/defer_loading", "true"),
    field("/tools/0/allowed_callers", r#"["programmatic"]"#),
    field(
        "/tools/-",
        r#"{"type":"custom","name":"zq38","format":{"type":"grammar","syntax":"lark","definition":"zq39"},"defer_loading":true}"#,
    ),
    field("/tools/-", r#"{"type":"web_search","search_context_size":"low"}"#),
    field("/tools/-", r#"{"type":"mcp","server_label":"zq40","server_url":"https://zq40"}"#),
    field("/tools/-", r#"{"type":"zz_tool","name":"zq41"}"#),
    field(
        "/tools/-",
        r#"{"type":"namespace","name":"zq42","description":"d","tools":[{"type":"function","name":"zq43","parameters":{"type":"object"}}]}"#,
    ),
];

const MESSAGES: &[RequestField] = &[
    field("/metadata/user_id", r#""zq1""#),
    field("/metadata/zz_member", r#""zq2""#),
    field("/stop_sequences", r#"["zq3"]"#),
    field("/temperature", "0.73"),
    field("/top_p", "0.61"),
    field("/top_k", "17"),
    field("/service_tier", r#""standard_only""#),
    field("/thinking", r#"{"type":"enabled","budget_tokens":2000}"#),
    field("/thinking", r#"{"type":"adaptive","display":"omitted"}"#),
    field(
        "/thinking",
        r#"{"type":"adaptive","block_binding":{"prefix_mismatch_behavior":"drop_block"}}"#,
    ),
    field("/output_config/task_budget", r#"{"type":"tokens","total":70707,"remaining":70701}"#),
    field("/thinking", r#"{"type":"enabled","budget_tokens":2000,"zz_member":"zq4"}"#),
    field("/cache_control", r#"{"type":"ephemeral"}"#),
    field("/container", r#""zq5""#),
    field("/inference_geo", r#""us""#),
    field("/user_profile_id", r#""zq30""#),
    field("/workspace_id", r#""zq31""#),
    field("/billing_policy", r#"{"type":"zq32","bill_to":"zq33"}"#),
    field("/fallback_credit_token", r#"{"mode":"zq34","token":"zq35"}"#),
    field("/container", r#"{"id":"zq36","skills":[{"type":"anthropic","skill_id":"zq37"}]}"#),
    field("/compaction", r#"{"type":"summarize","instructions":"zq38"}"#),
    field("/cache_control", r#"{"type":"ephemeral","ttl":"1h"}"#),
    field("/tool_choice", r#"{"type":"tool","name":"look"}"#),
    field("/mcp_servers", r#"[{"type":"url","name":"zq6","url":"https://zq6"}]"#),
    field("/context_management", r#"{"edits":[{"type":"clear_tool_uses_20250919"}]}"#),
    field("/compaction", r#"{"type":"summarize"}"#),
    field("/speed", r#""fast""#),
    field("/fallbacks", r#"[{"model":"zq7"}]"#),
    field("/diagnostics", r#"{"previous_message_id":"zq8"}"#),
    field("/output_config/effort", r#""high""#),
    field(
        "/output_config/format",
        r#"{"type":"json_schema","schema":{"type":"object","additionalProperties":false}}"#,
    ),
    field("/output_config/task_budget", r#"{"type":"tokens","total":20000}"#),
    field("/output_config/zz_member", r#""zq9""#),
    field("/zz_option", r#""zq10""#),
    field("/system/0/cache_control", r#"{"type":"ephemeral"}"#),
    field("/system/0/citations", r#"[{"type":"char_location","cited_text":"zq11"}]"#),
    field("/system/0/zz_member", r#""zq12""#),
    field("/messages/0/zz_member", r#""zq13""#),
    field("/messages/0/content/0/cache_control", r#"{"type":"ephemeral","ttl":"1h"}"#),
    field("/messages/0/content/0/zz_member", r#""zq14""#),
    field("/messages/0/content/1/zz_member", r#""zq15""#),
    field("/messages/0/content/1/source/zz_member", r#""zq16""#),
    field("/messages/0/content/2/title", r#""zq17""#),
    field("/messages/0/content/2/context", r#""zq18""#),
    field("/messages/0/content/2/citations", r#"{"enabled":true}"#),
    field("/messages/0/content/-", r#"{"type":"zz_part","zz":"zq19"}"#),
    field(
        "/messages/0/content/-",
        r#"{"type":"search_result","source":"https://zq20","title":"t","content":[{"type":"text","text":"zq21"}]}"#,
    ),
    field("/messages/0/content/-", r#"{"type":"container_upload","file_id":"zq22"}"#),
    field(
        "/messages/0/content/-",
        r#"{"type":"document","source":{"type":"file","file_id":"zq23"}}"#,
    ),
    field(
        "/messages/0/content/-",
        r#"{"type":"document","source":{"type":"url","url":"https://zq24/a.pdf"}}"#,
    ),
    field("/messages/1/zz_member", r#""zq25""#),
    field(
        "/messages/1/content/0/citations",
        r#"[{"type":"web_search_result_location","url":"https://zq26","cited_text":"c"}]"#,
    ),
    field("/messages/1/content/1/zz_member", r#""zq27""#),
    field("/messages/1/content/1/caller", r#"{"type":"code_execution_20260120","tool_id":"zq28"}"#),
    field(
        "/messages/1/content/-",
        r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"zq29"}}"#,
    ),
    field("/messages/2/content/0/is_error", "true"),
    field("/messages/2/content/0/zz_member", r#""zq30""#),
    field("/messages/2/content/0/content/0/zz_member", r#""zq31""#),
    field("/tools/0/zz_member", r#""zq32""#),
    field("/tools/0/strict", "true"),
    field("/tools/0/defer_loading", "true"),
    field("/tools/0/allowed_callers", r#"["code_execution_20260120"]"#),
    field("/tools/0/eager_input_streaming", "true"),
    field("/tools/0/input_examples", r#"[{"a":"zq33"}]"#),
    field("/tools/0/cache_control", r#"{"type":"ephemeral"}"#),
    field("/tools/-", r#"{"type":"web_search_20260209","name":"web_search","max_uses":3}"#),
    field("/tools/-", r#"{"type":"memory_20250818","name":"memory"}"#),
    field("/tools/-", r#"{"type":"mcp_toolset","mcp_server_name":"zq34"}"#),
    field("/tools/-", r#"{"type":"zz_tool","name":"zq35"}"#),
    field("/tool_choice", r#"{"type":"auto","disable_parallel_tool_use":true}"#),
    field("/tool_choice", r#"{"type":"auto","zz_member":"zq36"}"#),
    field("/tool_choice", r#"{"type":"any"}"#),
    field("/tool_choice", r#"{"type":"zz_choice"}"#),
];
