//! The requests of callers.

use super::*;
use crate::InboundDialect as _;

fn decode(members: &Value) -> gateway_core::Result<ChatRequest> {
    let mut body = json!({ "model": "m" });
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    GeminiInbound.decode()(body.to_string().as_bytes())
}

fn conversation(contents: &Value) -> Vec<Message> {
    decode(&json!({ "contents": contents })).unwrap().messages
}

#[track_caller]
fn check_refused(members: &Value, param: &str) {
    let error = decode(members).unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::InvalidRequest, Some(param)), "{error}");
}

fn user(text: &str) -> Value {
    json!([{ "role": "user", "parts": [{ "text": text }] }])
}

#[test]
fn turns_become_messages() {
    let contents = json!([
        { "role": "user", "parts": [{ "text": "a" }, { "text": "b" }] },
        { "parts": [{ "inlineData": { "mimeType": "image/png", "data": "AA==" } }] },
        { "role": "model", "parts": [{ "text": "c" }] },
    ]);
    let image = Content::Image(Image {
        source: Source::Inline { media_type: "image/png".into(), base64: "AA==".into() },
        detail: None,
    });
    let said = [Content::Text("a".into()), Content::Text("b".into()), image];
    let expected = [message(Role::User, said), Message::text(Role::Assistant, "c")];
    assert_eq!(conversation(&contents), expected);
    let short = decode(&json!({ "contents": { "parts": [{ "text": "a" }] } })).unwrap();
    assert_eq!(short.messages, [Message::text(Role::User, "a")]);
}

#[test]
fn both_spellings_are_read() {
    let camel = json!({
        "contents": user("a"), "systemInstruction": { "parts": [{ "text": "s" }] },
        "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["f"] } },
        "generationConfig": { "maxOutputTokens": 5, "topP": 0.5, "topK": 4.0, "stopSequences": ["z"],
            "thinkingConfig": { "includeThoughts": true, "thinkingBudget": 9 } },
        "serviceTier": "standard",
    });
    let snake = json!({
        "contents": user("a"), "system_instruction": { "parts": [{ "text": "s" }] },
        "tool_config": { "function_calling_config":
            { "mode": "ANY", "allowed_function_names": ["f"] } },
        "generation_config": { "max_output_tokens": 5, "top_p": 0.5, "top_k": 4,
            "stop_sequences": ["z"],
            "thinking_config": { "include_thoughts": true, "thinking_budget": 9 } },
        "service_tier": "SERVICE_TIER_STANDARD",
    });
    let request = decode(&camel).unwrap();
    assert_eq!(decode(&snake).unwrap(), request);
    let reasoning = ReasoningOptions {
        budget: Some(9),
        summary: Some("auto".into()),
        ..ReasoningOptions::default()
    };
    let options = &request.options;
    assert_eq!(
        (options.max_tokens, options.top_k, &*options.stop),
        (Some(5), Some(4), &["z".to_owned()][..])
    );
    assert_eq!(
        (&options.reasoning, options.service_tier.as_deref()),
        (&Some(reasoning), Some("default"))
    );
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
    assert_eq!(request.messages[0], Message::text(Role::System, "s"));
    assert!(request.unmodelled.is_empty() && request.extra.is_empty(), "{request:?}");
}

