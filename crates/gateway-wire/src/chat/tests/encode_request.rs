//! Requests, written for upstreams of many kinds.

use super::*;
use gateway_core::{
    Content, Effort, Image, Json, Message, Opaque, Options, Reasoning, ReasoningOptions, Role,
    Seal, SealKind, Source, ToolCall, ToolChoice, ToolResult, ToolSpec,
};

/// Writes `request`; returns the body and what was left behind.
fn put(quirks: Quirks, request: ChatRequest) -> (String, String) {
    let stream = request.stream;
    let encoded =
        ChatOutbound { quirks }.encode(&call(Payload::Parsed(Arc::new(request)), stream)).unwrap();
    let dropped = encoded.dropped.iter().collect::<Vec<_>>().join(",");
    (String::from_utf8(encoded.to_vec()).unwrap(), dropped)
}

/// Decodes a request of `members` and writes it; `expected` is what follows the messages.
#[track_caller]
fn check(quirks: Quirks, members: &str, expected: &str, expected_dropped: &str) {
    let request = composed_request(members).request().unwrap().clone();
    let (body, dropped) = put(quirks, request);
    let head = r#"{"model":"sent","messages":[{"role":"user","content":"hi"}]"#;
    assert_eq!(body.strip_prefix(head).expect(&body).strip_suffix('}').unwrap(), expected);
    assert_eq!(dropped, expected_dropped);
    serde_json::from_str::<Value>(&body).unwrap();
}

