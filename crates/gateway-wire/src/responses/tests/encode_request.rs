//! The requests to upstreams.

use super::{composed_request, original};
use crate::{
    InboundDialect as _, OutboundDialect as _,
    responses::{ResponsesInbound, ResponsesOutbound},
};
use gateway_core::{
    Capabilities, ChatRequest, Content, Dialect, Effort, File, Image, Json, Message, ModelCard,
    Opaque, Part, Payload, ProviderRequest, Reasoning, ReasoningOptions, ReasoningStyle, Role,
    Seal, SealKind, Source, ToolCall, ToolChoice, ToolKind, ToolResult, ToolSpec,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{fmt::Write as _, sync::Arc};

/// The body that is sent for `request`, and the names of what was left behind.
fn encode(request: ChatRequest) -> (Value, Vec<String>) {
    let mut call = composed_request();
    call.payload = Payload::Parsed(Arc::new(request));
    encode_call(&call)
}

fn encode_call(call: &ProviderRequest) -> (Value, Vec<String>) {
    let encoded = ResponsesOutbound.encode(call).unwrap();
    let body = serde_json::from_slice(&encoded.to_vec()).unwrap();
    (body, encoded.dropped.iter().map(str::to_owned).collect())
}

#[track_caller]
fn sends(messages: Vec<Message>, expected: &Value) {
    let (body, _) = encode(ChatRequest { messages, ..ChatRequest::user("m", "") });
    assert_eq!(&body["input"], expected);
}

fn sealed(dialect: Dialect) -> Content {
    let seal = Seal {
        dialect,
        kind: SealKind::Encrypted,
        id: Some("rs_1".to_owned()),
        data: "E".to_owned(),
    };
    Content::Reasoning(Reasoning { text: "thinking".to_owned(), seal: Some(seal) })
}

fn call_of(id: &str, custom: bool) -> Content {
    Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        custom,
        ..ToolCall::default()
    })
}

fn result_of(id: &str, parts: Vec<Part>) -> Content {
    Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, is_error: false })
}

#[test]
fn messages_become_items() {
    sends(
        vec![
            Message::text(Role::System, "s"),
            Message::text(Role::User, "u"),
            Message::new(
                Role::Assistant,
                [
                    sealed(Dialect::Responses),
                    Content::Text("t".to_owned()),
                    call_of("c1", false),
                    call_of("c2", true),
                ],
            ),
            Message::new(
                Role::Tool,
                [
                    result_of("c1", vec![Content::Text("1".to_owned()).into()]),
                    result_of("c2", Vec::new()),
                ],
            ),
        ],
        &json!([
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "s"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "u"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "thinking"}],
             "encrypted_content": "E"},
            {"type": "message", "role": "assistant",
             "content": [{"type": "output_text", "text": "t", "annotations": []}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "f", "input": ""},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": ""},
        ]),
    );
}

#[test]
fn reasoning_is_returned_only_to_its_owner_before_output() {
    let said = || Content::Text("t".to_owned());
    let text = json!([{"type": "message", "role": "assistant",
                       "content": [{"type": "output_text", "text": "t", "annotations": []}]}]);
    sends(vec![Message::new(Role::Assistant, [sealed(Dialect::Messages), said()])], &text);
    sends(vec![Message::new(Role::Assistant, [said(), sealed(Dialect::Responses)])], &text);
}

