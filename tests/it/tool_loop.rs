//! A model asks for tools, the gateway runs them, the platform answers: every dialect of callers
//! over every dialect of providers.

use gateway_tests::{
    CallRow, Gateway, RawConnection, Reply, Script, Setup, Upstream, UpstreamDialect,
    platform::PlatformStub, request,
};
use serde_json::{Value, json};

const PROMPT: &str = "Search for rate limiting patterns, use AI-ML taxonomy";
const ANSWER: &str = "Use a token bucket.";

/// A dialect of callers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CallerDialect {
    Chat,
    Responses,
    Messages,
}

impl CallerDialect {
    const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// A request that says `text`, with these members besides.
    fn ask(self, stream: bool, text: &str, besides: &Value) -> Value {
        let mut ask = json!({ "model": "lab/m", "stream": stream });
        match self {
            Self::Chat => ask["messages"] = json!([{ "role": "user", "content": text }]),
            Self::Responses => ask["input"] = text.into(),
            Self::Messages => {
                ask["messages"] = json!([{ "role": "user", "content": text }]);
                ask["max_tokens"] = 100.into();
            }
        }
        for (name, value) in besides.as_object().into_iter().flatten() {
            ask[name] = value.clone();
        }
        ask
    }

    /// Returns a reply in a notation: the text, the names of calls in parentheses, and the finish
    /// in brackets. Of a stream, the whole grammar is checked too.
    fn heard(self, stream: bool, reply: &Reply) -> String {
        assert_eq!(reply.status(), 200, "{}", reply.text());
        match (self, stream) {
            (Self::Chat, false) => {
                let choice = &reply.json()["choices"][0];
                let calls = choice["message"]["tool_calls"].clone();
                let names = names(&calls, |call| &call["function"]["name"]);
                let text = choice["message"]["content"].as_str().unwrap_or_default();
                format!("{text}{names}[{}]", choice["finish_reason"].as_str().unwrap())
            }
            (Self::Chat, true) => chunks(reply),
            (Self::Responses, false) => response(&reply.json()),
            (Self::Responses, true) => {
                let events: Vec<Value> = data(reply);
                for (at, event) in events.iter().enumerate() {
                    assert_eq!(event["sequence_number"], at);
                }
                let last = events.last().unwrap();
                assert_eq!(last["type"], "response.completed", "{last}");
                response(&last["response"])
            }
            (Self::Messages, false) => {
                let message = reply.json();
                let blocks = message["content"].as_array().unwrap();
                let text: String = blocks.iter().filter_map(|it| it["text"].as_str()).collect();
                let calls = blocks.iter().filter(|it| it["type"] == "tool_use").cloned().collect();
                let names = names(&Value::Array(calls), |call| &call["name"]);
                format!("{text}{names}[{}]", message["stop_reason"].as_str().unwrap())
            }
            (Self::Messages, true) => blocks(reply),
        }
    }
}

fn names(calls: &Value, name: fn(&Value) -> &Value) -> String {
    let calls = calls.as_array().into_iter().flatten();
    calls.flat_map(|call| ["(", name(call).as_str().unwrap(), ")"]).collect()
}

/// The data of a stream's events, without what is no JSON.
fn data(reply: &Reply) -> Vec<Value> {
    reply.events().iter().filter_map(|it| serde_json::from_str(it).ok()).collect()
}

fn chunks(reply: &Reply) -> String {
    assert_eq!(reply.events().last().unwrap(), "[DONE]");
    let (mut text, mut calls, mut finish, mut ids) =
        (String::new(), String::new(), Vec::new(), Vec::new());
    let mut begun = 0;
    for chunk in data(reply) {
        ids.push(chunk["id"].clone());
        let choice = &chunk["choices"][0];
        text += choice["delta"]["content"].as_str().unwrap_or_default();
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            if let Some(name) = call["function"]["name"].as_str() {
                assert_eq!(call["index"], begun, "calls are counted through");
                begun += 1;
                calls.extend(["(", name, ")"]);
            }
        }
        finish.extend(choice["finish_reason"].as_str().map(str::to_owned));
    }
    ids.dedup();
    assert_eq!((finish.len(), ids.len()), (1, 1), "one finish, one id: {}", reply.text());
    format!("{text}{calls}[{}]", finish[0])
}

