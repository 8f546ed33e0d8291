//! The requests to the provider.

use super::{card, decode, original, send};
use crate::{OutboundDialect as _, TokenCounter as _, messages::MessagesOutbound};
use gateway_core::{
    CacheControl, CacheTtl, ChatRequest, Content, Custom, Dialect, Effort, File, Function, Image,
    Inspection, Json, Message, Opaque, Options, Part, ProviderRequest, Reasoning, ReasoningOptions,
    ReasoningStyle, ResponseFormat, Role, Seal, SealKind, Source, ToolCall, ToolChoice, ToolKind,
    ToolResult, ToolSpec,
};
use serde_json::{Value, json};

fn of(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() }
}

fn call(id: &str, arguments: &str) -> Content {
    let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
    Content::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() })
}

fn result(id: &str, text: &str) -> Content {
    Content::ToolResult(ToolResult {
        call_id: id.to_owned(),
        name: None,
        parts: vec![Content::Text(text.to_owned()).into()],
        is_error: false,
    })
}

fn sealed(text: &str, dialect: Dialect, kind: SealKind) -> Content {
    let seal = Some(Seal { dialect, kind, id: None, data: "seal".to_owned() });
    Content::Reasoning(Reasoning { text: text.to_owned(), seal })
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

/// Checks the turns that `messages` become.
#[track_caller]
fn turns(messages: Vec<Message>, expected: &Value) {
    let (sent, _) = send(of(messages), None).unwrap();
    assert_eq!(&sent["messages"], expected);
}

#[test]
fn leading_system_messages_become_system() {
    let messages = vec![
        Message::text(Role::System, "a"),
        Message::text(Role::Developer, "b"),
        Message::text(Role::User, "c"),
        Message::text(Role::System, "d"),
    ];
    let (sent, dropped) = send(of(messages), None).unwrap();
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(sent["system"], json!([text("a"), text("b"), text("d")]));
    assert_eq!(sent["messages"], json!([{"role": "user", "content": "c"}]));
    assert_eq!(dropped, "system_turns");
    let (sent, _) =
        send(of(vec![Message::text(Role::System, "a"), Message::text(Role::User, "b")]), None)
            .unwrap();
    assert_eq!(sent["system"], "a");
}

#[test]
fn lone_instructions_become_user_message() {
    turns(vec![Message::text(Role::System, "a")], &json!([{"role": "user", "content": "a"}]));
    assert!(send(of(vec![Message::text(Role::User, " ")]), None).is_err(), "nothing is asked");
}

#[test]
fn messages_caller_keeps_system_turns() {
    let mut asked = of(vec![Message::text(Role::User, "a"), Message::text(Role::System, "b")]);
    asked.dialect = Some(Dialect::Messages);
    let (sent, _) = send(asked, None).unwrap();
    assert_eq!(sent["messages"][1], json!({"role": "system", "content": "b"}));
}

#[test]
fn tool_results_are_grouped_first() {
    turns(
        vec![
            Message::text(Role::User, "a"),
            Message::new(Role::Assistant, [text("b"), call("1", "{}"), call("2", "{}")]),
            Message::text(Role::User, "c"),
            Message::new(Role::Tool, [result("1", "r1")]),
            Message::new(Role::Tool, [result("2", "r2")]),
        ],
        &json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "b"},
                {"type": "tool_use", "id": "1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "2", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "r1"},
                {"type": "tool_result", "tool_use_id": "2", "content": "r2"},
                {"type": "text", "text": "c"},
            ]},
        ]),
    );
}

