//! The encoding of a request.

use super::*;

#[test]
fn adjacent_messages_of_same_role_are_merged() {
    check_turns(
        PLAIN,
        vec![
            Message::text(Role::User, "a"),
            Message::text(Role::User, "b"),
            Message::text(Role::Assistant, ""),
            Message::text(Role::Assistant, "c"),
        ],
        &json!([
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
            {"role": "model", "parts": [{"text": "c"}]},
        ]),
    );
}

#[test]
fn system_messages_become_system_instruction() {
    let messages = vec![
        Message::text(Role::System, "a"),
        Message::text(Role::User, "b"),
        Message::text(Role::Developer, "c"),
    ];
    let request = ChatRequest { messages, ..ChatRequest::default() };
    let expected = json!({"parts": [{"text": "a"}, {"text": "c"}]});
    check_member("systemInstruction", request, &expected);
}

#[test]
fn contents_are_never_empty() {
    let blank = json!([{"role": "user", "parts": [{"text": " "}]}]);
    let messages = vec![Message::text(Role::System, "a")];
    check_turns(PLAIN, vec![], &blank);
    check_turns(PLAIN, messages.clone(), &blank);
    let said = json!([{"role": "user", "parts": [{"text": "a"}]}]);
    check_turns("gemma-3-27b-it", messages.clone(), &said);
    let request = ChatRequest { messages, ..ChatRequest::default() };
    check_member("systemInstruction", request, &json!({"parts": [{"text": "a"}]}));
}