fn blocks(reply: &Reply) -> String {
    let (mut text, mut calls, mut finish, mut next) = (String::new(), String::new(), None, 0);
    let events = data(reply);
    assert_eq!(events[0]["type"], "message_start");
    assert_eq!(events.last().unwrap()["type"], "message_stop");
    for event in &events {
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(event["index"], next);
                next += 1;
                if let Some(name) = event["content_block"]["name"].as_str() {
                    calls.extend(["(", name, ")"]);
                }
            }
            "content_block_delta" => {
                assert_eq!(event["index"], next - 1);
                text += event["delta"]["text"].as_str().unwrap_or_default();
            }
            "message_delta" => {
                let stop = event["delta"]["stop_reason"].as_str().map(str::to_owned);
                assert_eq!(finish.replace(stop.unwrap()), None);
            }
            _ => {}
        }
    }
    format!("{text}{calls}[{}]", finish.unwrap())
}

fn response(response: &Value) -> String {
    let items = response["output"].as_array().unwrap();
    let texts = items.iter().flat_map(|item| item["content"].as_array().into_iter().flatten());
    let text: String = texts.filter_map(|it| it["text"].as_str()).collect();
    let calls = items.iter().filter(|item| item["type"] == "function_call").cloned().collect();
    let calls = names(&Value::Array(calls), |call| &call["name"]);
    format!("{text}{calls}[{}]", response["status"].as_str().unwrap())
}

/// Returns the end of a response with the text [`ANSWER`].
fn finished(caller: CallerDialect) -> String {
    let word = match caller {
        CallerDialect::Chat => "stop",
        CallerDialect::Responses => "completed",
        CallerDialect::Messages => "end_turn",
    };
    format!("{ANSWER}[{word}]")
}

struct Bench {
    upstream: Upstream,
    platform: PlatformStub,
    gateway: Gateway,
}

impl Bench {
    /// A gateway before a provider that speaks `spoken`, and before the platform.
    async fn start(spoken: UpstreamDialect) -> Self {
        Self::with(spoken, |setup| setup).await
    }

    async fn with(spoken: UpstreamDialect, change: impl FnOnce(Setup) -> Setup) -> Self {
        let (upstream, platform) = (Upstream::start().await, PlatformStub::newer().await);
        let url = match spoken {
            UpstreamDialect::Chat => upstream.url(),
            UpstreamDialect::Messages | UpstreamDialect::Ollama => {
                format!("http://127.0.0.1:{}", upstream.port())
            }
            UpstreamDialect::Gemini => format!("http://127.0.0.1:{}/v1beta", upstream.port()),
        };
        let setup = Setup::new()
            .provider("lab", &url)
            .set("providers.lab", "kind", spoken.kind())
            .with_platform(&platform);
        let gateway = change(setup).start().await;
        Self { upstream, platform, gateway }
    }

    async fn post(&self, caller: CallerDialect, headers: &[(&str, &str)], body: &Value) -> Reply {
        self.gateway.send(post_bytes(caller, headers, body)).await
    }

    /// A session with this context.
    async fn session(&self, context: &Value) -> String {
        let body = json!({ "context": context }).to_string();
        let created =
            self.gateway.send(request("POST", "/v1/sessions", &[], body.as_bytes())).await;
        created.json()["id"].as_str().unwrap().to_owned()
    }
}

fn post_bytes(caller: CallerDialect, headers: &[(&str, &str)], body: &Value) -> Vec<u8> {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    request("POST", caller.path(), &headers, body.to_string().as_bytes())
}

fn search() -> CallRow<'static> {
    ("call_1", "semantic_search", json!({ "query": "rate limiting patterns" }))
}

