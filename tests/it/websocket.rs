//! Responses over WebSocket.

use futures_util::{SinkExt as _, StreamExt as _};
use gateway_tests::{
    Dialect, Gateway, PATIENCE, Script, ScriptedAnswer, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet, time};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(gateway: &Gateway, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let address = gateway.address();
        let mut request = format!("ws://{address}/v1/responses").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tokio_tungstenite::tungstenite::Error::Http(reply)) => Err(reply.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn send(&mut self, frame: &Value) {
        self.0.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    /// The next frame; `None` once the gateway closes.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let message = time::timeout(PATIENCE, self.0.next()).await.expect("a frame")?;
            match message.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Close(_) => return None,
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The frames up to the end of a response.
    async fn response(&mut self) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await.expect("a frame");
            let kind = frame["type"].as_str().unwrap().to_owned();
            frames.push(frame);
            if matches!(&*kind, "response.completed" | "response.failed" | "error") {
                return frames;
            }
        }
    }
}

fn create(model: &str, text: &str) -> Value {
    json!({ "type": "response.create", "model": model, "store": false,
        "input": [{ "role": "user", "content": text }] })
}

/// The text of a response, and how it ended.
fn frames_text(frames: &[Value]) -> String {
    let deltas = frames.iter().filter(|it| it["type"] == "response.output_text.delta");
    let text: String = deltas.map(|it| it["delta"].as_str().unwrap()).collect();
    format!("{text}[{}]", frames.last().unwrap()["type"].as_str().unwrap())
}

/// A gateway before an upstream that speaks `dialect`.
async fn start(dialect: Dialect) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).speaking("lab", dialect);
    (upstream, setup.start().await)
}

#[tokio::test]
async fn connection_serves_several_responses_over_every_upstream() {
    for dialect in Dialect::ALL {
        let (upstream, gateway) = start(dialect).await;
        let mut socket = Socket::open(&gateway, &[]).await.unwrap();
        for text in ["one", "two"] {
            upstream.next(dialect.says(&ScriptedAnswer::text(&["Hel", "lo."]), true));
            socket.send(&create("lab/m", text)).await;
            let frames = socket.response().await;
            assert_eq!(frames_text(&frames), "Hello.[response.completed]", "{}", dialect.name());
            assert_eq!(frames[0]["type"], "response.created");
            assert!(upstream.last().text().contains(text));
        }
        assert_eq!(gateway.outcomes(2).await.len(), 2, "each response is accounted for");
    }
}

#[tokio::test]
async fn response_that_is_not_stored_is_continued_within_its_connection() {
    let (upstream, gateway) = start(Dialect::Messages).await;
    let mut socket = Socket::open(&gateway, &[]).await.unwrap();
    upstream.next(Dialect::Messages.says(&ScriptedAnswer::text(&["first answer"]), true));
    socket.send(&create("lab/m", "first question")).await;
    let id = socket.response().await.last().unwrap()["response"]["id"].clone();
    let mut next = create("lab/m", "second question");
    next["previous_response_id"] = id.clone();
    upstream.next(Dialect::Messages.says(&ScriptedAnswer::text(&["ok"]), true));
    socket.send(&next).await;
    assert_eq!(frames_text(&socket.response().await), "ok[response.completed]");
    let sent = upstream.last();
    for text in ["first question", "first answer", "second question"] {
        assert!(sent.text().contains(text), "{}", sent.text());
    }
    let mut other = Socket::open(&gateway, &[]).await.unwrap();
    other.send(&next).await;
    let error = other.response().await.pop().unwrap();
    assert_eq!(
        (&error["status"], &error["error"]["code"]),
        (&json!(400), &json!("previous_response_not_found"))
    );
}

#[tokio::test]
async fn input_without_generation_is_continued() {
    let (upstream, gateway) = start(Dialect::Gemini).await;
    let mut socket = Socket::open(&gateway, &[]).await.unwrap();
    let mut warm = create("lab/m", "warm");
    warm["generate"] = false.into();
    socket.send(&warm).await;
    let frames = socket.response().await;
    assert_eq!(frames.len(), 2);
    assert!(upstream.exchanges().is_empty());
    upstream.next(Dialect::Gemini.says(&ScriptedAnswer::text(&["ok"]), true));
    let mut next = create("lab/m", "next");
    next["previous_response_id"] = frames[1]["response"]["id"].clone();
    socket.send(&next).await;
    assert_eq!(frames_text(&socket.response().await), "ok[response.completed]");
    assert!(upstream.last().text().contains("warm"));
}

