//! The encoding of a request.

use super::*;
use gateway_core::{
    Content, Custom, Effort, File, Image, Json, Message, Options, Part, Reasoning,
    ReasoningOptions, ResponseFormat, Role, Source, ToolCall, ToolChoice, ToolKind, ToolResult,
    ToolSpec,
};
use serde_json::{Number, Value, json};

fn encoded_body(model: &str, request: ChatRequest) -> (Value, String) {
    let encoded = OllamaOutbound::default().encode(&ask(model, request)).unwrap();
    let dropped: Vec<_> = encoded.dropped.iter().collect();
    (serde_json::from_slice(&encoded.to_vec()).unwrap(), dropped.join(" "))
}

/// Checks the member `name` of what is written for `request`.
#[track_caller]
fn check_member(name: &str, request: ChatRequest, expected: &Value) {
    let (body, _) = encoded_body("m", request);
    assert_eq!(body.get(name).unwrap_or(&Value::Null), expected);
}

#[track_caller]
fn check_messages(messages: Vec<Message>, expected: &Value) {
    check_member("messages", ChatRequest { messages, ..ChatRequest::default() }, expected);
}

fn refusal_of(part: Content) -> String {
    let messages = vec![Message::new(Role::User, [part])];
    let request = ChatRequest { messages, ..ChatRequest::default() };
    let error = OllamaOutbound::default().encode(&ask("m", request)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    error.message().to_owned()
}

fn call(id: &str, name: &str, arguments: &str) -> Content {
    Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCall::default()
    })
}

fn result(call_id: &str, text: &str) -> Content {
    Content::ToolResult(ToolResult {
        call_id: call_id.to_owned(),
        name: Some("told".to_owned()),
        parts: vec![Content::Text(text.to_owned()).into()],
        is_error: false,
    })
}

fn picture(source: Source) -> Content {
    Content::Image(Image { source, detail: None })
}