/// The seed's flow: the model asks for a search, the service is asked with the taxonomy of the
/// prompt and the tiers of the session, and the model's last word reaches the caller.
async fn check(spoken: UpstreamDialect) {
    let bench = Bench::start(spoken).await;
    for caller in CallerDialect::ALL {
        for stream in [false, true] {
            let context = json!({ "tier_filter": [1, 2], "tools": ["semantic_search"] });
            let session = bench.session(&context).await;
            bench.upstream.next(spoken.turn(stream, "", &[search()]));
            bench.upstream.next(spoken.turn(stream, ANSWER, &[]));
            let ask = caller.ask(stream, PROMPT, &json!({}));
            let before = bench.platform.semantic_search.log().len();
            let reply = bench.post(caller, &[("x-session-id", &session)], &ask).await;
            let case = format!("{caller:?} {stream} over {spoken:?}");
            assert_eq!(caller.heard(stream, &reply), finished(caller), "{case}: {}", reply.text());
            assert_eq!(reply.header("x-gateway-taxonomy"), "AI-ML_taxonomy", "{case}");
            assert_eq!(
                bench.platform.semantic_search.log()[before..],
                [
                    r#"POST /v1/search {"query":"rate limiting patterns","taxonomy":"AI-ML_taxonomy","tier_filter":[1,2]}"#
                ],
                "{case}"
            );
            let told = bench.upstream.last();
            assert!(told.text().contains("tides_ch4"), "{case}: {}", told.text());
            let kept = bench.gateway.get(&format!("/v1/sessions/{session}")).await.json();
            let roles: Vec<_> = kept["messages"].as_array().unwrap().iter().collect();
            let roles: Vec<_> = roles.iter().map(|it| it["role"].as_str().unwrap()).collect();
            assert_eq!(roles, ["user", "assistant", "tool", "assistant"], "{case}");
            assert_eq!(kept["context"]["taxonomy"], "AI-ML_taxonomy", "it sticks: {case}");
        }
    }
    assert_eq!(bench.upstream.exchanges().len(), 12);
}

#[tokio::test]
async fn tool_loop_works_over_openai() {
    check(UpstreamDialect::Chat).await;
}

#[tokio::test]
async fn tool_loop_works_over_anthropic() {
    check(UpstreamDialect::Messages).await;
}

#[tokio::test]
async fn tool_loop_works_over_gemini() {
    check(UpstreamDialect::Gemini).await;
}

#[tokio::test]
async fn tool_loop_works_over_ollama() {
    check(UpstreamDialect::Ollama).await;
}

/// A tool that only the caller knows.
fn theirs(caller: CallerDialect, name: &str) -> Value {
    let schema = json!({ "type": "object", "properties": {} });
    match caller {
        CallerDialect::Chat => {
            json!({ "type": "function", "function": { "name": name, "parameters": schema } })
        }
        CallerDialect::Responses => {
            json!({ "type": "function", "name": name, "parameters": schema })
        }
        CallerDialect::Messages => json!({ "name": name, "input_schema": schema }),
    }
}

fn definition(caller: CallerDialect, names: &str) -> String {
    let word = match caller {
        CallerDialect::Chat => "tool_calls",
        CallerDialect::Responses => "completed",
        CallerDialect::Messages => "tool_use",
    };
    format!("{names}[{word}]")
}

#[tokio::test]
async fn caller_tools_are_returned_to_caller() {
    for spoken in UpstreamDialect::ALL {
        let bench = Bench::start(spoken).await;
        for (caller, stream) in
            CallerDialect::ALL.into_iter().flat_map(|it| [(it, false), (it, true)])
        {
            let weather = ("call_1", "weather", json!({}));
            bench.upstream.next(spoken.turn(stream, "", &[weather]));
            let ask = caller.ask(stream, "Hi", &json!({ "tools": [theirs(caller, "weather")] }));
            let reply = bench.post(caller, &[], &ask).await;
            assert_eq!(caller.heard(stream, &reply), definition(caller, "(weather)"), "{spoken:?}");
        }
    }
}

#[tokio::test]
async fn mixed_tool_turn_is_returned_to_caller() {
    for spoken in UpstreamDialect::ALL {
        let bench = Bench::start(spoken).await;
        for (caller, stream) in
            CallerDialect::ALL.into_iter().flat_map(|it| [(it, false), (it, true)])
        {
            let weather = ("call_2", "weather", json!({}));
            bench.upstream.next(spoken.turn(stream, "", &[search(), weather]));
            let ask = caller.ask(stream, "Hi", &json!({ "tools": [theirs(caller, "weather")] }));
            let reply = bench.post(caller, &[("x-gateway-tools", "semantic_search")], &ask).await;
            let both = definition(caller, "(semantic_search)(weather)");
            assert_eq!(caller.heard(stream, &reply), both, "{spoken:?}");
        }
        assert!(bench.platform.semantic_search.asked().is_empty(), "none of them was run");
    }
}