#[test]
fn call_and_result_share_an_id() {
    let (sent, _) = send(
        of(vec![
            Message::new(Role::Assistant, [call("a.b:0", r#"{"x": 1.0}"#)]),
            Message::new(Role::Tool, [result("a.b:0", "r")]),
        ]),
        None,
    )
    .unwrap();
    assert_eq!(sent["messages"][0]["content"][0]["id"], "a_b_0");
    assert_eq!(sent["messages"][1]["content"][0]["tool_use_id"], "a_b_0");
}

#[test]
fn failed_tool_result_is_marked() {
    let failed = ToolResult { call_id: "1".into(), name: None, parts: vec![], is_error: true };
    turns(
        vec![Message::new(Role::Tool, [Content::ToolResult(failed)])],
        &json!([{"role": "user", "content":
            [{"type": "tool_result", "tool_use_id": "1", "is_error": true}]}]),
    );
}

#[test]
fn blank_text_is_dropped_and_prefill_trimmed() {
    turns(
        vec![
            Message::new(Role::User, [text(""), text("a"), text(" \n")]),
            Message::text(Role::Assistant, ""),
            Message::text(Role::User, "b "),
            Message::text(Role::Assistant, "c \n"),
        ],
        &json!([
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b "}]},
            {"role": "assistant", "content": "c"},
        ]),
    );
}

#[test]
fn images_and_documents_are_encoded() {
    let inline = |media_type: &str, base64: &str| Source::Inline {
        media_type: media_type.to_owned(),
        base64: base64.to_owned(),
    };
    let image = |source| Content::Image(Image { source, detail: None });
    let file = |source, name: &str| Content::File(File { source, name: Some(name.to_owned()) });
    turns(
        vec![Message::new(
            Role::User,
            [
                image(inline("image/png", "AA==")),
                image(Source::Url("https://x/y.png".to_owned())),
                file(inline("application/pdf", "AA=="), "a.pdf"),
                file(inline("text/csv", "YSxi"), "b.csv"),
                file(Source::FileId("file_1".to_owned()), "c"),
            ],
        )],
        &json!([{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            {"type": "document", "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
            {"type": "document", "title": "b.csv",
                "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
            {"type": "document", "title": "c", "source": {"type": "file", "file_id": "file_1"}},
        ]}]),
    );
    let sound = Content::Audio(inline("audio/wav", "AA=="));
    assert!(send(of(vec![Message::new(Role::User, [sound])]), None).is_err());
}

#[test]
fn thinking_is_returned_first_and_only_to_its_owner() {
    turns(
        vec![
            Message::text(Role::User, "a"),
            Message::new(
                Role::Assistant,
                [
                    text("b"),
                    sealed("t", Dialect::Messages, SealKind::Signature),
                    sealed("", Dialect::Messages, SealKind::Encrypted),
                    sealed("u", Dialect::Gemini, SealKind::Signature),
                    Content::Reasoning(Reasoning { text: "v".to_owned(), seal: None }),
                ],
            ),
            Message::text(Role::User, "c"),
        ],
        &json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "seal"},
                {"type": "redacted_thinking", "data": "seal"},
                {"type": "text", "text": "b"},
            ]},
            {"role": "user", "content": "c"},
        ]),
    );
}

