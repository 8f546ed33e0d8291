use super::*;
use crate::{IdGenerator, OutboundDialect as _};
use gateway_core::{Choice, Chunk, Finish, FinishReason, Json, Started, StreamEvent, Usage};
use serde_json::{Value, json};

fn open(body: &Value) -> Result<RequestPrompts> {
    CompletionsInbound.prepare(body.to_string().into(), Envelope::default())
}

fn request(payload: &Payload) -> &ChatRequest {
    match payload {
        Payload::Parsed(request) => request,
        Payload::Raw(_) | Payload::Relayed(_) => panic!("no other speaks this dialect"),
    }
}

/// Checks a request with these members: the prompts, and the dropped parameters.
#[track_caller]
fn check(members: &Value, prompts: &[&str], dropped: &str) {
    let opened = open(&with_model(members)).unwrap();
    let asked: Vec<_> = opened.prompts.iter().map(request).collect();
    let texts: Vec<_> = asked.iter().map(|it| it.messages[0].plain_text()).collect();
    assert_eq!(texts, prompts);
    assert!(asked.iter().all(|it| it.messages.len() == 1 && it.model == "m"));
    assert!(asked.iter().all(|it| it.extra.get(ECHO).is_none()));
    assert_eq!(opened.dropped.iter().collect::<Vec<_>>().join(","), dropped);
}

#[track_caller]
fn check_refused(members: &Value, param: &str) {
    let error = open(&with_model(members)).unwrap_err();
    assert_eq!(error.param(), Some(param), "{members}: {error}");
}

fn with_model(members: &Value) -> Value {
    let mut all = json!({ "model": "m" });
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    all
}

#[test]
fn each_prompt_becomes_a_chat() {
    check(&json!({ "prompt": "a" }), &["a"], "");
    check(&json!({ "prompt": ["a"] }), &["a"], "");
    check(&json!({ "prompt": ["a", "b"], "n": 2 }), &["a", "b"], "");
}

#[test]
fn token_prompts_are_rejected() {
    check_refused(&json!({}), "prompt");
    for prompt in [
        json!(null),
        json!(""),
        json!([]),
        json!(["a", ""]),
        json!([1, 2]),
        json!([[1, 2]]),
        json!({}),
        json!(["a", 1]),
    ] {
        check_refused(&json!({ "prompt": prompt }), "prompt");
    }
    let error = open(&json!({ "model": "m", "prompt": [15496] })).unwrap_err();
    assert!(error.message().contains("token ids"), "{error}");
}

#[test]
fn unsupported_parameters_are_dropped() {
    check(&json!({ "prompt": "a", "suffix": "", "best_of": 1, "echo": false }), &["a"], "");
    check(&json!({ "prompt": "a", "suffix": null, "best_of": null }), &["a"], "");
    check(&json!({ "prompt": "a", "best_of": 3 }), &["a"], "best_of");
    check(&json!({ "prompt": "a", "best_of": 3, "n": 3 }), &["a"], "");
    check(&json!({ "prompt": "a", "tools": [], "messages": [] }), &["a"], "messages,tools");
    check(&json!({ "prompt": "a", "echo": true, "logprobs": 1 }), &["a"], "echo.logprobs");
}

#[test]
fn invalid_parameter_is_named_in_error() {
    check_refused(&json!({ "prompt": "a", "echo": 1 }), "echo");
    check_refused(&json!({ "prompt": "a", "suffix": 1 }), "suffix");
    check_refused(&json!({ "prompt": "a", "suffix": "z" }), "suffix");
    check_refused(&json!({ "prompt": "a", "best_of": "x" }), "best_of");
    check_refused(&json!({ "prompt": "a", "logprobs": 21 }), "logprobs");
    check_refused(&json!({ "prompt": "a", "temperature": 3 }), "temperature");
    check_refused(&json!({ "prompt": "a", "max_tokens": 0 }), "max_tokens");
    check_refused(&json!({ "prompt": "a", "n": 129 }), "n");
    check_refused(&json!({ "prompt": ["a", "b"], "n": 65 }), "prompt");
}

#[test]
fn options_map_to_chat_options() {
    let body = json!({
        "model": "m", "prompt": "a", "max_tokens": 5, "temperature": 0.5, "stop": "z", "seed": 7,
        "logprobs": 2, "stream": true, "stream_options": { "include_usage": true }, "min_p": 0.1,
    });
    let opened = open(&body).unwrap();
    let request = request(&opened.prompts[0]);
    assert_eq!(
        (request.options.max_tokens, request.options.stop.as_slice()),
        (Some(5), &["z".to_owned()][..])
    );
    assert_eq!((request.options.logprobs, request.options.top_logprobs), (Some(true), Some(2)));
    assert!(request.stream && request.stream_usage);
    assert_eq!(request.extra.get("min_p").map(Json::get), Some("0.1"));
}

