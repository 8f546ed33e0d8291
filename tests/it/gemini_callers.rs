//! Callers that speak Gemini's API, over every kind of upstream.

use gateway_tests::{Dialect, Gateway, Reply, Script, ScriptedAnswer, Setup, Upstream, request};
use serde_json::{Value, json};

const UPSTREAMS: [Dialect; 5] =
    [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama];

/// A gateway whose provider `lab` speaks `dialect`, with a client that needs a key.
async fn start(upstream: &Upstream, dialect: Dialect) -> Gateway {
    let setup = Setup::new().provider("lab", &upstream.url()).speaking("lab", dialect);
    let setup = setup.set("providers.lab", "api_key", "sk-upstream");
    setup.client("app", "sk-caller").start().await
}

async fn send(gateway: &Gateway, path: &str, body: &Value) -> Reply {
    let headers = [("x-goog-api-key", "sk-caller")];
    gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await
}

fn path(method: &str) -> String {
    format!("/v1beta/models/lab/gemini-2.5-flash:{method}")
}

fn asks(text: &str) -> Value {
    json!({
        "systemInstruction": { "parts": [{ "text": "be brief" }] },
        "contents": [{ "role": "user", "parts": [
            { "text": text }, { "inline_data": { "mime_type": "image/png", "data": "AA==" } },
        ] }],
        "tools": [{ "functionDeclarations": [
            { "name": "look", "parameters": { "type": "OBJECT", "properties": { "q": { "type": "STRING" } } } },
        ] }],
        "generationConfig": { "maxOutputTokens": 50, "temperature": 0.5 },
    })
}

fn answer() -> ScriptedAnswer {
    ScriptedAnswer {
        text: vec!["Hello ", "there."],
        calls: vec![("look", json!({ "q": "x" }))],
        ..ScriptedAnswer::default()
    }
}

/// The text of all `steps`, the calls, and the last reason for an end.
fn spell(steps: &[Value]) -> String {
    let mut said = String::new();
    for step in steps {
        let candidate = &step["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            said += part["text"].as_str().unwrap_or_default();
            if let Some(call) = part.get("functionCall") {
                let (name, args) = (call["name"].as_str().unwrap(), call["args"].to_string());
                said += &["<", name, " ", &args, ">"].concat();
            }
        }
        said += candidate["finishReason"].as_str().map_or("", |_| "|");
        said += candidate["finishReason"].as_str().unwrap_or_default();
    }
    said
}

const SAID: &str = r#"Hello there.<look {"q":"x"}>|STOP"#;

#[tokio::test]
async fn response_is_the_same_over_every_upstream() {
    for dialect in UPSTREAMS {
        let upstream = Upstream::start().await;
        let gateway = start(&upstream, dialect).await;
        upstream.always(dialect.says(&answer(), false));
        let whole = send(&gateway, &path("generateContent"), &asks("hi")).await;
        assert_eq!(whole.status(), 200, "{dialect:?} {}", whole.text());
        assert_eq!(spell(&[whole.json()]), SAID, "{dialect:?} {}", whole.text());
        assert!(whole.json()["usageMetadata"]["totalTokenCount"].as_u64() > Some(0), "{dialect:?}");
        let sent = upstream.last();
        for word in ["be brief", "hi", "AA==", "look"] {
            assert!(sent.text().contains(word), "{dialect:?} {word}: {}", sent.text());
        }
        assert!(!sent.text().contains("systemInstruction") || dialect == Dialect::Gemini);
    }
}

#[tokio::test]
async fn stream_is_events_or_one_array() {
    for dialect in UPSTREAMS {
        let upstream = Upstream::start().await;
        let gateway = start(&upstream, dialect).await;
        upstream.always(dialect.says(&answer(), true));
        let events = send(&gateway, &path("streamGenerateContent?alt=sse"), &asks("hi")).await;
        assert_eq!(events.header("content-type"), "text/event-stream; charset=utf-8");
        let steps: Vec<Value> =
            events.events().iter().map(|it| serde_json::from_str(it).unwrap()).collect();
        assert_eq!(spell(&steps), SAID, "{dialect:?} {}", events.text());
        let last = steps.last().unwrap();
        assert!(last["usageMetadata"]["totalTokenCount"].as_u64() > Some(0), "{dialect:?} {last}");
        let array = send(&gateway, &path("streamGenerateContent"), &asks("hi")).await;
        assert_eq!(array.header("content-type"), "application/json");
        let steps: Vec<Value> = serde_json::from_str(array.text()).unwrap();
        assert_eq!(spell(&steps), SAID, "{dialect:?} {}", array.text());
    }
}

#[tokio::test]
async fn tool_results_reach_every_upstream() {
    let mut body = asks("hi");
    let turns = body["contents"].as_array_mut().unwrap();
    turns.push(json!({ "role": "model", "parts": [
        { "functionCall": { "name": "look", "args": { "q": "x" } } }] }));
    turns.push(json!({ "role": "user", "parts": [
        { "functionResponse": { "name": "look", "response": { "output": "found-it" } } }] }));
    body["toolConfig"] = json!({ "functionCallingConfig": { "mode": "ANY" } });
    for dialect in UPSTREAMS {
        let upstream = Upstream::start().await;
        let gateway = start(&upstream, dialect).await;
        upstream.always(dialect.says(&answer(), false));
        let reply = send(&gateway, &path("generateContent"), &body).await;
        assert_eq!(reply.status(), 200, "{dialect:?} {}", reply.text());
        assert!(upstream.last().text().contains("found-it"), "{}", upstream.last().text());
    }
}