#[test]
fn opaque_blocks_are_returned_unchanged() {
    let opaque = |dialect, kind: &str| {
        let json = Json::parse(format!(r#"{{"type":"{kind}","n":1.0}}"#)).unwrap();
        Content::Opaque(Opaque { dialect, kind: kind.to_owned(), json })
    };
    let said = [opaque(Dialect::Messages, "server_tool_use"), opaque(Dialect::Responses, "other")];
    let (sent, dropped) = send(of(vec![Message::new(Role::Assistant, said)]), None).unwrap();
    assert_eq!(sent["messages"][0]["content"], json!([{"type": "server_tool_use", "n": 1.0}]));
    assert_eq!(dropped, "other");
}

#[test]
fn cache_breakpoints_are_encoded_and_limited() {
    let mark = Some(CacheControl { ttl: Some(CacheTtl::OneHour) });
    let mut tool = ToolSpec::function("f", "d", Json::parse("{}").unwrap());
    tool.cache = mark;
    let marked = |name: &str| Part { content: text(name), cache: mark };
    let mut request = of(vec![Message::new(Role::User, ["a", "b", "c", "d"].map(marked))]);
    request.tools = vec![tool];
    let (sent, _) = send(request, None).unwrap();
    assert_eq!(sent["tools"][0].get("cache_control"), None, "the oldest is the fifth");
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(sent["messages"][0]["content"][0]["cache_control"], mark);
}

#[track_caller]
fn options(options: Options, expected: &Value, lost: &str) {
    let request = ChatRequest { options, ..ChatRequest::user("m", "x") };
    let (mut sent, told) = send(request, None).unwrap();
    let sent = sent.as_object_mut().unwrap();
    sent.remove("messages");
    sent.remove("model");
    assert_eq!((&Value::Object(sent.clone()), &*told), (expected, lost));
}

#[test]
fn max_tokens_is_always_set() {
    options(Options::default(), &json!({"max_tokens": 4096}), "");
    let bound = Options { max_tokens: Some(7), ..Options::default() };
    options(bound, &json!({"max_tokens": 7}), "");
    let mut card = card(None);
    card.max_output = Some(64_000);
    let (sent, _) = send(ChatRequest::user("m", "x"), Some(card)).unwrap();
    assert_eq!(sent["max_tokens"], 64_000);
}

#[test]
fn sampling_is_clamped() {
    let it = |temperature: f64, top_p: Option<f64>| Options {
        temperature: serde_json::Number::from_f64(temperature),
        top_p: top_p.and_then(serde_json::Number::from_f64),
        ..Options::default()
    };
    options(it(0.5, None), &json!({"max_tokens": 4096, "temperature": 0.5}), "");
    options(it(1.5, None), &json!({"max_tokens": 4096, "temperature": 1}), "temperature");
    options(it(0.5, Some(1.0)), &json!({"max_tokens": 4096, "temperature": 0.5}), "");
    options(it(1.0, Some(0.9)), &json!({"max_tokens": 4096, "top_p": 0.9}), "");
    options(it(0.5, Some(0.9)), &json!({"max_tokens": 4096, "temperature": 0.5}), "top_p");
}

#[test]
fn unsupported_parameters_are_dropped() {
    options(
        Options {
            seed: Some(1.into()),
            presence_penalty: Some(1.into()),
            frequency_penalty: Some(0.into()),
            logprobs: Some(true),
            verbosity: Some("low".to_owned()),
            stop: vec!["END".to_owned(), "\n".to_owned()],
            user: Some("u".to_owned()),
            service_tier: Some("flex".to_owned()),
            response_format: Some(ResponseFormat::JsonObject),
            ..Options::default()
        },
        &json!({"max_tokens": 4096, "stop_sequences": ["END"], "metadata": {"user_id": "u"}}),
        "response_format,seed,presence_penalty,logprobs,verbosity,stop,service_tier",
    );
    let several = Options { n: Some(2), ..Options::default() };
    let request = ChatRequest { options: several, ..ChatRequest::user("m", "x") };
    assert_eq!(send(request, None).unwrap_err().param(), Some("n"));
}

#[test]
fn output_format_is_encoded() {
    let schema = Json::parse(r#"{"type":"object","properties":{}}"#).ok();
    options(
        Options {
            response_format: Some(ResponseFormat::JsonSchema {
                name: "n".to_owned(),
                description: None,
                schema,
                strict: None,
            }),
            ..Options::default()
        },
        &json!({"max_tokens": 4096, "output_config": {"format": {"type": "json_schema", "schema":
            {"type": "object", "properties": {}, "additionalProperties": false}}}}),
        "",
    );
}

/// A request with two tools, one of them strict.
fn with_tools(choice: Option<ToolChoice>, parallel: Option<bool>) -> ChatRequest {
    let tool = |name: &str, strict| ToolSpec {
        kind: ToolKind::Function(Function {
            name: name.to_owned(),
            strict,
            parameters: Json::parse(r#"{"type": "object", "minProperties": 1}"#).ok(),
            ..Function::default()
        }),
        cache: None,
    };
    ChatRequest {
        tools: vec![tool("f", None), tool("g", Some(true))],
        tool_choice: choice,
        parallel_tool_calls: parallel,
        ..ChatRequest::user("m", "x")
    }
}

#[test]
fn tools_have_object_schemas() {
    let (sent, _) = send(with_tools(None, None), None).unwrap();
    assert_eq!(
        sent["tools"],
        json!([
            {"name": "f", "input_schema": {"type": "object", "minProperties": 1}},
            {"name": "g", "strict": true, "input_schema": {"type": "object",
                "additionalProperties": false, "description": "minProperties: 1"}},
        ])
    );
}

#[track_caller]
fn choice(choice: Option<ToolChoice>, parallel: Option<bool>, tools: usize, expected: &Value) {
    let (sent, _) = send(with_tools(choice, parallel), None).unwrap();
    assert_eq!(&sent["tool_choice"], expected);
    assert_eq!(sent["tools"].as_array().map_or(0, Vec::len), tools);
}

#[test]
fn tool_choices_are_mapped() {
    let one = |required| Some(ToolChoice::Allowed { names: vec!["g".to_owned()], required });
    choice(None, None, 2, &Value::Null);
    choice(None, Some(false), 2, &json!({"type": "auto", "disable_parallel_tool_use": true}));
    choice(Some(ToolChoice::Auto), None, 2, &json!({"type": "auto"}));
    choice(Some(ToolChoice::None), Some(false), 2, &json!({"type": "none"}));
    choice(Some(ToolChoice::Required), None, 2, &json!({"type": "any"}));
    choice(
        Some(ToolChoice::Named("g".to_owned())),
        Some(false),
        2,
        &json!({"type": "tool", "name": "g", "disable_parallel_tool_use": true}),
    );
    choice(one(false), None, 1, &json!({"type": "auto"}));
    choice(one(true), None, 1, &json!({"type": "any"}));
}

#[test]
fn tool_choice_without_tools_is_dropped() {
    let mut request = ChatRequest::user("m", "x");
    request.tool_choice = Some(ToolChoice::Auto);
    let (sent, _) = send(request, None).unwrap();
    assert_eq!((sent.get("tool_choice"), sent.get("tools")), (None, None));
}

#[test]
fn hosted_tool_of_other_provider_is_rejected_by_name() {
    let json = Json::parse(r#"{"type":"web_search_1","name":"web_search"}"#).unwrap();
    let hosted = |dialect| {
        let json = json.clone();
        ToolKind::Hosted(Opaque { dialect, kind: "web_search_1".to_owned(), json })
    };
    let custom =
        ToolKind::Custom(Custom { name: "patch".to_owned(), description: None, format: None });
    for (kind, name) in [(hosted(Dialect::Responses), "web_search_1"), (custom, "patch")] {
        let mut request = ChatRequest::user("m", "x");
        request.tools = vec![ToolSpec { kind, cache: None }];
        let error = send(request, None).unwrap_err();
        assert!(error.message().contains(name), "{error}");
    }
    let mut request = ChatRequest::user("m", "x");
    request.tools = vec![ToolSpec { kind: hosted(Dialect::Messages), cache: None }];
    assert_eq!(send(request, None).unwrap().0["tools"][0]["type"], "web_search_1");
}

/// Checks `thinking`, the effort, the maximum and the dropped parameters of a request with
/// reasoning.
#[track_caller]
fn thinking(asked: ChatRequest, style: Option<ReasoningStyle>, expected: &Value, lost: &str) {
    let (sent, told) = send(asked, style.map(|style| card(Some(style)))).unwrap();
    let effort = &sent["output_config"]["effort"];
    let actual = json!([sent["thinking"], effort, sent["max_tokens"]]);
    assert_eq!((&actual, &*told), (expected, lost));
}

fn reasoning_request(reasoning: ReasoningOptions, max_tokens: Option<u64>) -> ChatRequest {
    let options = Options { reasoning: Some(reasoning), max_tokens, ..Options::default() };
    ChatRequest { options, ..ChatRequest::user("m", "x") }
}

fn effort(effort: Effort) -> ReasoningOptions {
    ReasoningOptions { effort: Some(effort), ..ReasoningOptions::default() }
}

fn budget(tokens: u64) -> ReasoningOptions {
    ReasoningOptions { budget: Some(tokens), ..ReasoningOptions::default() }
}

fn enabled(tokens: u64) -> Value {
    json!({"type": "enabled", "budget_tokens": tokens})
}

#[test]
fn reasoning_style_follows_the_model() {
    use ReasoningStyle::{Adaptive, Budget, Never};
    let high = || reasoning_request(effort(Effort::High), Some(64_000));
    thinking(high(), None, &json!([enabled(16_384), null, 64_000]), "");
    thinking(high(), Some(Budget), &json!([enabled(16_384), null, 64_000]), "");
    thinking(high(), Some(Adaptive), &json!([{"type": "adaptive"}, "high", 64_000]), "");
    thinking(high(), Some(Never), &json!([null, null, 64_000]), "reasoning");
    let none = || reasoning_request(effort(Effort::None), Some(9));
    thinking(none(), None, &json!([null, null, 9]), "");
    thinking(none(), Some(Adaptive), &json!([{"type": "disabled"}, null, 9]), "");
    thinking(
        reasoning_request(budget(0), Some(9)),
        None,
        &json!([{"type": "disabled"}, null, 9]),
        "",
    );
}

#[test]
fn max_tokens_exceeds_thinking_budget() {
    thinking(
        reasoning_request(effort(Effort::Low), Some(100)),
        None,
        &json!([enabled(1024), null, 1124]),
        "",
    );
    thinking(
        reasoning_request(effort(Effort::High), None),
        None,
        &json!([enabled(16_384), null, 20_480]),
        "",
    );
    thinking(
        reasoning_request(budget(5), Some(4096)),
        None,
        &json!([enabled(1024), null, 4096]),
        "",
    );
    thinking(
        reasoning_request(budget(8000), Some(8000)),
        None,
        &json!([enabled(8000), null, 16_000]),
        "",
    );
}

#[test]
fn thinking_drops_forced_tool_unless_adaptive() {
    let forced = || {
        let mut request = with_tools(Some(ToolChoice::Required), None);
        request.options = reasoning_request(effort(Effort::Low), Some(4096)).options;
        request
    };
    thinking(forced(), None, &json!([null, null, 4096]), "reasoning");
    let adaptive = json!([{"type": "adaptive"}, "low", 4096]);
    thinking(forced(), Some(ReasoningStyle::Adaptive), &adaptive, "");
}

#[test]
fn tool_loop_with_lost_thinking_disables_thinking() {
    let in_loop = |first: Content| {
        let mut request = reasoning_request(effort(Effort::Low), Some(4096));
        request.messages.push(Message::new(Role::Assistant, [first, call("1", "{}")]));
        request.messages.push(Message::new(Role::Tool, [result("1", "r")]));
        request
    };
    thinking(in_loop(text("a")), None, &json!([null, null, 4096]), "reasoning");
    let kept = in_loop(sealed("t", Dialect::Messages, SealKind::Signature));
    thinking(kept, None, &json!([enabled(1024), null, 4096]), "");
}

#[test]
fn thinking_drops_sampling() {
    let mut request = reasoning_request(effort(Effort::Low), Some(4096));
    request.options.temperature = serde_json::Number::from_f64(0.5);
    request.options.top_p = serde_json::Number::from_f64(0.5);
    request.options.top_k = Some(5);
    let (sent, dropped) = send(request, None).unwrap();
    assert_eq!(dropped, "temperature,top_p,top_k");
    assert!(["temperature", "top_p", "top_k"].iter().all(|name| sent.get(*name).is_none()));
}

const BODY: &str =
    r#"{ "model" : "asked", "max_tokens":5, "messages":[{"role":"user","content":"x"}] }"#;

#[test]
fn passthrough_request_only_renames_model() {
    let sent =
        MessagesOutbound.encode(&original(BODY, false, Inspection::UsageOnly)).unwrap().to_vec();
    assert_eq!(String::from_utf8(sent).unwrap(), BODY.replace("asked", "upstream-name"));
}

#[test]
fn streaming_mismatch_rewrites_stream_flag() {
    let sent = MessagesOutbound.encode(&original(BODY, true, Inspection::UsageOnly)).unwrap();
    assert_eq!(super::json(&sent)["stream"], true);
}

#[test]
fn extra_members_return_to_their_dialect() {
    let body = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}],
        "context_management":{"edits":[]},"output_config":{"task_budget":{"n":1.0},"effort":"low"}}"#;
    let mut request = decode(body).unwrap();
    let (sent, told) = send(request.clone(), None).unwrap();
    assert_eq!(sent["context_management"], json!({"edits": []}));
    assert_eq!(sent["output_config"], json!({"task_budget": {"n": 1.0}, "effort": "low"}));
    assert_eq!((sent.get("thinking"), &*told), (None, ""), "effort is not thinking here");
    request.dialect = Some(Dialect::Chat);
    let (sent, told) = send(request, None).unwrap();
    assert_eq!(sent.get("context_management"), None);
    assert_eq!(told, "context_management,output_config");
}

#[test]
fn foreign_file_id_is_rejected() {
    let file = Content::File(File { source: Source::FileId("file-1".to_owned()), name: None });
    let mut request = of(vec![Message::new(Role::User, [file])]);
    request.dialect = Some(Dialect::Chat);
    assert_eq!(send(request, None).unwrap_err().param(), Some("messages"));
}

#[test]
fn count_request_omits_generation_options() {
    let mut call = ProviderRequest::new(with_tools(None, None));
    call.stream = true;
    let sent = super::json(&MessagesOutbound.encode_count(&call).unwrap());
    let names: Vec<_> = sent.as_object().unwrap().keys().collect();
    assert_eq!(names, ["messages", "model", "tools"]);
    assert_eq!(MessagesOutbound.read_count(br#"{"input_tokens":7}"#).unwrap(), 7);
    assert!(MessagesOutbound.read_count(b"{}").is_err());
}
