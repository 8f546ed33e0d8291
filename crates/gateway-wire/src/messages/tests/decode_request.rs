//! The requests of callers.

use super::decode;
use crate::{InboundDialect as _, messages::MessagesInbound};
use gateway_core::{
    CacheControl, CacheTtl, ChatRequest, Content, Effort, Part, ReasoningOptions, ResponseFormat,
    Role, SealKind, Source, ToolChoice,
};

/// A request with these members besides those that every request has.
fn with(members: &str) -> ChatRequest {
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],{members}}}"#
    );
    decode(&body).unwrap()
}

/// Returns the messages in a short notation.
fn spell(request: &ChatRequest) -> String {
    let message = |message: &gateway_core::Message| {
        let parts: Vec<_> = message.parts.iter().map(part).collect();
        format!("{:?}: {}", message.role, parts.join(" + "))
    };
    request.messages.iter().map(message).collect::<Vec<_>>().join(" | ")
}

fn part(part: &Part) -> String {
    let cached = if part.cache.is_some() { "*" } else { "" };
    let said = match &part.content {
        Content::Text(text) | Content::Refusal(text) => text.clone(),
        Content::Image(image) => format!("image {}", place(&image.source)),
        Content::Audio(source) => format!("sound {}", place(source)),
        Content::File(file) => format!("file {} {:?}", place(&file.source), file.name),
        Content::Reasoning(it) => {
            let seal = it.seal.as_ref().map(|seal| match seal.kind {
                SealKind::Signature => format!("signed {}", seal.data),
                SealKind::Encrypted => format!("hidden {}", seal.data),
                SealKind::Details => "details".to_owned(),
            });
            format!("think {:?} {seal:?}", it.text)
        }
        Content::ToolCall(call) => format!("call {} {} {}", call.id, call.name, call.arguments),
        Content::ToolResult(it) => {
            let parts: Vec<_> = it.parts.iter().map(self::part).collect();
            format!("result {} {} {}", it.call_id, parts.join("+"), it.is_error)
        }
        Content::Opaque(it) => format!("opaque {}", it.kind),
    };
    format!("{said}{cached}")
}

fn place(source: &Source) -> String {
    match source {
        Source::Inline { media_type, base64 } => format!("{media_type} {base64}"),
        Source::Url(url) => url.clone(),
        Source::FileId(id) => id.clone(),
    }
}

#[track_caller]
fn messages(system: &str, messages: &str, expected: &str) {
    let body =
        format!(r#"{{"model":"m","max_tokens":9,"system":{system},"messages":[{messages}]}}"#);
    assert_eq!(spell(&decode(&body).unwrap()), expected);
}

#[test]
fn text_decodes_from_string_or_blocks() {
    messages("null", r#"{"role":"user","content":"a"}"#, "User: a");
    messages(
        r#"[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h","scope":"x"}}]"#,
        r#"{"role":"user","content":["a",{"type":"text","text":"b"}]},{"role":"assistant","content":null}"#,
        "System: s* | User: a + b | Assistant: ",
    );
}

#[test]
fn system_messages_between_turns_are_accepted() {
    messages(
        r#""s""#,
        r#"{"role":"user","content":"a"},{"role":"system","content":[{"type":"text","text":"b"}]}"#,
        "System: s | User: a | System: b",
    );
}

#[test]
fn tool_results_become_tool_messages() {
    messages(
        "null",
        r#"{"role":"assistant","content":[
            {"type":"thinking","thinking":"t","signature":"s"},
            {"type":"thinking","thinking":"u"},
            {"type":"redacted_thinking","data":"d"},
            {"type":"tool_use","id":"1","name":"f","input":{"a": 1.0}}]},
           {"role":"user","content":[
            {"type":"text","text":"and"},
            {"type":"tool_result","tool_use_id":"1","is_error":true,"content":[
                {"type":"text","text":"r"},{"type":"tool_reference","tool_name":"g"}]}]}"#,
        r#"Assistant: think "t" Some("signed s") + think "u" None + think "" Some("hidden d") + call 1 f {"a": 1.0} | Tool: result 1 r+opaque tool_reference true | User: and"#,
    );
}

#[test]
fn images_and_documents_are_decoded() {
    messages(
        "null",
        r#"{"role":"user","content":[
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}},
            {"type":"image","source":{"type":"url","url":"https://x"}},
            {"type":"document","title":"t","source":{"type":"text","media_type":"text/plain","data":"hi"}},
            {"type":"document","source":{"type":"file","file_id":"f"}},
            {"type":"document","source":{"type":"content","content":"c"}},
            {"type":"container_upload","file_id":"g"}]}"#,
        r#"User: image image/png AA + image https://x + file text/plain aGk= Some("t") + file f None + opaque document + opaque container_upload"#,
    );
}