#[test]
fn results_find_their_calls() {
    let call = |id: Option<&str>| {
        let mut call = json!({ "name": "f", "args": { "x": 1 } });
        if let Some(id) = id {
            call["id"] = id.into();
        }
        json!({ "functionCall": call })
    };
    let result = |id: Option<&str>, response: Value| {
        let mut result = json!({ "name": "f", "response": response });
        if let Some(id) = id {
            result["id"] = id.into();
        }
        json!({ "functionResponse": result })
    };
    let turns = |made: [Value; 2], told: [Value; 2]| json!([{ "role": "model", "parts": made }, { "role": "user", "parts": told }]);
    let ids = |messages: &[Message]| -> Vec<String> {
        let result = |message: &Message| {
            let Content::ToolResult(it) = &message.parts[0].content else { panic!("{message:?}") };
            format!("{}={}", it.call_id, plain(it))
        };
        messages[1..].iter().map(result).collect()
    };
    let unnamed = turns(
        [call(None), call(None)],
        [result(None, json!({ "output": "a" })), result(None, json!({ "n": 1 }))],
    );
    assert_eq!(ids(&conversation(&unnamed)), ["call_1=a", r#"call_2={"n":1}"#]);
    let named = turns(
        [call(Some("p")), call(Some("q"))],
        [result(Some("q"), json!({ "result": [1] })), result(None, json!({ "error": "e" }))],
    );
    assert_eq!(ids(&conversation(&named)), ["q=[1]", "p=e!"]);
}

fn plain(result: &ToolResult) -> String {
    gateway_core::plain_text(&result.parts) + if result.is_error { "!" } else { "" }
}

#[test]
fn signatures_are_kept_with_what_they_sign() {
    let contents = json!([{ "role": "model", "parts": [
        { "text": "t", "thought": true, "thoughtSignature": "s1" },
        { "text": "a", "thoughtSignature": "s2" },
        { "functionCall": { "id": "c", "name": "f" }, "thoughtSignature": "s3" },
        { "text": "u", "thought": true }, { "text": "", "thought_signature": "s4" },
    ] }]);
    let gemini = |data| Some(seal(Dialect::Gemini, data));
    let expected = message(
        Role::Assistant,
        [
            reasoning_part("t", gemini("s1")),
            Content::Text("a".into()),
            reasoning_part("", gemini("s2")),
            Content::ToolCall(ToolCall {
                id: "c".into(),
                name: "f".into(),
                arguments: "{}".into(),
                seal: gemini("s3"),
                ..ToolCall::default()
            }),
            reasoning_part("u", gemini("s4")),
        ],
    );
    assert_eq!(conversation(&contents), [expected]);
}

#[test]
fn response_formats_are_read() {
    let format = |config: Value| {
        let request = decode(&json!({ "contents": user("a"), "generationConfig": config }));
        request.map(|it| it.options.response_format)
    };
    let schema = |schema: &str| ResponseFormat::JsonSchema {
        name: "response".into(),
        description: None,
        schema: Some(Json::parse(schema).unwrap()),
        strict: None,
    };
    let json_type = "application/json";
    assert_eq!(format(json!({ "responseMimeType": "text/plain" })).unwrap(), None);
    let object = format(json!({ "responseMimeType": json_type })).unwrap();
    assert_eq!(object, Some(ResponseFormat::JsonObject));
    let older = json!({ "responseMimeType": json_type, "responseSchema": { "type": "STRING" } });
    assert_eq!(format(older).unwrap(), Some(schema(r#"{"type":"string"}"#)));
    let newer = json!({ "responseMimeType": json_type, "responseJsonSchema": { "type": "X" } });
    assert_eq!(format(newer).unwrap(), Some(schema(r#"{"type":"X"}"#)));
    let error = format(json!({ "responseMimeType": "text/x.enum" })).unwrap_err();
    assert_eq!(error.code(), "unsupported_value");
}

#[test]
fn tools_are_read() {
    let tools = json!([
        { "functionDeclarations": [
            { "name": "f", "description": "d", "parameters": { "type": "OBJECT" } },
            { "name": "g", "parametersJsonSchema": { "type": "object" } },
        ] },
        { "googleSearch": {} },
    ]);
    let request = decode(&json!({ "contents": user("a"), "tools": tools })).unwrap();
    let names: Vec<_> = request.tools.iter().map(ToolSpec::name).collect();
    assert_eq!(names, ["f", "g", "googleSearch"]);
    let expected = ToolSpec::function("f", "d", Json::parse(r#"{"type":"object"}"#).unwrap());
    assert_eq!(request.tools[0], expected);
    assert!(request.unmodelled.is_empty(), "{:?}", request.unmodelled);
}

#[test]
fn invalid_members_are_named() {
    check_refused(&json!({}), "contents");
    check_refused(&json!({ "contents": [] }), "contents");
    check_refused(&json!({ "contents": [{ "role": "judge", "parts": [] }] }), "contents[0].role");
    check_refused(&json!({ "contents": [{ "parts": [{ "text": 1 }] }] }), "contents[0].parts[0]");
    check_refused(&json!({ "contents": user("a"), "generationConfig": 1 }), "generationConfig");
    check_refused(&json!({ "contents": user("a"), "serviceTier": 1 }), "serviceTier");
    let mode = json!({ "functionCallingConfig": { "mode": "SOME" } });
    let request = json!({ "contents": user("a"), "toolConfig": mode });
    check_refused(&request, "toolConfig.functionCallingConfig.mode");
}

/// What is reported as lost on the way to an upstream, or the parameter that is refused.
fn losses(members: &Value, upstream: Dialect) -> String {
    let mut all = json!({ "contents": user("a") });
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let request = decode(&all).unwrap();
    let mut dropped = DroppedParams::default();
    if let Err(error) = crate::report_translation_losses(&request, upstream, &mut dropped) {
        return format!("refused {}", error.param().unwrap());
    }
    crate::translation_losses::report_extra(&request, &[], &mut dropped);
    dropped.iter().collect::<Vec<_>>().join(",")
}

#[test]
fn losses_of_a_translated_request_are_reported() {
    let config = |member: &str, value: Value| json!({ "generationConfig": { member: value } });
    for (members, expected) in [
        (json!({}), ""),
        (json!({ "safetySettings": [{ "category": "X" }] }), "safetySettings"),
        (json!({ "safetySettings": [] }), ""),
        (json!({ "labels": { "a": "b" } }), "labels"),
        (json!({ "cachedContent": "cachedContents/x" }), "refused cachedContent"),
        (json!({ "cached_content": "cachedContents/x" }), "refused cached_content"),
        (config("responseModalities", json!(["AUDIO"])), "generationConfig.responseModalities"),
        (config("responseModalities", json!(["TEXT"])), ""),
        (config("speechConfig", json!({ "a": 1 })), "generationConfig.speechConfig"),
        (
            config("thinkingConfig", json!({ "thinkingLevel": "ULTRA" })),
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (
            json!({ "toolConfig": { "retrievalConfig": { "languageCode": "de" } } }),
            "toolConfig.retrievalConfig",
        ),
        (
            json!({ "contents": [{ "parts": [{ "text": "a", "videoMetadata": { "fps": 1 } }] }] }),
            "contents.parts.videoMetadata",
        ),
        (
            json!({ "tools": [{ "functionDeclarations": [{ "name": "f", "response": { "type": "STRING" } }] }] }),
            "tools.functionDeclarations.response",
        ),
        (
            json!({ "contents": [{ "parts": [{ "executableCode": { "code": "1" } }] }] }),
            "refused messages",
        ),
    ] {
        for upstream in [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Ollama] {
            assert_eq!(losses(&members, upstream), expected, "{members} {upstream:?}");
        }
    }
}