/// Writes `messages`; `expected` is how they read.
#[track_caller]
fn check_messages(quirks: Quirks, messages: Vec<Message>, expected: &str, expected_dropped: &str) {
    let (body, dropped) = put(quirks, ChatRequest { messages, ..ChatRequest::default() });
    let messages = body.strip_prefix(r#"{"model":"sent","messages":"#).unwrap();
    assert_eq!(messages.strip_suffix('}').unwrap(), expected);
    assert_eq!(dropped, expected_dropped);
}

#[test]
fn parameters_keep_number_spelling() {
    check(
        Quirks::OPENAI,
        r#""temperature":1.0,"top_p":0.25,"seed":9007199254740993,"n":2,"stop":"x","logit_bias":{"50256":-100},"user":"u","custom_thing":{"b" :1,"a":2.50}"#,
        r#","temperature":1.0,"top_p":0.25,"n":2,"stop":["x"],"seed":9007199254740993,"logit_bias":{"50256":-100},"user":"u","custom_thing":{"b" :1,"a":2.50}"#,
        "",
    );
}

#[test]
fn parameter_is_renamed_for_upstream() {
    let asked = r#""max_tokens":5,"seed":1,"top_k":3,"verbosity":"low""#;
    check(
        Quirks::OPENAI,
        asked,
        r#","max_completion_tokens":5,"seed":1,"verbosity":"low""#,
        "top_k",
    );
    check(Quirks::MISTRAL, asked, r#","max_tokens":5,"random_seed":1"#, "top_k,verbosity");
    check(Quirks::COMPATIBLE, asked, r#","max_tokens":5,"top_k":3,"seed":1"#, "verbosity");
}

#[test]
fn stream_usage_is_requested_where_supported() {
    let stream = r#""stream":true"#;
    check(Quirks::OPENAI, stream, r#","stream":true,"stream_options":{"include_usage":true}"#, "");
    check(Quirks::PERPLEXITY, stream, r#","stream":true"#, "");
}

#[test]
fn other_dialects_extra_members_are_dropped() {
    let mut request = ChatRequest::user("m", "hi");
    request.extra.push("store", Json::parse("true").unwrap());
    request.dialect = Some(Dialect::Responses);
    assert!(!put(Quirks::OPENAI, request).0.contains("store"));
}

#[test]
fn reasoning_is_encoded_per_upstream() {
    let high = r#""reasoning_effort":"high""#;
    check(Quirks::OPENAI, high, r#","reasoning_effort":"high""#, "");
    check(
        Quirks::DEEPSEEK,
        high,
        r#","thinking":{"type":"enabled"},"reasoning_effort":"high""#,
        "",
    );
    check(Quirks::OPENROUTER, high, r#","reasoning":{"effort":"high"}"#, "");
    check(
        Quirks::LLAMACPP,
        high,
        r#","chat_template_kwargs":{"enable_thinking":true,"reasoning_effort":"high"}"#,
        "",
    );
    let none = r#""reasoning_effort":"none""#;
    check(Quirks::DEEPSEEK, none, r#","thinking":{"type":"disabled"}"#, "");
    check(Quirks::LLAMACPP, none, r#","chat_template_kwargs":{"enable_thinking":false}"#, "");
    let budget = r#""reasoning":{"max_tokens":3000}"#;
    check(Quirks::OPENAI, budget, r#","reasoning_effort":"medium""#, "");
    check(Quirks::OPENROUTER, budget, r#","reasoning":{"max_tokens":3000}"#, "");
}

const TOOL: &str =
    r#""tools":[{"type":"function","function":{"name":"f","parameters":{"b" :1.0}}}]"#;

#[test]
fn tools_and_tool_choice_are_encoded() {
    let tools = &TOOL[1..];
    let tools = format!(",\"{tools}");
    check(Quirks::OPENAI, TOOL, &tools, "");
    check(
        Quirks::OPENAI,
        &format!(
            r#"{TOOL},"tool_choice":{{"type":"function","function":{{"name":"f"}}}},"parallel_tool_calls":false"#
        ),
        &format!(
            r#"{tools},"tool_choice":{{"type":"function","function":{{"name":"f"}}}},"parallel_tool_calls":false"#
        ),
        "",
    );
    // Without tools there is no choice.
    check(Quirks::OPENAI, r#""tool_choice":"auto","parallel_tool_calls":true"#, "", "");
    check(
        Quirks::COMPATIBLE,
        r#""tools":[{"type":"custom","custom":{"name":"g"}},{"type":"web_search"}]"#,
        r#","tools":[{"type":"web_search"}]"#,
        "tools.custom",
    );
}

#[test]
fn allowed_tools_filter_list_where_unsupported() {
    let asked = r#""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"}]}"#;
    check(
        Quirks::COMPATIBLE,
        asked,
        r#","tools":[{"type":"function","function":{"name":"g"}}],"tool_choice":"required""#,
        "",
    );
    check(
        Quirks::OPENAI,
        asked,
        r#","tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}}"#,
        "",
    );
}

#[test]
fn deepseek_forced_tool_disables_reasoning() {
    let tools = format!(",\"{}", &TOOL[1..]);
    let forced = format!(r#"{TOOL},"tool_choice":"required""#);
    check(
        Quirks::DEEPSEEK,
        &forced,
        &format!(r#"{tools},"tool_choice":"required","thinking":{{"type":"disabled"}}"#),
        "",
    );
    check(
        Quirks::DEEPSEEK,
        &format!(r#"{forced},"reasoning_effort":"low""#),
        &format!(r#"{tools},"thinking":{{"type":"enabled"}},"reasoning_effort":"low""#),
        "tool_choice",
    );
}

#[test]
fn response_schemas_are_encoded() {
    let asked = r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"b" :1},"strict":true}}"#;
    check(Quirks::OPENAI, asked, &format!(",{asked}"), "");
    // Nobody asked for JSON in words, and then it would be refused.
    check(Quirks::DEEPSEEK, asked, "", "response_format.json_schema");
}

fn turn(role: Role, parts: Vec<Content>) -> Message {
    Message::new(role, parts)
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn tool_call() -> Content {
    Content::ToolCall(ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        ..ToolCall::default()
    })
}

fn thought(seal: Option<Seal>) -> Content {
    Content::Reasoning(Reasoning { text: "hm".to_owned(), seal })
}

fn picture() -> Content {
    let source = Source::Inline { media_type: "image/png".to_owned(), base64: "QQ==".to_owned() };
    Content::Image(Image { source, detail: None })
}

#[test]
fn roles_are_mapped() {
    let messages = || {
        vec![turn(Role::Developer, vec![text("a")]), turn(Role::User, vec![text("b"), text("c")])]
    };
    check_messages(
        Quirks::OPENAI,
        messages(),
        r#"[{"role":"developer","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}]"#,
        "",
    );
    check_messages(
        Quirks::DEEPSEEK,
        messages(),
        r#"[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}]"#,
        "",
    );
}

#[test]
fn json_tool_error_stays_json() {
    let error = r#"{"error":"slow"}"#;
    let result = ToolResult {
        call_id: "a".to_owned(),
        name: None,
        parts: vec![text(error).into()],
        is_error: true,
    };
    check_messages(
        Quirks::OPENAI,
        vec![turn(Role::Tool, vec![Content::ToolResult(result)])],
        r#"[{"role":"tool","content":"{\"error\":\"slow\"}","tool_call_id":"a"}]"#,
        "",
    );
}

#[test]
fn tool_results_are_separate_messages_followed_by_images() {
    let result = |id: &str, parts: Vec<Content>, is_error| {
        let parts = parts.into_iter().map(Into::into).collect();
        Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, is_error })
    };
    let messages = || {
        vec![
            turn(
                Role::User,
                vec![
                    result("a", vec![text("1"), picture()], false),
                    result("b", vec![text("2")], true),
                ],
            ),
            turn(Role::Tool, vec![result("c", vec![], false)]),
            turn(Role::User, vec![text("go on")]),
        ]
    };
    check_messages(
        Quirks::OPENAI,
        messages(),
        r#"[{"role":"tool","content":"1","tool_call_id":"a"},{"role":"tool","content":[{"type":"text","text":"Error: "},{"type":"text","text":"2"}],"tool_call_id":"b"},{"role":"tool","content":"","tool_call_id":"c"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}}]},{"role":"user","content":"go on"}]"#,
        "",
    );
    let (body, dropped) =
        put(Quirks::DEEPSEEK, ChatRequest { messages: messages(), ..ChatRequest::default() });
    assert!(!body.contains("image"), "{body}");
    assert_eq!(dropped, "image");
}

#[test]
fn reasoning_history_is_encoded() {
    let details = Seal {
        dialect: Dialect::Chat,
        kind: SealKind::Details,
        id: None,
        data: r#"[{"x": 1}]"#.to_owned(),
    };
    let called = |seal: Option<Seal>| vec![turn(Role::Assistant, vec![thought(seal), tool_call()])];
    let calls =
        r#""tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]"#;
    let with = |member: &str| format!(r#"[{{"role":"assistant","content":null,{member}{calls}}}]"#);
    check_messages(Quirks::OPENAI, called(None), &with(""), "");
    check_messages(Quirks::DEEPSEEK, called(None), &with(r#""reasoning_content":"hm","#), "");
    check_messages(
        Quirks::OPENROUTER,
        called(Some(details)),
        &with(r#""reasoning":"hm","reasoning_details":[{"x": 1}],"#),
        "",
    );
    let bare = vec![turn(Role::Assistant, vec![tool_call()])];
    check_messages(Quirks::DEEPSEEK, bare, &with(r#""reasoning_content":"","#), "");
}

#[test]
fn unsupported_content_is_reported_as_dropped() {
    let opaque = Content::Opaque(Opaque {
        dialect: Dialect::Messages,
        kind: "server_tool_use".to_owned(),
        json: Json::null(),
    });
    let silent = r#"[{"role":"assistant","content":""}]"#;
    check_messages(
        Quirks::OPENAI,
        vec![turn(Role::Assistant, vec![opaque])],
        silent,
        "server_tool_use",
    );
    let refusal = || vec![turn(Role::Assistant, vec![Content::Refusal("no".to_owned())])];
    check_messages(
        Quirks::OPENAI,
        refusal(),
        r#"[{"role":"assistant","content":null,"refusal":"no"}]"#,
        "",
    );
    check_messages(Quirks::GROQ, refusal(), r#"[{"role":"assistant","content":"no"}]"#, "");
}

#[test]
fn strict_request_with_dropped_params_is_rejected() {
    let options = Options { top_k: Some(3), ..Options::default() };
    let request = ChatRequest { options, ..ChatRequest::user("m", "hi") };
    let mut call = call(Payload::Parsed(Arc::new(request)), false);
    call.strict = true;
    let error = ChatOutbound { quirks: Quirks::OPENAI }.encode(&call).unwrap_err();
    assert_eq!(error.param(), Some("top_k"));
}

#[test]
fn streaming_mismatch_reencodes_request() {
    let mut call = original(r#""stream":true,"x":1"#);
    call.stream = false;
    let encoded = ChatOutbound { quirks: Quirks::OPENAI }.encode(&call).unwrap();
    assert_eq!(
        String::from_utf8(encoded.to_vec()).unwrap(),
        r#"{"model":"sent","messages":[{"role":"user","content":"hi"}],"x":1}"#
    );
}

#[test]
fn encoded_request_decodes_to_same_request() {
    let options = Options {
        max_tokens: Some(5),
        reasoning: Some(ReasoningOptions {
            effort: Some(Effort::Low),
            ..ReasoningOptions::default()
        }),
        ..Options::default()
    };
    let request = ChatRequest {
        model: "sent".to_owned(),
        messages: vec![
            turn(Role::Developer, vec![text("a")]),
            turn(Role::User, vec![text("b"), picture()]),
            turn(Role::Assistant, vec![text("c"), tool_call()]),
        ],
        tools: vec![ToolSpec::function("f", "d", Json::parse(r#"{"type" : "object"}"#).unwrap())],
        tool_choice: Some(ToolChoice::Named("f".to_owned())),
        options,
        dialect: Some(Dialect::Chat),
        ..ChatRequest::default()
    };
    let (body, dropped) = put(Quirks::OPENAI, request.clone());
    assert_eq!(dropped, "");
    assert_eq!(ChatInbound.decode()(body.as_bytes()).unwrap(), request);
}