#[test]
fn gemma_gets_instructions_in_user_turn() {
    let system = Message::text(Role::System, "a");
    check_turns(
        "gemma-3-27b-it",
        vec![system.clone(), Message::text(Role::User, "b")],
        &json!([{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]),
    );
    check_turns(
        "gemma-3-27b-it",
        vec![system, Message::text(Role::Assistant, "b")],
        &json!([
            {"role": "user", "parts": [{"text": "a"}]},
            {"role": "model", "parts": [{"text": "b"}]},
        ]),
    );
}

#[test]
fn tool_results_are_named_and_come_first() {
    check_turns(
        PLAIN,
        vec![
            message(Role::Assistant, [call("1", "f", r#"{"x":5.0}"#), call("2", "g", "")]),
            message(Role::Tool, [result("2", r#"{"ok":true}"#)]),
            Message::text(Role::User, "go on"),
            message(Role::Tool, [result("1", "done")]),
        ],
        &json!([
            {"role": "model", "parts": [
                {"functionCall": {"name": "f", "args": {"x": 5.0}}},
                {"functionCall": {"name": "g", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "g", "response": {"ok": true}}},
                {"functionResponse": {"name": "f", "response": {"result": "done"}}},
                {"text": "go on"},
            ]},
        ]),
    );
}

#[test]
fn parallel_results_keep_call_order() {
    let calls = [("1", "f"), ("2", "g"), ("3", "f")].map(|(id, name)| call(id, name, ""));
    let results = ["3", "2", "1"].map(|id| result(id, id));
    let messages = vec![message(Role::Assistant, calls), message(Role::Tool, results)];
    let (body, _) = encoded_body(PLAIN, ChatRequest { messages, ..ChatRequest::default() });
    let body: Value = serde_json::from_str(&body).unwrap();
    let parts = body["contents"][1]["parts"].as_array().unwrap();
    let answers = parts.iter().map(|part| &part["functionResponse"]["response"]["result"]);
    assert_eq!(answers.collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[test]
fn tool_result_is_an_object() {
    let check = |text: &str, is_error: bool, expected: Value| {
        let Content::ToolResult(mut answer) = result("1", text) else { panic!() };
        answer.is_error = is_error;
        let messages = vec![
            message(Role::Assistant, [call("1", "f", "{}")]),
            message(Role::Tool, [Content::ToolResult(answer)]),
        ];
        let (body, _) = encoded_body(PLAIN, ChatRequest { messages, ..ChatRequest::default() });
        let body: Value = serde_json::from_str(&body).unwrap();
        let part = &body["contents"][1]["parts"][0];
        assert_eq!(part["functionResponse"]["response"], expected);
    };
    check(r#"{"a":1}"#, false, json!({"a": 1}));
    check("[1]", false, json!({"result": [1]}));
    check("5", false, json!({"result": "5"}));
    check("{broken", false, json!({"result": "{broken"}));
    check("no", true, json!({"error": "no"}));
    check(r#"{"a":1}"#, true, json!({"error": {"a": 1}}));
}

#[test]
fn tool_images_follow_their_result() {
    let picture = Image {
        source: Source::Inline { media_type: "image/png".into(), base64: "AA==".into() },
        detail: None,
    };
    let Content::ToolResult(mut answer) = result("1", "see") else { panic!() };
    answer.parts.push(Part::from(Content::Image(picture)));
    check_turns(
        PLAIN,
        vec![
            message(Role::Assistant, [call("1", "f", "{}")]),
            message(Role::Tool, [Content::ToolResult(answer)]),
        ],
        &json!([
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "see"}}},
                {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
            ]},
        ]),
    );
}

#[test]
fn result_without_call_is_rejected() {
    let messages = vec![message(Role::Tool, [result("1", "x")])];
    let request = ChatRequest { messages, ..ChatRequest::default() };
    let error = GeminiOutbound.encode(&ask(PLAIN, request)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(error.param(), Some("messages"));
}

#[test]
fn only_gemini_call_ids_are_returned() {
    let ours = IdGenerator::new(7).next("call_");
    let check = |calls: [Content; 2], id: &str, expected: Value| {
        let messages =
            vec![message(Role::Assistant, calls), message(Role::Tool, [result(id, "{}")])];
        let (body, _) = encoded_body(PLAIN, ChatRequest { messages, ..ChatRequest::default() });
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["contents"][1]["parts"][0]["functionResponse"]["id"], expected);
    };
    let plain = |id| call(id, "f", "{}");
    check([sealed_call("ab12", "s"), plain("cd34")], "cd34", json!("cd34"));
    check([sealed_call("call_12345", "s"), plain("x")], "call_12345", json!("call_12345"));
    check([sealed_call(&ours, "s"), plain("x")], &ours, Value::Null);
    check([plain("toolu_1"), plain("x")], "toolu_1", Value::Null);
}

#[test]
fn signatures_are_returned_in_place() {
    check_turns(
        PLAIN,
        vec![message(
            Role::Assistant,
            [
                reasoning_part("hm", Some(seal(Dialect::Gemini, "s1"))),
                reasoning_part("foreign", Some(seal(Dialect::Messages, "x"))),
                reasoning_part("unsigned", None),
                Content::Text("a".to_owned()),
                reasoning_part("", Some(seal(Dialect::Gemini, "s2"))),
                sealed_call(&IdGenerator::new(1).next("call_"), "s3"),
            ],
        )],
        &json!([{"role": "model", "parts": [
            {"text": "hm", "thought": true, "thoughtSignature": "s1"},
            {"text": "a"},
            {"text": "", "thoughtSignature": "s2"},
            {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s3"},
        ]}]),
    );
}

#[test]
fn missing_signature_gets_placeholder_where_required() {
    let messages = || vec![message(Role::Assistant, [call("1", "f", ""), call("2", "f", "")])];
    let plain = json!({"functionCall": {"name": "f", "args": {}}});
    let mut signed = plain.clone();
    signed["thoughtSignature"] = encode_request_contents::PLACEHOLDER.into();
    let turn = |first| json!([{"role": "model", "parts": [first, plain]}]);
    check_turns(PLAIN, messages(), &turn(plain.clone()));
    check_turns(SIGNING, messages(), &turn(signed));
}

#[test]
fn gemini_parts_are_returned_unchanged() {
    let part = r#"{"executableCode":{"language":"PYTHON","code":"1.0"},"thoughtSignature":"s"}"#;
    let opaque = |dialect| {
        let (kind, json) = ("executableCode".to_owned(), Json::parse(part).unwrap());
        Content::Opaque(Opaque { dialect, kind, json })
    };
    let messages =
        vec![message(Role::Assistant, [opaque(Dialect::Gemini), opaque(Dialect::Messages)])];
    let (body, dropped) = encoded_body(PLAIN, ChatRequest { messages, ..ChatRequest::default() });
    assert!(body.contains(part));
    assert_eq!(dropped, ["executableCode"]);
    let messages = vec![message(Role::User, [opaque(Dialect::Messages)])];
    let request = ChatRequest { messages, ..ChatRequest::default() };
    assert!(GeminiOutbound.encode(&ask(PLAIN, request)).is_err());
}

#[test]
fn arguments_keep_digits_and_order() {
    let arguments = r#"{"b":5.0,"a":9007199254740993,"c":"\ud800"}"#;
    let messages = vec![message(Role::Assistant, [call("1", "f", arguments)])];
    let (body, _) = encoded_body(PLAIN, ChatRequest { messages, ..ChatRequest::default() });
    assert!(body.contains(arguments));
}

#[test]
fn options_are_mapped() {
    let options = Options {
        max_tokens: Some(9),
        temperature: Number::from_f64(0.5),
        top_p: Number::from_f64(0.9),
        top_k: Some(3),
        n: Some(2),
        stop: ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec(),
        seed: Some(7.into()),
        presence_penalty: Some(1.into()),
        frequency_penalty: Some(2.into()),
        logprobs: Some(true),
        top_logprobs: Some(4),
        response_format: Some(ResponseFormat::JsonSchema {
            name: "n".to_owned(),
            description: None,
            schema: Some(Json::parse(r#"{"$ref":"a"}"#).unwrap()),
            strict: Some(true),
        }),
        reasoning: Some(ReasoningOptions {
            effort: Some(Effort::None),
            ..ReasoningOptions::default()
        }),
        ..Options::default()
    };
    check_member(
        "generationConfig",
        ChatRequest { options, ..ChatRequest::default() },
        &json!({
            "temperature": 0.5, "topP": 0.9, "topK": 3, "maxOutputTokens": 9,
            "candidateCount": 2, "stopSequences": ["a", "b", "c", "d", "e"], "seed": 7,
            "presencePenalty": 1, "frequencyPenalty": 2,
            "responseMimeType": "application/json", "responseJsonSchema": {"$ref": "a"},
            "responseLogprobs": true, "logprobs": 4, "thinkingConfig": {"thinkingBudget": 0},
        }),
    );
}

#[test]
fn unsupported_parameters_are_dropped() {
    let picture = Image {
        source: Source::Url("https://example.com/a.png".to_owned()),
        detail: Some("low".to_owned()),
    };
    let mut request = ChatRequest {
        messages: vec![message(Role::User, [Content::Image(picture)])],
        tools: vec![ToolSpec::function("f", "", Json::parse("{}").unwrap())],
        parallel_tool_calls: Some(false),
        options: Options {
            stop: vec!["x".to_owned(); 6],
            logit_bias: Some(Json::null()),
            verbosity: Some("low".to_owned()),
            user: Some("u".to_owned()),
            service_tier: Some("turbo".to_owned()),
            ..Options::default()
        },
        ..ChatRequest::default()
    };
    request.extra.push("store", Json::parse("true").unwrap());
    request.extra.push("metadata", Json::null());
    request.extra.push("safety_settings", Json::parse("[]").unwrap());
    let (body, dropped) = encoded_body(PLAIN, request.clone());
    assert!(body.contains(r#""safetySettings":[]"#));
    let expected = "detail parallel_tool_calls service_tier stop logit_bias verbosity user store";
    assert_eq!(dropped.join(" "), expected);
    request.parallel_tool_calls = Some(true);
    request.messages.clear();
    request.options = Options { service_tier: Some("auto".to_owned()), ..Options::default() };
    assert_eq!(encoded_body(PLAIN, request).1, ["store"]);
}

#[test]
fn service_tier_has_geminis_word() {
    for (word, expected) in [
        ("flex", json!("flex")),
        ("priority", json!("priority")),
        ("fast", json!("priority")),
        ("default", Value::Null),
        ("auto", Value::Null),
    ] {
        let options = Options { service_tier: Some(word.to_owned()), ..Options::default() };
        check_member("serviceTier", ChatRequest { options, ..ChatRequest::default() }, &expected);
    }
}

#[test]
fn continuation_token_of_a_caller_reaches_gemini() {
    let mut request = ChatRequest::default();
    request.extra.push("continuation_token", Json::parse("\"dG9rZW4=\"").unwrap());
    check_member("continuationToken", request, &json!("dG9rZW4="));
}

#[test]
fn tool_choice_without_tools_is_dropped() {
    let tools = vec![ToolSpec::function("f", "d", Json::parse("{}").unwrap())];
    let choice = Some(ToolChoice::Named("f".to_owned()));
    let without = ChatRequest { tool_choice: choice, ..ChatRequest::default() };
    check_member("toolConfig", without.clone(), &Value::Null);
    let expected = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}});
    check_member("toolConfig", ChatRequest { tools, ..without }, &expected);
}

#[test]
fn url_path_holds_only_escaped_model() {
    assert_eq!(
        path("gemini-2.5-pro", GeminiMethod::Generate),
        "models/gemini-2.5-pro:generateContent"
    );
    assert_eq!(path("models/a", GeminiMethod::Stream), "models/a:streamGenerateContent?alt=sse");
    assert_eq!(path("tunedModels/a", GeminiMethod::CountTokens), "tunedModels/a:countTokens");
    assert_eq!(path("../a?b", GeminiMethod::Embed), "models/..%2Fa%3Fb:batchEmbedContents");
}

fn any_content() -> impl Strategy<Value = Content> {
    let text = prop_oneof![Just(String::new()), "[a-z]{1,4}"];
    let id = || "[ab]";
    prop_oneof![
        text.clone().prop_map(Content::Text),
        text.clone().prop_map(Content::Refusal),
        text.prop_map(|text| reasoning_part(&text, None)),
        id().prop_map(|id| call(&id, "f", "")),
        id().prop_map(|id| sealed_call(&id, "s")),
        id().prop_map(|id| result(&id, "x")),
    ]
}

proptest! {
    #[test]
    fn turns_alternate_and_are_never_empty(
        messages in prop::collection::vec(
            (0..4usize, prop::collection::vec(any_content(), 0..4)),
            0..8,
        ),
    ) {
        let roles = [Role::User, Role::Developer, Role::Assistant, Role::Tool];
        let messages = messages
            .into_iter()
            .map(|(role, parts)| message(roles[role], parts))
            .collect();
        let request = ChatRequest { messages, ..ChatRequest::default() };
        // A result that answers nothing, or an instruction that is no text, is refused.
        if let Ok(encoded) = GeminiOutbound.encode(&ask(SIGNING, request)) {
            let body: Value = serde_json::from_slice(&encoded.to_vec()).unwrap();
            let turns = body["contents"].as_array().unwrap();
            prop_assert!(!turns.is_empty());
            prop_assert!(turns.iter().all(|turn| !turn["parts"].as_array().unwrap().is_empty()));
            prop_assert!(turns.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"]));
        }
    }
}