fn reply(members: &Value) -> ResponseContext {
    let told = open(&with_model(members)).unwrap().original;
    ResponseContext { payload: told, model: "m".into(), created: 9, ids: IdGenerator::new(1) }
}

fn events(texts: &[&str]) -> Vec<StreamEvent> {
    let mut events =
        vec![StreamEvent::Started(Started { id: Some("x".into()), ..Started::default() })];
    for (index, text) in (0..).zip(texts) {
        events.push(StreamEvent::Choice(index));
        events.push(StreamEvent::Reasoning("hm".into()));
        let (start, end) = text.split_at(text.len() / 2);
        events.push(StreamEvent::Text(start.to_owned()));
        events.push(StreamEvent::Text(end.to_owned()));
        events.push(StreamEvent::Finished(Finish::from(FinishReason::Length)));
    }
    events.push(StreamEvent::Usage(Usage { input: 3, output: 4, ..Usage::default() }));
    events
}

/// The texts of the response's choices; the same, streamed or not.
#[track_caller]
fn check_texts(members: &Value, said: &[&str], expected: &[&str]) {
    let mut fold = gateway_core::Collector::default();
    fold.extend(events(said));
    let whole = CompletionsInbound.write_whole(fold.finish(), reply(members));
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!((&whole["object"], &whole["id"]), (&json!("text_completion"), &json!("x")));
    assert_eq!((&whole["model"], &whole["created"]), (&json!("m"), &json!(9)));
    assert_eq!(whole["usage"]["total_tokens"], 7);
    let texts: Vec<_> = whole["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, expected);
    assert!(whole["choices"].as_array().unwrap().iter().all(|it| it["finish_reason"] == "length"));
    assert_eq!(streamed_chunks(members, said), expected);
}

fn chunks(members: &Value, events: Vec<StreamEvent>) -> Vec<Value> {
    let mut writer = CompletionsInbound.writer(reply(members));
    let mut out = Vec::new();
    for event in events {
        writer.write(Chunk::from_events(vec![event]), &mut out);
    }
    writer.end(&mut out);
    let out = String::from_utf8(out).unwrap();
    let chunks = out.strip_suffix("data: [DONE]\n\n").unwrap();
    let data = chunks.split_terminator("\n\n").map(|it| it.strip_prefix("data: ").unwrap());
    data.map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// Returns the choices that the chunks of a stream fold to.
#[track_caller]
fn streamed_chunks(members: &Value, said: &[&str]) -> Vec<String> {
    let mut texts = vec![String::new(); said.len()];
    let mut finishes = vec![0; said.len()];
    for chunk in chunks(members, events(said)) {
        assert_eq!((&chunk["object"], &chunk["id"]), (&json!("text_completion"), &json!("x")));
        let choice = &chunk["choices"][0];
        let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
        assert_eq!(finishes[index], 0, "nothing follows a finish");
        texts[index].push_str(choice["text"].as_str().unwrap());
        finishes[index] += usize::from(choice["finish_reason"] == "length");
    }
    assert!(finishes.iter().all(|it| *it == 1), "{finishes:?}");
    texts
}

#[test]
fn response_text_is_the_completion() {
    check_texts(&json!({ "prompt": "a" }), &["bc"], &["bc"]);
    check_texts(&json!({ "prompt": "a", "n": 2 }), &["bc", "de"], &["bc", "de"]);
}

#[test]
fn echo_starts_with_the_prompt() {
    let echo = json!({ "prompt": ["a ", "b "], "n": 2, "echo": true });
    check_texts(&echo, &["1", "22", "", "4"], &["a 1", "a 22", "b ", "b 4"]);
}

#[test]
fn usage_is_written_only_on_request() {
    let wanted = json!({ "prompt": "a", "stream_options": { "include_usage": true } });
    let told = chunks(&wanted, events(&["bc"]));
    let (last, others) = told.split_last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["prompt_tokens"]), (&json!([]), &json!(3)));
    assert!(others.iter().all(|it| it["usage"].is_null() && it.get("usage").is_some()));
    let told = chunks(&json!({ "prompt": "a" }), events(&["bc"]));
    assert!(told.iter().all(|it| it.get("usage").is_none()));
}

