//! Many at once, and one after the other on the same connection.

use gateway_tests::{Gateway, Setup, Upstream, openai, request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{task::JoinSet, time::Instant};

#[tokio::test]
async fn many_are_served_at_once_and_get_what_is_theirs() {
    let gateway = Setup::new().start().await;
    let address = gateway.address();
    let mut callers = JoinSet::new();
    for number in 0..200 {
        callers.spawn(async move {
            let mut raw = gateway_tests::Raw::connect(address).await;
            for round in 0..5 {
                let said = format!("caller {number} round {round}");
                let stream = (number + round) % 2 == 0;
                let messages = json!([{ "role": "user", "content": said }]);
                let ask = json!({ "messages": messages, "stream": stream });
                let body = openai::ask("fake/echo", ask);
                raw.send(request("POST", "/v1/chat/completions", &[], body.as_bytes())).await;
                let reply = raw.reply().await;
                if stream {
                    assert_eq!(reply.said(), format!("{said}[stop][DONE]"));
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
async fn nobody_waits_for_an_acknowledgement() {
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