#[tokio::test]
async fn streams_run_beside_each_other_and_in_order_within() {
    let (upstream, gateway) = start(Dialect::Chat).await;
    let mut socket = Socket::open(&gateway, &[]).await.unwrap();
    upstream.next(Dialect::Chat.says(&ScriptedAnswer::text(&["slow"]), true).wait(0));
    upstream.next(Dialect::Chat.says(&ScriptedAnswer::text(&["quick"]), true));
    upstream.next(Dialect::Chat.says(&ScriptedAnswer::text(&["last"]), true));
    for (stream, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
        let mut frame = create("lab/m", text);
        frame["stream_id"] = stream.into();
        socket.send(&frame).await;
    }
    let mut completed = Vec::new();
    while completed.len() < 3 {
        let frame = socket.next().await.unwrap();
        assert!(frame["stream_id"] == "a" || frame["stream_id"] == "b", "{frame}");
        if frame["type"] == "response.completed" {
            completed.push(frame["stream_id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(completed.iter().filter(|it| *it == "a").count(), 2);
}

#[tokio::test]
async fn failure_is_an_error_frame_and_the_connection_stays() {
    let (upstream, gateway) = start(Dialect::Chat).await;
    let mut socket = Socket::open(&gateway, &[]).await.unwrap();
    for (frame, status, code) in [
        (create("no-such-model", "x"), 404, "model_not_found"),
        (json!({ "type": "response.create", "model": "lab/m" }), 400, "invalid_request"),
        (json!({ "type": "session.update" }), 400, "unknown_event_type"),
    ] {
        socket.send(&frame).await;
        let error = socket.response().await.pop().unwrap();
        assert_eq!(
            (&error["type"], &error["status"], &error["error"]["code"]),
            (&json!("error"), &json!(status), &json!(code)),
            "{error}"
        );
    }
    upstream
        .next(Script::json(429, r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#));
    socket.send(&create("lab/m", "x")).await;
    assert_eq!(socket.response().await.pop().unwrap()["status"], 429);
    socket
        .send(&json!({ "type": "response.steer", "previous_response_id": "r", "input": [] }))
        .await;
    assert_eq!(socket.next().await.unwrap()["error"]["code"], "steering_not_supported");
    upstream.next(Dialect::Chat.says(&ScriptedAnswer::text(&["ok"]), true));
    socket.send(&create("lab/m", "x")).await;
    assert_eq!(frames_text(&socket.response().await), "ok[response.completed]");
}

#[tokio::test]
async fn cancelled_and_abandoned_responses_cancel_their_upstream() {
    for leaves in [false, true] {
        let (upstream, gateway) = start(Dialect::Chat).await;
        let mut socket = Socket::open(&gateway, &[]).await.unwrap();
        upstream.next(Script::streaming().event(&gateway_tests::openai::says("Hel")).stall());
        socket.send(&create("lab/m", "x")).await;
        upstream.arrived(1).await;
        while socket.next().await.unwrap()["type"] != "response.output_text.delta" {}
        if leaves {
            drop(socket);
        } else {
            socket.send(&json!({ "type": "response.cancel" })).await;
            assert_eq!(socket.next().await.unwrap()["type"], "response.cancelled");
        }
        assert!(matches!(upstream.ended().await, gateway_tests::ExchangeEnd::Left(_)));
    }
}

#[tokio::test]
async fn upgrade_is_refused_with_426_where_it_is_switched_off() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).write("server", "websockets", "false").start().await;
    assert_eq!(Socket::open(&gateway, &[]).await.err(), Some(426));
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let reply = gateway.send(request("GET", "/v1/responses", &headers, b"")).await;
    assert_eq!((reply.status(), reply.header("upgrade")), (426, "HTTP/1.1"));
    assert!(reply.header("connection").contains("close"), "{}", reply.header("connection"));
    let reply = gateway.get("/v1/responses").await;
    assert_eq!(reply.status(), 405);
}

#[tokio::test]
async fn handshake_needs_a_key_a_known_version_and_a_page_that_may_call() {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream).client("a", "gw-key-of-a-0000000000000000000");
    let gateway = setup.start().await;
    assert_eq!(Socket::open(&gateway, &[]).await.err(), Some(401));
    let key = ("authorization", "Bearer gw-key-of-a-0000000000000000000");
    assert_eq!(
        Socket::open(&gateway, &[key, ("origin", "https://evil.example")]).await.err(),
        Some(403)
    );
    assert_eq!(
        Socket::open(&gateway, &[key, ("sec-websocket-version", "8")]).await.err(),
        Some(426)
    );
    let mut socket = Socket::open(&gateway, &[key]).await.unwrap();
    upstream.next(Dialect::Chat.says(&ScriptedAnswer::text(&["ok"]), true));
    socket.send(&create("lab/m", "x")).await;
    assert_eq!(frames_text(&socket.response().await), "ok[response.completed]");
}

#[tokio::test]
async fn connection_says_goodbye_when_the_gateway_stops() {
    let (upstream, mut gateway) = start(Dialect::Chat).await;
    let mut idle = Socket::open(&gateway, &[]).await.unwrap();
    let mut busy = Socket::open(&gateway, &[]).await.unwrap();
    let slow = Script::streaming().event(&gateway_tests::openai::says("Hel")).wait(300);
    upstream.next(
        slow.event(&gateway_tests::openai::says("lo."))
            .event(&gateway_tests::openai::chunk("{}", Some("stop")))
            .event("[DONE]")
            .end(),
    );
    busy.send(&create("lab/m", "x")).await;
    upstream.arrived(1).await;
    while busy.next().await.unwrap()["type"] != "response.output_text.delta" {}
    gateway.terminate();
    let goodbye = idle.next().await.unwrap();
    assert_eq!(
        (&goodbye["type"], &goodbye["error"]["code"]),
        (&json!("error"), &json!("server_shutting_down"))
    );
    assert!(idle.next().await.is_none(), "the connection is closed");
    let mut kinds = Vec::new();
    while let Some(frame) = busy.next().await {
        kinds.push(frame["type"].as_str().unwrap().to_owned());
    }
    assert!(kinds.contains(&"error".to_owned()), "{kinds:?}");
    assert_eq!(kinds.last().unwrap(), "response.completed", "{kinds:?}");
    assert!(gateway.stopped().await.success());
}

/// Makes the failpoint `name` panic when it is reached next.
fn arm(gateway: &Gateway, name: &str) {
    let directory = gateway.home().join("data/failpoints");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(name), "").unwrap();
}

fn on_stream(id: &str, model: &str, text: &str) -> Value {
    let mut frame = create(model, text);
    frame["stream_id"] = id.into();
    frame
}

#[tokio::test]
async fn panic_in_a_turn_ends_that_turn_alone() {
    for failpoint in ["websocket_turn", "reply_body", "request"] {
        let (upstream, gateway) = start(Dialect::Chat).await;
        let mut socket = Socket::open(&gateway, &[]).await.unwrap();
        let begun = Script::streaming().event(&openai::opening()).event(&openai::says("Hel"));
        let rest = begun.wait(4_000).event(&openai::says("lo.")).event(&openai::stops());
        upstream.next(rest.event("[DONE]").end());
        socket.send(&on_stream("slow", "lab/m", "x")).await;
        while socket.next().await.unwrap()["type"] != "response.output_text.delta" {}
        // Until the gateway waits for the rest, too.
        time::sleep(Duration::from_millis(500)).await;
        arm(&gateway, failpoint);
        socket.send(&on_stream("broken", "fake/echo", "x")).await;
        let mut ends = Vec::new();
        while ends.len() < 2 {
            let frame = socket.next().await.expect("the connection goes on");
            let (kind, stream) = (frame["type"].as_str().unwrap(), &frame["stream_id"]);
            if matches!(kind, "error" | "response.completed") {
                ends.push((kind.to_owned(), stream.as_str().unwrap().to_owned()));
            }
        }
        let end = |kind: &str, stream: &str| (kind.to_owned(), stream.to_owned());
        assert_eq!(
            ends,
            [end("error", "broken"), end("response.completed", "slow")],
            "{failpoint}"
        );
        socket.send(&create("fake/echo", "again")).await;
        assert!(frames_text(&socket.response().await).ends_with("[response.completed]"));
        let panics = gateway.metric("llm_gateway_panics_total", "").await;
        assert_eq!(panics.to_string(), "1");
    }
}

/// The memory of the process, in mebibytes.
fn resident(gateway: &Gateway) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<f64>().unwrap() / 1024.0
}

#[tokio::test]
async fn waiting_frames_take_memory_of_the_budget() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).set("admission", "body_memory", "32MiB").start().await;
    let mut socket = Socket::open(&gateway, &[]).await.unwrap();
    upstream.next(Script::streaming().event(&openai::says("Hel")).stall());
    socket.send(&create("lab/m", "x")).await;
    while socket.next().await.unwrap()["type"] != "response.output_text.delta" {}
    let before = resident(&gateway);
    let large = create("lab/m", &"x".repeat(4 << 20));
    let mut refused = 0;
    for _ in 0..24 {
        socket.send(&large).await;
        // What is refused is said at once; what waits is not answered.
        while let Ok(frame) = time::timeout(Duration::from_millis(300), socket.next()).await {
            assert_eq!(frame.unwrap()["error"]["code"], "overloaded");
            refused += 1;
        }
    }
    let most = resident(&gateway) - before;
    gateway_tests::print_measurement(&format!("{refused} of 24 frames refused, {most:+.0} MiB"));
    assert!(refused > 10 && refused < 24, "{refused}");
    assert!(most < 96.0, "{most} MiB");
    drop(socket);
    // All of it is free again.
    let body = openai::ask("lab/m", json!({ "user": "x".repeat(8 << 20) }));
    let deadline = time::Instant::now() + PATIENCE;
    while gateway.chat(&body).await.status() != 200 {
        assert!(time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn unfinished_messages_take_memory_of_the_budget() {
    let upstream = Upstream::start().await;
    let gateway = Setup::before(&upstream).set("admission", "body_memory", "32MiB").start().await;
    let before = resident(&gateway);
    let mut senders = JoinSet::new();
    for _ in 0..20 {
        let socket = Socket::open(&gateway, &[]).await.unwrap();
        let mut stream = socket.0.into_inner();
        senders.spawn(async move {
            // A text frame of 9 MiB, masked by zeros; its last byte never comes.
            let length = 9_u64 << 20;
            let head = [&[0x81, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
            stream.write_all(&head).await.unwrap();
            let spaces = vec![b' '; (9 << 20) - 1];
            let _ = time::timeout(Duration::from_secs(30), stream.write_all(&spaces)).await;
            std::future::pending::<()>().await;
        });
    }
    let mut most = 0.0_f64;
    for _ in 0..20 {
        time::sleep(Duration::from_millis(100)).await;
        most = most.max(resident(&gateway) - before);
        assert_eq!(gateway.ask("lab/m", json!({})).await.status(), 200);
    }
    gateway_tests::print_measurement(&format!("{most:+.0} MiB for 180 MiB of unfinished messages"));
    assert!(most < 96.0, "{most} MiB");
    senders.shutdown().await;
    let body = openai::ask("lab/m", json!({ "user": "x".repeat(8 << 20) }));
    let deadline = time::Instant::now() + PATIENCE;
    while gateway.chat(&body).await.status() != 200 {
        assert!(time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn tenant_leaves_connections_for_others() {
    let upstream = Upstream::start().await;
    let keys = ["gw-key-of-a-0000000000000000000", "gw-key-of-b-0000000000000000000"];
    let setup = Setup::before(&upstream).client("a", keys[0]).client("b", keys[1]);
    let gateway = setup.set("log", "level", "warn").start().await;
    let mut taken = Vec::new();
    let refused = loop {
        match Socket::open(&gateway, &[("x-api-key", keys[0])]).await {
            Ok(socket) => taken.push(socket),
            Err(status) => break status,
        }
    };
    assert_eq!((refused, taken.len()), (503, 2048));
    let mut other = Socket::open(&gateway, &[("x-api-key", keys[1])]).await.unwrap();
    other.send(&create("fake/echo", "x")).await;
    assert!(frames_text(&other.response().await).ends_with("[response.completed]"));
    taken.pop();
    let deadline = time::Instant::now() + PATIENCE;
    while Socket::open(&gateway, &[("x-api-key", keys[0])]).await.is_err() {
        assert!(time::Instant::now() < deadline);
    }
}