#[test]
fn images_and_documents_are_encoded() {
    let inline = |media_type: &str| Source::Inline {
        media_type: media_type.to_owned(),
        base64: "AA==".to_owned(),
    };
    let image = |source| Content::Image(Image { source, detail: None });
    let file =
        |source, name: Option<&str>| Content::File(File { source, name: name.map(str::to_owned) });
    sends(
        vec![Message::new(
            Role::User,
            [
                image(inline("image/png")),
                image(Source::FileId("i".to_owned())),
                file(inline("application/pdf"), Some("a.pdf")),
                file(Source::Url("https://a.example".to_owned()), Some("unsaid")),
            ],
        )],
        &json!([{"type": "message", "role": "user", "content": [
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
            {"type": "input_image", "file_id": "i", "detail": "auto"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
            {"type": "input_file", "file_url": "https://a.example"},
        ]}]),
    );
}

#[test]
fn store_defaults_to_false_for_translated_requests() {
    let (body, _) = encode(ChatRequest::user("m", "hi"));
    assert_eq!(body["store"], false);
    assert_eq!(body.get("include"), None, "the model may not think");
    let mut request = ChatRequest::user("m", "hi");
    request.options.reasoning =
        Some(ReasoningOptions { effort: Some(Effort::Low), ..ReasoningOptions::default() });
    request.extra.push("store", Json::parse("true").unwrap());
    let (body, dropped) = encode(request);
    assert_eq!(body["store"], true);
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(body["reasoning"], json!({"effort": "low"}));
    assert_eq!(dropped, [""; 0]);
}

#[test]
fn tools_state_their_strictness() {
    let mut request = ChatRequest::user("m", "hi");
    let hosted = |dialect| ToolSpec {
        kind: ToolKind::Hosted(Opaque {
            dialect,
            kind: format!("{dialect}_search"),
            json: Json::parse(r#"{"type":"search"}"#).unwrap(),
        }),
        cache: None,
    };
    request.tools = vec![
        ToolSpec::function("f", "d", Json::parse("{}").unwrap()),
        hosted(Dialect::Responses),
        hosted(Dialect::Messages),
    ];
    request.tool_choice = Some(ToolChoice::Named("f".to_owned()));
    let (body, dropped) = encode(request);
    let function = json!({"type": "function", "name": "f", "description": "d", "parameters": {}, "strict": false});
    assert_eq!(body["tools"], json!([function, {"type": "search"}]));
    assert_eq!(body["tool_choice"], json!({"type": "function", "name": "f"}));
    assert_eq!(dropped, ["messages_search"]);
}

#[test]
fn unsupported_parameters_are_dropped() {
    let mut request = ChatRequest::user("m", "hi");
    request.options.stop = vec!["x".to_owned()];
    request.options.seed = Some(1.into());
    request.options.presence_penalty = Some(0.into());
    request.options.frequency_penalty = Some(1.into());
    request.options.max_tokens = Some(3);
    request.extra.push("prediction", Json::parse("{}").unwrap());
    request.extra.push("modalities", Json::parse(r#"["text"]"#).unwrap());
    request.extra.push("thinking", Json::parse("{}").unwrap());
    request.extra.push("metadata", Json::parse(r#"{"a":"b"}"#).unwrap());
    let (body, dropped) = encode(request);
    assert_eq!(dropped, ["prediction", "thinking", "stop", "seed", "frequency_penalty"]);
    assert_eq!((&body["max_output_tokens"], &body["metadata"]), (&json!(16), &json!({"a": "b"})));
}

#[test]
fn meaning_changing_parameters_are_rejected() {
    let refused = |edit: fn(&mut ChatRequest)| {
        let mut request = ChatRequest::user("m", "hi");
        edit(&mut request);
        let mut call = composed_request();
        call.payload = Payload::Parsed(Arc::new(request));
        ResponsesOutbound.encode(&call).unwrap_err().param().unwrap().to_owned()
    };
    let sound = |request: &mut ChatRequest| {
        let sound = Content::Audio(Source::Url("u".to_owned()));
        request.messages.push(Message::new(Role::User, [sound]));
    };
    assert_eq!(refused(|request| request.options.n = Some(2)), "n");
    assert_eq!(refused(sound), "messages");
    assert_eq!(
        refused(|request| request.extra.push("audio", Json::parse("{}").unwrap())),
        "modalities"
    );
}

#[test]
fn parameters_unsupported_by_model_are_dropped() {
    let mut call = composed_request();
    let mut request = ChatRequest::user("m", "hi");
    request.options.temperature = Some(1.into());
    request.options.reasoning =
        Some(ReasoningOptions { budget: Some(2000), ..ReasoningOptions::default() });
    call.payload = Payload::Parsed(Arc::new(request));
    for (sampling, reasoning, effort, lost) in [
        (None, None, json!("medium"), &[][..]),
        (Some(false), Some(ReasoningStyle::Effort), json!("medium"), &["temperature"][..]),
        (Some(true), Some(ReasoningStyle::Never), Value::Null, &[][..]),
    ] {
        let capabilities = Capabilities { sampling, reasoning, ..Capabilities::default() };
        call.target.card = Some(Arc::new(ModelCard { capabilities, ..ModelCard::new("m", "p") }));
        let (body, dropped) = encode_call(&call);
        assert_eq!(body["reasoning"]["effort"], effort);
        assert_eq!(dropped, lost);
    }
}

/// A request of a caller of this dialect, edited on its way, is sent as the caller wrote it.
#[test]
fn edited_request_keeps_its_members() {
    let body = json!({
        "model": "m", "instructions": "be brief", "store": false, "stream": false,
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\":1.0}"},
            {"type": "function_call_output", "call_id": "c",
             "output": [{"type": "input_image", "image_url": "https://a.example", "detail": "low"}]},
            {"type": "item_reference", "id": "msg_1"},
        ],
        "tools": [
            {"type": "function", "name": "f", "description": null, "parameters": {}, "strict": true},
            {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"type": "namespace", "name": "n", "tools": []},
        ],
        "tool_choice": {"type": "custom", "name": "g"},
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": true}, "verbosity": "low"},
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "user": "u",
        "client_metadata": {"a": 1}, "max_output_tokens": 100, "top_logprobs": 1,
    });
    let request = ResponsesInbound.decode()(body.to_string().as_bytes()).unwrap();
    assert_eq!(encode(request), (body, Vec::new()));
}

#[test]
fn passthrough_request_renames_model() {
    let body = r#"{ "input":"x" , "session_id":"s" , "model" : "m\u0061", "unknown" : 1.0 }"#;
    let sent = ResponsesOutbound.encode(&original(body)).unwrap().to_vec();
    let sent = String::from_utf8(sent).unwrap();
    assert!(sent.contains(r#""model" : "upstream-model", "unknown" : 1.0 }"#), "{sent}");
    assert!(!sent.contains("session_id"), "{sent}");
    assert!(serde_json::from_str::<Value>(&sent).is_ok());
}

#[test]
fn streaming_mismatch_rewrites_stream_flag() {
    let mut call = original(r#"{"model":"m","input":"x","unknown":1.0,"store":true}"#);
    call.stream = true;
    let (body, dropped) = encode_call(&call);
    assert_eq!((&body["stream"], &body["unknown"]), (&json!(true), &json!(1.0)));
    assert_eq!((&body["store"], dropped.len()), (&json!(true), 0));
}

proptest! {
    #[test]
    fn only_the_model_name_changes(
        before in prop::collection::vec(("[a-l]{1,5}", "[^\"\\\\\\x00-\\x1f]{0,8}", " {0,2}"), 0..4),
        model in "[a-z\"\\\\é]{1,8}",
    ) {
        let mut members = String::new();
        let mut names = std::collections::HashSet::new();
        for (name, value, blank) in before.iter().filter(|(name, ..)| names.insert(name.clone())) {
            write!(members, "{blank}\"x{name}\" :{blank}\"{value}\",").unwrap();
        }
        let name = serde_json::to_string(&model).unwrap();
        let body = |name: &str| format!("{{{members}\"input\":\"é\", \"model\": {name} }}");
        let sent = ResponsesOutbound.encode(&original(&body(&name))).unwrap().to_vec();
        prop_assert_eq!(String::from_utf8(sent).unwrap(), body("\"upstream-model\""));
    }
}