fn inline() -> Source {
    Source::Inline { media_type: "image/png".to_owned(), base64: "AA==".to_owned() }
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec::function(name, "d", Json::parse(r#"{"type":"object"}"#).unwrap())
}

#[test]
fn stream_flag_is_always_written() {
    for stream in [true, false] {
        let request = ChatRequest { stream, ..ChatRequest::default() };
        check_member("stream", request, &json!(stream));
    }
}

#[test]
fn every_message_has_a_role() {
    check_messages(
        vec![
            Message::text(Role::Developer, "a"),
            Message::new(Role::User, ["b", "c"].map(|text| Content::Text(text.to_owned()))),
            Message::new(Role::Assistant, ["d", "e"].map(|text| Content::Text(text.to_owned()))),
            Message::text(Role::Assistant, ""),
            Message::text(Role::User, ""),
        ],
        &json!([
            {"role": "system", "content": "a"},
            {"role": "user", "content": "b\nc"},
            {"role": "assistant", "content": "de"},
            {"role": "user", "content": ""},
        ]),
    );
}

#[test]
fn arguments_are_objects_and_results_are_named() {
    let thought = Content::Reasoning(Reasoning { text: "hm".to_owned(), seal: None });
    check_messages(
        vec![
            Message::new(
                Role::Assistant,
                [thought, call("1", "f", r#"{"x":1}"#), call("2", "g", "")],
            ),
            Message::new(Role::Tool, [result("1", "one")]),
            Message::new(
                Role::User,
                [result("2", "two"), result("3", "three"), Content::Text("go on".to_owned())],
            ),
        ],
        &json!([
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [
                {"id": "1", "function": {"name": "f", "arguments": {"x": 1}}},
                {"id": "2", "function": {"name": "g", "arguments": {}}},
            ]},
            {"role": "tool", "content": "one", "tool_name": "f", "tool_call_id": "1"},
            {"role": "tool", "content": "two", "tool_name": "g", "tool_call_id": "2"},
            {"role": "tool", "content": "three", "tool_name": "told", "tool_call_id": "3"},
            {"role": "user", "content": "go on"},
        ]),
    );
}

#[test]
fn arguments_keep_digits_and_order() {
    let arguments = r#"{"b":5.0,"a":9007199254740993}"#;
    let messages = vec![Message::new(Role::Assistant, [call("1", "f", arguments)])];
    let request = ChatRequest { messages, ..ChatRequest::default() };
    let encoded = OllamaOutbound::default().encode(&ask("m", request)).unwrap();
    assert!(String::from_utf8(encoded.to_vec()).unwrap().contains(arguments));
}

#[test]
fn inline_images_are_sent_and_urls_dropped() {
    check_messages(
        vec![Message::new(Role::User, [picture(inline()), Content::Text("what".to_owned())])],
        &json!([{"role": "user", "content": "what", "images": ["AA=="]}]),
    );
    let url = picture(Source::Url("https://example.com/a.png".to_owned()));
    assert!(refusal_of(url).contains("fetches no URLs"));
    assert!(refusal_of(Content::Audio(inline())).contains("audio"));
    assert!(refusal_of(Content::File(File { source: inline(), name: None })).contains("file"));
}

#[test]
fn unsupported_content_is_dropped() {
    let file = Content::File(File { source: inline(), name: None });
    let messages = vec![Message::new(Role::User, [Content::Text("what".to_owned()), file])];
    let (body, lost) = encoded_body("m", ChatRequest { messages, ..ChatRequest::default() });
    assert_eq!(body["messages"], json!([{"role": "user", "content": "what"}]));
    assert_eq!(lost, "messages.file");
}

#[test]
fn tool_image_joins_its_result() {
    let Content::ToolResult(mut answer) = result("1", "see") else { panic!() };
    answer.parts.push(Part::from(picture(inline())));
    check_messages(
        vec![Message::new(Role::Tool, [Content::ToolResult(answer)])],
        &json!([{"role": "tool", "content": "see", "images": ["AA=="],
            "tool_name": "told", "tool_call_id": "1"}]),
    );
}

#[test]
fn tools_keep_their_shape() {
    let mut bare = tool("g");
    let ToolKind::Function(function) = &mut bare.kind else { panic!() };
    function.parameters = None;
    let function = |name: &str, parameters: Value| {
        json!({"type": "function",
            "function": {"name": name, "description": "d", "parameters": parameters}})
    };
    check_member(
        "tools",
        ChatRequest { tools: vec![tool("f"), bare], ..ChatRequest::default() },
        &json!([
            function("f", json!({"type": "object"})),
            function("g", json!({"type": "object", "properties": {}})),
        ]),
    );
    let custom = Custom { name: "sql".to_owned(), description: None, format: None };
    let tools = vec![ToolSpec { kind: ToolKind::Custom(custom), cache: None }];
    let request = ChatRequest { tools, ..ChatRequest::default() };
    let error = OllamaOutbound::default().encode(&ask("m", request)).unwrap_err();
    assert!(error.message().ends_with("sql"));
}

#[test]
fn tool_choice_filters_tools() {
    let check = |choice: ToolChoice, names: &str, lost: &str| {
        let tools = vec![tool("f"), tool("g")];
        let request =
            ChatRequest { tools, tool_choice: Some(choice.clone()), ..ChatRequest::default() };
        let (body, dropped) = encoded_body("m", request);
        let sent = body["tools"].as_array().into_iter().flatten();
        let sent: Vec<_> = sent.map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
        assert_eq!((sent.join(" ").as_str(), dropped.as_str()), (names, lost), "{choice:?}");
    };
    let allowed = |required| ToolChoice::Allowed { names: vec!["g".to_owned()], required };
    check(ToolChoice::Auto, "f g", "");
    check(ToolChoice::None, "", "");
    check(ToolChoice::Required, "f g", "tool_choice");
    check(ToolChoice::Named("f".to_owned()), "f g", "tool_choice");
    check(allowed(false), "g", "");
    check(allowed(true), "g", "tool_choice");
}

#[test]
fn format_is_a_word_or_a_schema() {
    let check = |format: ResponseFormat, expected: Value| {
        let options = Options { response_format: Some(format), ..Options::default() };
        check_member("format", ChatRequest { options, ..ChatRequest::default() }, &expected);
    };
    let schema = |schema: Option<&str>| ResponseFormat::JsonSchema {
        name: "n".to_owned(),
        description: None,
        schema: schema.map(|schema| Json::parse(schema).unwrap()),
        strict: None,
    };
    check(ResponseFormat::Text, Value::Null);
    check(ResponseFormat::JsonObject, json!("json"));
    check(schema(None), json!("json"));
    check(schema(Some(r#"{"type":"object"}"#)), json!({"type": "object"}));
}

#[test]
fn options_are_mapped() {
    let options = Options {
        max_tokens: Some(9),
        temperature: Number::from_f64(0.5),
        top_p: Number::from_f64(0.9),
        top_k: Some(3),
        stop: vec!["a".to_owned()],
        seed: Some(7.into()),
        presence_penalty: Some(1.into()),
        frequency_penalty: Some(2.into()),
        logprobs: Some(true),
        top_logprobs: Some(2),
        ..Options::default()
    };
    let mut request = ChatRequest { options, ..ChatRequest::default() };
    request.extra.push("repeat_penalty", Json::parse("1.10").unwrap());
    let upstream = OllamaOutbound { num_ctx: Some(8192), keep_alive: Some("5m".to_owned()) };
    let body = upstream.encode(&ask("m", request)).unwrap().to_vec();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let expected = json!({
        "num_ctx": 8192, "num_predict": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 3,
        "stop": ["a"], "seed": 7, "presence_penalty": 1, "frequency_penalty": 2,
        "repeat_penalty": 1.1,
    });
    assert_eq!(body["options"], expected);
    assert_eq!((&body["keep_alive"], &body["logprobs"]), (&json!("5m"), &json!(true)));
    assert_eq!(body["top_logprobs"], json!(2));
}

#[test]
fn numeric_keep_alive_is_seconds() {
    let upstream =
        OllamaOutbound { keep_alive: Some("-1".to_owned()), ..OllamaOutbound::default() };
    let body = upstream.encode(&ask("m", ChatRequest::default())).unwrap().to_vec();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["keep_alive"], json!(-1));
}

#[test]
fn reasoning_is_a_switch_or_a_level() {
    let check = |model: &str, reasoning: ReasoningOptions, expected: Value| {
        let options = Options { reasoning: Some(reasoning), ..Options::default() };
        let (body, _) = encoded_body(model, ChatRequest { options, ..ChatRequest::default() });
        assert_eq!(body.get("think").unwrap_or(&Value::Null), &expected);
    };
    let effort = |effort| ReasoningOptions { effort: Some(effort), ..ReasoningOptions::default() };
    let budget = |budget| ReasoningOptions { budget: Some(budget), ..ReasoningOptions::default() };
    check("qwen3:8b", effort(Effort::None), json!(false));
    check("qwen3:8b", effort(Effort::Low), json!(true));
    check("qwen3:8b", budget(0), json!(false));
    check("qwen3:8b", budget(100), json!(true));
    check("gpt-oss:20b", effort(Effort::None), json!("low"));
    check("gpt-oss:20b", effort(Effort::Max), json!("high"));
    check("gpt-oss:20b", budget(2000), json!("medium"));
    let adaptive = ReasoningOptions { adaptive: true, ..ReasoningOptions::default() };
    check("qwen3:8b", adaptive, json!(true));
    check("qwen3:8b", ReasoningOptions::default(), Value::Null);
}

#[test]
fn unsupported_parameters_are_dropped() {
    let mut request = ChatRequest {
        tools: vec![tool("f")],
        parallel_tool_calls: Some(false),
        options: Options {
            n: Some(2),
            logit_bias: Some(Json::null()),
            verbosity: Some("low".to_owned()),
            user: Some("u".to_owned()),
            service_tier: Some("flex".to_owned()),
            ..Options::default()
        },
        ..ChatRequest::default()
    };
    request.extra.push("store", Json::parse("true").unwrap());
    request.extra.push("metadata", Json::null());
    let (_, dropped) = encoded_body("m", request);
    assert_eq!(dropped, "parallel_tool_calls n logit_bias verbosity user service_tier store");
}
