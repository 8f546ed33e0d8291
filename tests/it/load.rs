//! Many at once, and one after the other on the same connection.

use gateway_tests::{Gateway, RawConnection, Script, Setup, Upstream, number, openai, request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{task::JoinSet, time::Instant};

#[tokio::test]
async fn concurrent_requests_get_their_own_responses() {
    let gateway = Setup::new().start().await;
    let address = gateway.address();
    let mut callers = JoinSet::new();
    for number in 0..200 {
        callers.spawn(async move {
            let mut raw = gateway_tests::RawConnection::connect(address).await;
            for round in 0..5 {
                let said = format!("caller {number} round {round}");
                let stream = (number + round) % 2 == 0;
                let messages = json!([{ "role": "user", "content": said }]);
                let ask = json!({ "messages": messages, "stream": stream });
                let body = openai::ask("fake/echo", ask);
                raw.send(request("POST", "/v1/chat/completions", &[], body.as_bytes())).await;
                let reply = raw.reply().await;
                if stream {
                    assert_eq!(reply.event_text(), format!("{said}[stop][DONE]"));
                } else {
                    assert_eq!(reply.json()["choices"][0]["message"]["content"], said);
                }
            }
        });
    }
    while let Some(served) = callers.join_next().await {
        served.unwrap();
    }
    assert_eq!(gateway.outcomes(1000).await.len(), 1000);
}

/// Returns the upstream's script for a request: of seven, three spoil their connections.
fn misbehave(number: usize, request: &[u8]) -> Script {
    let request: Value = serde_json::from_slice(request).unwrap();
    let answer = openai::whole(request["messages"][0]["content"].as_str().unwrap());
    let head = |length: usize| {
        let length = length.to_string();
        Script::new()
            .head(200, &[("content-type", "application/json"), ("content-length", &length)])
    };
    match number % 7 {
        1 => head(answer.len() + 1).bytes(&answer).close(),
        3 => head(answer.len())
            .bytes(&answer)
            .bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
        5 => head(answer.len()).bytes(&answer[..9]).reset(),
        _ => Script::json(200, &answer),
    }
}

/// However an upstream cuts or extends its responses, no caller gets another's. Runs as many
/// requests as `GATEWAY_TEST_TRIES` says.
#[tokio::test]
async fn pipelined_load_never_mixes_responses() {
    let upstream = Upstream::start().await;
    upstream.numbered(misbehave);
    let gateway = Setup::before(&upstream).set("log", "level", "info").start().await;
    let address = gateway.address();
    let requests = number("GATEWAY_TEST_TRIES").unwrap_or(1_000);
    let mut callers = JoinSet::new();
    for caller in 0..20 {
        callers.spawn(async move {
            let (mut raw, mut answers) = (RawConnection::connect(address).await, 0);
            for round in 0..requests / 20 {
                let said = format!("caller {caller} round {round}");
                let messages = json!([{ "role": "user", "content": said }]);
                let body = openai::ask("lab/m", json!({ "messages": messages }));
                raw.send(request("POST", "/v1/chat/completions", &[], body.as_bytes())).await;
                let reply = raw.reply().await;
                if reply.status() == 200 {
                    assert_eq!(reply.json()["choices"][0]["message"]["content"], said);
                    answers += 1;
                } else {
                    assert_eq!(reply.status(), 502, "{}", reply.text());
                }
            }
            answers
        });
    }
    let answers: u64 = callers.join_all().await.into_iter().sum();
    assert!(answers * 7 >= requests * 4, "{answers} of {requests}");
    assert!(upstream.exchanges().len() as u64 <= requests, "nobody is asked twice");
}

/// The median of how long a request takes on a connection that is kept.
async fn median(gateway: &Gateway, body: &str) -> Duration {
    let mut raw = gateway.connect().await;
    let mut took = Vec::new();
    for _ in 0..15 {
        let began = Instant::now();
        raw.send(request("POST", "/v1/chat/completions", &[], body.as_bytes())).await;
        assert_eq!(raw.reply().await.status(), 200);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took[took.len() / 2]
}

#[tokio::test]
async fn responses_are_not_delayed_by_nagle() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::before(&upstream).await;
    let long = json!([{ "role": "user", "content": "x".repeat(20_000) }]);
    for model in ["lab/m", "fake/chunks-5"] {
        for ask in [Value::Null, json!({ "stream": true }), json!({ "messages": long })] {
            // Where one side collects small segments and the other delays its acknowledgements,
            // everything takes 40 ms more.
            let took = median(&gateway, &openai::ask(model, ask)).await;
            assert!(took < Duration::from_millis(35), "{model}: {took:?}");
        }
    }
}