#[tokio::test]
async fn request_reaches_gemini_as_it_is() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, Dialect::Gemini).await;
    upstream.always(Dialect::Gemini.says(&answer(), false));
    let mut body = asks("hi");
    body["safetySettings"] =
        json!([{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF" }]);
    body["generationConfig"]["mediaResolution"] = json!("MEDIA_RESOLUTION_LOW");
    let reply = send(&gateway, &path("generateContent"), &body).await;
    assert_eq!((reply.status(), reply.header("x-gateway-dropped")), (200, ""));
    let sent = upstream.last();
    assert_eq!(sent.json(), body);
    assert!(
        sent.head.line.contains("/models/gemini-2.5-flash:generateContent"),
        "{}",
        sent.head.line
    );
}

#[tokio::test]
async fn lost_members_are_named_or_refused() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, Dialect::Chat).await;
    upstream.always(Dialect::Chat.says(&answer(), false));
    let mut body = asks("hi");
    body["safetySettings"] =
        json!([{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF" }]);
    body["generationConfig"]["mediaResolution"] = json!("MEDIA_RESOLUTION_LOW");
    let reply = send(&gateway, &path("generateContent"), &body).await;
    let lost = reply.header("x-gateway-dropped").to_owned();
    assert!(lost.contains("safetySettings"), "{lost}");
    assert!(lost.contains("generationConfig.mediaResolution"), "{lost}");
    let calls = upstream.exchanges().len();
    let headers = [("x-goog-api-key", "sk-caller"), ("x-gateway-strict", "true")];
    let body = body.to_string();
    let strict = request("POST", &path("generateContent"), &headers, body.as_bytes());
    let reply = gateway.send(strict).await;
    assert_eq!(
        (reply.status(), reply.json()["error"]["status"].as_str()),
        (400, Some("INVALID_ARGUMENT"))
    );
    assert_eq!(upstream.exchanges().len(), calls, "nothing was sent");
}

#[tokio::test]
async fn errors_are_in_the_form_of_google() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, Dialect::Chat).await;
    let told = |reply: &Reply| {
        let error = reply.json()["error"].clone();
        assert_eq!(error["code"], reply.status(), "{error}");
        format!("{} {}", reply.status(), error["status"].as_str().unwrap())
    };
    let body = asks("hi");
    let none = request("POST", &path("generateContent"), &[], body.to_string().as_bytes());
    assert_eq!(told(&gateway.send(none).await), "401 UNAUTHENTICATED");
    let unknown = send(&gateway, "/v1beta/models/none/x:generateContent", &body).await;
    assert_eq!(told(&unknown), "404 NOT_FOUND");
    let empty = send(&gateway, &path("generateContent"), &json!({})).await;
    assert_eq!(told(&empty), "400 INVALID_ARGUMENT");
    let get = request("GET", &path("generateContent"), &[("x-goog-api-key", "sk-caller")], b"");
    assert_eq!(told(&gateway.send(get).await), "405 INVALID_ARGUMENT");
    upstream
        .always(Script::json(400, r#"{"error":{"message":"no","type":"invalid_request_error"}}"#));
    let refused = send(&gateway, &path("streamGenerateContent?alt=sse"), &body).await;
    assert_eq!(told(&refused), "400 INVALID_ARGUMENT");
    assert_eq!(refused.json()["error"]["message"], "no");
}

#[tokio::test]
async fn key_in_the_query_is_never_seen_again() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, Dialect::Gemini).await;
    upstream.always(Dialect::Gemini.says(&answer(), true));
    let body = asks("hi").to_string();
    let ask = async |key: &str| {
        let path = path(&format!("streamGenerateContent?alt=sse&key={key}"));
        gateway.send(request("POST", &path, &[], body.as_bytes())).await
    };
    assert_eq!(ask("sk-caller").await.status(), 200);
    let refused = ask("sk-other").await;
    assert_eq!(refused.status(), 401);
    let sent = upstream.last();
    let outcomes = gateway.outcomes(1).await;
    assert_eq!(outcomes[0]["path"], "/v1beta/models/{id}:streamGenerateContent");
    let seen = [
        gateway.stdout(),
        gateway.stderr(),
        refused.text().to_owned(),
        sent.head.line.clone(),
        format!("{:?}", sent.head),
        format!("{outcomes:?}"),
    ];
    for text in seen {
        assert!(!text.contains("sk-caller") && !text.contains("sk-other"), "{text}");
    }
}

#[tokio::test]
async fn broken_stream_ends_with_an_error() {
    for dialect in [Dialect::Chat, Dialect::Messages, Dialect::Gemini, Dialect::Ollama] {
        let upstream = Upstream::start().await;
        let gateway = start(&upstream, dialect).await;
        upstream.always(dialect.breaks_off(&answer()));
        let events = send(&gateway, &path("streamGenerateContent?alt=sse"), &asks("hi")).await;
        let last: Value = serde_json::from_str(events.events().last().unwrap()).unwrap();
        assert!(last["error"]["status"].is_string(), "{dialect:?} {}", events.text());
        assert!(!events.text().contains("finishReason"), "{dialect:?} {}", events.text());
        let array = send(&gateway, &path("streamGenerateContent"), &asks("hi")).await;
        let steps: Vec<Value> = serde_json::from_str(array.text()).unwrap();
        assert!(steps.last().unwrap()["error"]["code"].is_number(), "{dialect:?}");
    }
}

#[tokio::test]
async fn output_limit_counts_in_an_explanation() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, Dialect::Chat).await;
    let explain = format!("/v1/explain?path={}", path("generateContent"));
    let reply = send(&gateway, &explain, &asks("hi")).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let told = reply.json();
    assert_eq!((&told["model"], &told["stream"]), (&json!("lab/gemini-2.5-flash"), &json!(false)));
}