#[test]
fn error_is_the_last_event() {
    let mut writer = CompletionsInbound.writer(reply(&json!({ "prompt": "a" })));
    let mut out = Vec::new();
    let error = GatewayError::new(gateway_core::ErrorKind::UpstreamCut, "broke");
    writer.fail(&error, &mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("upstream_cut") && !out.contains("[DONE]"), "{out}");
}

#[test]
fn logprobs_are_written_as_lists() {
    let told = |token: &str| {
        let alike =
            [json!({ "token": token, "logprob": -0.5 }), json!({ "token": "z", "logprob": -1.5 })];
        let token = json!({ "token": token, "logprob": -0.5, "bytes": [], "top_logprobs": alike });
        Json::parse(json!({ "content": [token], "refusal": null }).to_string()).unwrap()
    };
    let members = json!({ "prompt": "äh", "echo": true, "logprobs": 2 });
    let mut choice = Choice { logprobs: vec![told("éé"), told("x")], ..Choice::default() };
    choice.message.parts.push(gateway_core::Content::Text("ééx".into()).into());
    let answer = ChatResponse { choices: vec![choice], ..ChatResponse::default() };
    let whole = CompletionsInbound.write_whole(answer, reply(&members));
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    let expected = json!({
        "tokens": ["éé", "x"],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{ "éé": -0.5, "z": -1.5 }, { "x": -0.5, "z": -1.5 }],
        "text_offset": [2, 4],
    });
    assert_eq!(whole["choices"][0]["logprobs"], expected);

    let steps = vec![StreamEvent::Text("éé".into()), StreamEvent::Logprobs(told("éé"))];
    let steps =
        steps.into_iter().chain([StreamEvent::Text("x".into()), StreamEvent::Logprobs(told("x"))]);
    let chunks = chunks(&members, steps.collect());
    let offsets: Vec<_> = chunks
        .iter()
        .filter_map(|it| it["choices"][0]["logprobs"]["text_offset"].as_array())
        .flatten()
        .collect();
    assert_eq!(offsets, [2, 4]);
}

/// What a completions endpoint is sent for `body`, and what the caller reads of its `response`.
fn natively(body: &Value, response: &str) -> (String, Value) {
    let bytes = Bytes::from(body.to_string());
    let envelope = crate::envelope::read(&bytes, &crate::json::JsonLimits { depth: 64 }).unwrap();
    let prompts = CompletionsInbound.prepare_completion(bytes, envelope).unwrap();
    let mut call = gateway_core::ProviderRequest::new(ChatRequest::user("m", ""));
    call.payload = prompts.prompts[0].clone();
    call.target.model = "own".into();
    let outbound = CompletionsOutbound::default();
    let sent = outbound.encode(&call).unwrap();
    let ids = crate::IdGenerator::new(1);
    let chunk = outbound.read_whole(&call, response.to_owned().into(), ids.clone()).unwrap();
    let mut collector = gateway_core::Collector::default();
    chunk.events.into_iter().for_each(|event| collector.push(event));
    let answer = collector.finish();
    let reply = ResponseContext { payload: prompts.original, model: "m".into(), created: 1, ids };
    let written = CompletionsInbound.write_whole(answer, reply);
    (String::from_utf8(sent.to_vec()).unwrap(), serde_json::from_slice(&written).unwrap())
}

#[test]
fn completions_endpoint_gets_the_callers_own_words() {
    let body = json!({ "model": "m", "prompt": [1, 2], "suffix": "z", "echo": true, "best_of": 3, "logprobs": 1 });
    let logprobs = json!({ "tokens": ["a", "b"], "token_logprobs": [null, -0.5],
        "top_logprobs": [null, { "b": -0.5 }], "text_offset": [0, 1] });
    let response = json!({ "id": "cmpl-7", "object": "text_completion", "created": 5, "model": "own-1",
        "choices": [{ "text": "ab", "index": 0, "logprobs": logprobs, "finish_reason": "length" }],
        "usage": { "prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5 } });
    let (sent, answer) = natively(&body, &response.to_string());
    assert_eq!(sent, body.to_string().replace("\"m\"", "\"own\""));
    let choice = &answer["choices"][0];
    assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!("ab"), &json!("length")));
    assert_eq!(choice["logprobs"]["tokens"], json!(["a", "b"]));
    assert_eq!(choice["logprobs"]["token_logprobs"], json!([null, -0.5]));
    assert_eq!((&answer["id"], &answer["usage"]["total_tokens"]), (&json!("cmpl-7"), &json!(5)));
}