#[tokio::test]
async fn gateway_tool_described_by_caller_is_run() {
    let bench = Bench::start(UpstreamDialect::Chat).await;
    for (headers, heard, asked) in [
        (&[][..], finished(CallerDialect::Chat), 1),
        (
            &[("x-gateway-tools", "off")][..],
            definition(CallerDialect::Chat, "(semantic_search)"),
            0,
        ),
    ] {
        let before = bench.platform.semantic_search.asked().len();
        bench.upstream.next(UpstreamDialect::Chat.turn(false, "", &[search()]));
        if asked > 0 {
            bench.upstream.next(UpstreamDialect::Chat.turn(false, ANSWER, &[]));
        }
        let tools = json!({ "tools": [theirs(CallerDialect::Chat, "semantic_search")] });
        let ask = CallerDialect::Chat.ask(false, "Hi", &tools);
        let reply = bench.post(CallerDialect::Chat, headers, &ask).await;
        assert_eq!(CallerDialect::Chat.heard(false, &reply), heard);
        assert_eq!(bench.platform.semantic_search.asked().len(), before + asked);
        let first = bench.upstream.exchanges()[if asked > 0 { 0 } else { 2 }].json();
        assert_eq!(first["tools"], tools["tools"], "the caller's description is what is shown");
    }
}

#[tokio::test]
async fn caller_tool_named_like_gateway_tool_is_not_run() {
    let bench = Bench::start(UpstreamDialect::Chat).await;
    let known = bench.gateway.get("/v1/tools/echo").await.json();
    let schema = json!({ "type": "object", "properties": { "message": { "type": "string" } } });
    let check = async |description: &Value, expected: String| {
        let called = ("call_1", "echo", json!({ "message": "hi" }));
        bench.upstream.next(UpstreamDialect::Chat.turn(false, "", &[called]));
        bench.upstream.next(UpstreamDialect::Chat.turn(false, ANSWER, &[]));
        let function = json!({ "name": "echo", "description": description, "parameters": schema });
        let tools = json!({ "tools": [{ "type": "function", "function": function }] });
        let reply = bench
            .post(CallerDialect::Chat, &[], &CallerDialect::Chat.ask(false, "Hi", &tools))
            .await;
        assert_eq!(CallerDialect::Chat.heard(false, &reply), expected, "{description}");
    };
    check(&known["description"], finished(CallerDialect::Chat)).await;
    check(&json!("Says it once more."), definition(CallerDialect::Chat, "(echo)")).await;
}

/// The names of the tools that the upstream was shown for a request with `headers`.
async fn offered(bench: &Bench, headers: &[(&str, &str)]) -> String {
    let ask = CallerDialect::Chat.ask(false, "Hi", &json!({}));
    assert_eq!(bench.post(CallerDialect::Chat, headers, &ask).await.status(), 200);
    names(&bench.upstream.last().json()["tools"], |tool| &tool["function"]["name"])
}

#[tokio::test]
async fn tools_can_be_offered_by_header_session_or_default() {
    let bench = Bench::with(UpstreamDialect::Chat, |setup| {
        setup.client("app", "sk-app").write("[clients]", "offered_tools", "[\"calculator\"]").write(
            "tool_calls",
            "offered",
            "[\"echo\"]",
        )
    })
    .await;
    let key = ("Authorization", "Bearer sk-app");
    assert_eq!(offered(&bench, &[key]).await, "(echo)(calculator)");
    assert_eq!(offered(&bench, &[key, ("x-gateway-tools", "embed, echo")]).await, "(embed)(echo)");
    assert_eq!(offered(&bench, &[key, ("x-gateway-tools", "off")]).await, "");
    let ask = CallerDialect::Chat.ask(false, "Hi", &json!({}));
    let reply = bench.post(CallerDialect::Chat, &[key, ("x-gateway-tools", "nothing")], &ask).await;
    assert_eq!(reply.status_and_code(), "400 tool_not_found");
}

#[tokio::test]
async fn request_without_gateway_tools_passes_unchanged() {
    let bench = Bench::start(UpstreamDialect::Chat).await;
    let odd = r#"{"model":"lab/m", "messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"weather","x":1}}] }"#;
    let sent = request(
        "POST",
        CallerDialect::Chat.path(),
        &[("Content-Type", "application/json")],
        odd.as_bytes(),
    );
    let reply = bench.gateway.send(sent).await;
    assert_eq!(reply.status(), 200);
    assert_eq!(bench.upstream.last().text(), odd.replace("lab/m", "m"));
}