#[test]
fn invalid_value_is_named_in_error() {
    for (body, param) in [
        (r#"{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#, "model"),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#, "max_tokens"),
        (
            r#"{"model":"m","max_tokens":"1","messages":[{"role":"user","content":"x"}]}"#,
            "max_tokens",
        ),
        (r#"{"model":"m","max_tokens":1}"#, "messages"),
        (r#"{"model":"m","max_tokens":1,"messages":[]}"#, "messages"),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"x","content":"x"}]}"#,
            "messages.0.role",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":5}]}"#,
            "messages.0.content",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            "messages.0.content.0",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":[{"name":5}]}"#,
            "tools.0",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"tool"}}"#,
            "tool_choice.name",
        ),
    ] {
        assert_eq!(decode(body).unwrap_err().param(), Some(param), "{body}");
    }
}

#[test]
fn request_without_messages_is_rejected() {
    for (body, is_fine) in [
        (r#"{"model":"m"}"#, false),
        (r#"{"model":"m","messages":[]}"#, false),
        (r#"{"model":"m","messages":"x"}"#, false),
        (r#"{"model":"m","messages":[1]}"#, true),
    ] {
        let limits = crate::json::JsonLimits::default();
        let envelope = crate::envelope::read(body.as_bytes(), &limits).unwrap();
        assert_eq!(MessagesInbound.check(&envelope).is_ok(), is_fine, "{body}");
    }
}

#[test]
fn count_request_needs_no_max_tokens() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
    assert_eq!(MessagesInbound.decode_count()(body).unwrap().options.max_tokens, None);
    assert_eq!(MessagesInbound.write_count(7), br#"{"input_tokens":7}"#);
}

#[track_caller]
fn reasoning(members: &str, expected: Option<&ReasoningOptions>) {
    assert_eq!(with(members).options.reasoning.as_ref(), expected);
}

#[test]
fn thinking_configurations_are_decoded() {
    let unasked = ReasoningOptions::default;
    reasoning(
        r#""thinking":{"type":"enabled","budget_tokens":2000}"#,
        Some(&ReasoningOptions { budget: Some(2000), ..unasked() }),
    );
    reasoning(
        r#""thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"max"}"#,
        Some(&ReasoningOptions {
            adaptive: true,
            effort: Some(Effort::Max),
            summary: Some("auto".to_owned()),
            ..unasked()
        }),
    );
    reasoning(
        r#""thinking":{"type":"disabled"}"#,
        Some(&ReasoningOptions { budget: Some(0), ..unasked() }),
    );
    reasoning(r#""thinking":null"#, None);
    reasoning(r#""thinking":{"type":"yet_unknown"}"#, None);
}

#[test]
fn unknown_effort_word_is_preserved() {
    let request = with(r#""output_config":{"effort":"colossal","task_budget":5}"#);
    assert_eq!(request.options.reasoning, None);
    let kept = request.extra.get("output_config").unwrap().get();
    assert_eq!(kept, r#"{"task_budget":5,"effort":"colossal"}"#);
}

#[test]
fn output_format_decodes_from_two_spellings() {
    for members in [
        r#""output_format":{"type":"json_schema","schema":{"a":1.0}}"#,
        r#""output_config":{"format":{"type":"json_schema","schema":{"a":1.0}}}"#,
    ] {
        let request = with(members);
        let Some(ResponseFormat::JsonSchema { schema: Some(schema), .. }) =
            request.options.response_format
        else {
            panic!("no shape in {members}");
        };
        assert_eq!((schema.get(), request.extra.is_empty()), (r#"{"a":1.0}"#, true));
    }
}

#[test]
fn client_and_server_tools_are_decoded() {
    let request = with(
        r#""tools":[
            {"name":"f","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral","ttl":"1h"}},
            {"type":"custom","name":"g","description":"d","strict":true,"defer_loading":true},
            {"type":"web_search_20250305","name":"web_search"}],
          "tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}"#,
    );
    let names: Vec<_> = request.tools.iter().map(gateway_core::ToolSpec::name).collect();
    assert_eq!(names, ["f", "g", "web_search_20250305"]);
    assert_eq!(request.tools[0].cache, Some(CacheControl { ttl: Some(CacheTtl::OneHour) }));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    assert_eq!(request.parallel_tool_calls, Some(false));
}

#[test]
fn claude_code_request_is_decoded() {
    let request = with(
        r#""stream":true,"temperature":1,"top_k":5,"stop_sequences":["a"],"service_tier":"standard_only",
           "metadata":{"user_id":"u","more":1},"context_management":{"edits":[]},"mcp_servers":[],
           "thinking":{"type":"adaptive"},"output_config":{"effort":"high"},"betas":["x"]"#,
    );
    let options = &request.options;
    assert_eq!((request.stream, options.top_k, options.max_tokens), (true, Some(5), Some(9)));
    assert_eq!(
        (options.user.as_deref(), options.service_tier.as_deref()),
        (Some("u"), Some("default"))
    );
    let kept: Vec<_> = request.extra.iter().map(|(name, _)| name).collect();
    assert_eq!(kept, ["context_management", "mcp_servers", "betas"]);
    assert_eq!(request.messages[0].role, Role::User);
}