#[tokio::test]
async fn tool_rounds_are_limited_and_usage_is_summed() {
    for stream in [false, true] {
        let bench = Bench::start(UpstreamDialect::Chat).await;
        bench.upstream.always(UpstreamDialect::Chat.turn(stream, "", &[search()]));
        let ask = CallerDialect::Chat.ask(
            stream,
            "Hi",
            &json!({ "stream_options": { "include_usage": true } }),
        );
        let ask = if stream { ask } else { CallerDialect::Chat.ask(false, "Hi", &json!({})) };
        let headers = [("x-gateway-tools", "semantic_search")];
        let reply = bench.post(CallerDialect::Chat, &headers, &ask).await;
        assert_eq!(
            CallerDialect::Chat.heard(stream, &reply),
            definition(CallerDialect::Chat, "(semantic_search)")
        );
        assert_eq!(bench.upstream.exchanges().len(), 9);
        assert_eq!(bench.upstream.last().json()["tool_choice"], "none");
        let usage = if stream {
            data(&reply).pop().unwrap()["usage"].clone()
        } else {
            reply.json()["usage"].clone()
        };
        assert_eq!((&usage["prompt_tokens"], &usage["total_tokens"]), (&json!(63), &json!(90)));
        let outcome = bench.gateway.outcomes(1).await;
        assert_eq!(outcome.len(), 1, "one record: {outcome:#?}");
    }
}

#[tokio::test]
async fn running_tools_are_visible_in_stream() {
    let bench = Bench::start(UpstreamDialect::Chat).await;
    for caller in CallerDialect::ALL {
        bench.upstream.next(UpstreamDialect::Chat.turn(true, "", &[search()]));
        bench.upstream.next(UpstreamDialect::Chat.turn(true, ANSWER, &[]));
        let headers = [("x-gateway-tools", "semantic_search"), ("x-gateway-tool-events", "show")];
        let reply = bench.post(caller, &headers, &caller.ask(true, PROMPT, &json!({}))).await;
        assert_eq!(caller.heard(true, &reply), finished(caller), "{}", reply.text());
        let remark = |kind: &str| {
            let begin = format!(": {kind} ");
            let lines: Vec<_> =
                reply.text().lines().filter_map(|line| line.strip_prefix(&begin)).collect();
            assert_eq!(lines.len(), 1, "{}", reply.text());
            serde_json::from_str::<Value>(lines[0]).unwrap()
        };
        let call = remark("tool-call");
        assert_eq!((&call["id"], &call["name"]), (&json!("call_1"), &json!("semantic_search")));
        let result = remark("tool-result");
        assert_eq!((&result["id"], &result["is_error"]), (&json!("call_1"), &json!(false)));
        assert!(result["content"].as_str().unwrap().contains("tides_ch4"));
    }
}

#[tokio::test]
async fn disconnect_cancels_running_tool() {
    let slow = Upstream::start().await;
    slow.always(Script::new().stall());
    let url = format!("http://127.0.0.1:{}", slow.port());
    let bench =
        Bench::with(UpstreamDialect::Chat, |setup| setup.set("services", "ai_agents_url", &url))
            .await;
    for stream in [false, true] {
        let before = slow.exchanges().len();
        let review = ("call_1", "review_code", json!({ "code": "x" }));
        bench.upstream.next(UpstreamDialect::Chat.turn(stream, "", &[review]));
        let mut raw: RawConnection = bench.gateway.connect().await;
        let ask = CallerDialect::Chat.ask(stream, "Hi", &json!({}));
        raw.send(post_bytes(CallerDialect::Chat, &[("x-gateway-tools", "review_code")], &ask))
            .await;
        slow.arrived(before + 1).await;
        drop(raw);
        slow.ended().await;
    }
}

#[tokio::test]
async fn tool_failure_is_reported_to_model() {
    let down = Upstream::start().await;
    down.always(Script::json(503, "{}"));
    let url = format!("http://127.0.0.1:{}", down.port());
    let bench = Bench::with(UpstreamDialect::Messages, |setup| {
        setup.set("services", "ai_agents_url", &url)
    })
    .await;
    let review = ("call_1", "review_code", json!({ "code": "x" }));
    bench.upstream.next(UpstreamDialect::Messages.turn(false, "", &[review]));
    bench.upstream.next(UpstreamDialect::Messages.turn(false, ANSWER, &[]));
    let ask = CallerDialect::Messages.ask(false, "Hi", &json!({}));
    let reply =
        bench.post(CallerDialect::Messages, &[("x-gateway-tools", "review_code")], &ask).await;
    assert_eq!(CallerDialect::Messages.heard(false, &reply), finished(CallerDialect::Messages));
    let told = bench.upstream.last().json();
    let result = &told["messages"][2]["content"][0];
    assert_eq!((&result["type"], &result["is_error"]), (&json!("tool_result"), &json!(true)));
    assert!(result.to_string().contains("upstream_status"), "{result}");
}
