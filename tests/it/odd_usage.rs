//! Answers whose token counts cannot be, or are not there.

use gateway_tests::{Gateway, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};

const KEY: (&str, &str) = ("x-api-key", "sk-app");

/// Before a model at ten cents a token read, and twenty a token written.
async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let setup = Setup::before(&upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 100000, output = 200000 }")
        .client("app", "sk-app");
    (upstream, setup.start().await)
}

async fn rows(gateway: &Gateway) -> Value {
    let question = request("GET", "/v1/usage?group_by=outcome", &[KEY], b"");
    gateway.send(&question).await.json()["total"].clone()
}

/// An answer with `usage` in place of what is usual, streamed or not.
fn script(usage: &str, stream: bool) -> Script {
    let usual = format!("\"usage\":{}", openai::USAGE);
    if stream {
        let events = openai::streamed(&["Hel", "lo."]);
        Script::events(events.iter().map(|event| event.replace(&usual, usage)))
    } else {
        Script::json(200, openai::whole("Hello.").replace(&usual, usage))
    }
}

/// Checks the usage record of a response with `usage`, streamed and complete: `tokens $cost`, with
/// `~` for an estimate; and its anomalies.
async fn check(usage: &str, expected: [&str; 2], anomalies: &[&str]) {
    for (stream, expected) in [false, true].into_iter().zip(expected) {
        let (upstream, gateway) = start().await;
        upstream.next(script(usage, stream));
        let body = openai::ask("m", json!({ "stream": stream }));
        let asking = request("POST", "/v1/chat/completions", &[KEY], body.as_bytes());
        let reply = gateway.send(asking).await;
        assert_eq!(reply.status_and_code(), "200", "{usage}: {}", reply.text());
        if stream {
            assert_eq!(reply.event_text(), "Hello.[stop][DONE]", "{usage}");
        }
        gateway.outcomes(1).await;
        let booked = rows(&gateway).await;
        let mark = if booked["estimated_requests"] == 1 { "~" } else { "" };
        let told = format!("{mark}{} ${}", booked["total_tokens"], booked["cost_usd"]);
        assert_eq!(told, expected, "{usage}, stream {stream}: {booked}");
        let mut odd = Vec::new();
        for anomaly in ["missing", "count", "total"] {
            if gateway.metric("llm_gateway_usage_anomalies_total", anomaly).await > 0.0 {
                odd.push(anomaly);
            }
        }
        assert_eq!(odd, anomalies, "{usage}, stream {stream}");
    }
}

/// The usage record of a response without usage, streamed and complete.
const ESTIMATED: [&str; 2] = ["~19 $2.0", "~21 $2.4"];

/// Counts of which that of the prompt is `prompt`, and that of the answer `completion`.
fn of(prompt: &str, completion: &str) -> String {
    let counts = format!("\"prompt_tokens\":{prompt},\"completion_tokens\":{completion}");
    format!("\"usage\":{{{counts},\"total_tokens\":10}}")
}

#[tokio::test]
async fn missing_usage_is_estimated() {
    for usage in ["\"usage\":null", "\"x\":1", "\"usage\":{}"] {
        check(usage, ESTIMATED, &["missing"]).await;
    }
}

#[tokio::test]
async fn usage_number_formats_are_parsed() {
    for count in ["7.0", "7.2", "\"7\"", "0.7e1"] {
        check(&of(count, "3"), ["10 $1.3"; 2], &[]).await;
    }
    let twice = format!("\"usage\":{},\"usage\":{}", openai::USAGE, openai::USAGE);
    check(&twice, ["10 $1.3"; 2], &[]).await;
}

/// Some providers send cumulative usage with each chunk.
#[tokio::test]
async fn cumulative_usage_is_not_summed() {
    let (upstream, gateway) = start().await;
    let growing = |said: u32, piece: &str| {
        let usage = format!(
            "\"usage\":{{\"prompt_tokens\":7,\"completion_tokens\":{said},\"total_tokens\":{}}},\"choices\"",
            7 + said
        );
        openai::says(piece).replace("\"choices\"", &usage)
    };
    let events = [
        openai::opening(),
        growing(1, "Hel"),
        growing(2, "lo"),
        growing(3, "."),
        openai::stops(),
        openai::usage(),
        "[DONE]".to_owned(),
    ];
    upstream.next(Script::events(events));
    let body = openai::ask("m", json!({ "stream": true }));
    let asking = request("POST", "/v1/chat/completions", &[KEY], body.as_bytes());
    assert_eq!(gateway.send(asking).await.event_text(), "Hello.[stop][DONE]");
    gateway.outcomes(1).await;
    let booked = rows(&gateway).await;
    assert_eq!((&booked["total_tokens"], &booked["cost_usd"]), (&json!(10), &json!(1.3)));
}

/// Nothing is paid for them, and nothing is paid back.
#[tokio::test]
async fn invalid_usage_is_ignored() {
    for count in ["-7", "1e18", "1e300", "[]", "true", "18446744073709551615", "null"] {
        // Without a count there is none that cannot be.
        let odd = if count == "null" { &["total"][..] } else { &["count", "total"] };
        check(&of(count, "3"), ["10 $0.6"; 2], odd).await;
        let odd = if count == "null" { &["missing"][..] } else { &["missing", "count", "total"] };
        check(&of(count, count), ESTIMATED, odd).await;
    }
    let parts = "\"prompt_tokens_details\":{\"cached_tokens\":8}";
    let usage = openai::USAGE.replace('{', &format!("{{{parts},"));
    check(&format!("\"usage\":{usage}"), ["10 $1.3"; 2], &["count"]).await;
}

/// Sends a request to a provider of that dialect with the response `answer`; checks the reply and
/// the anomalies.
async fn check_dialect(provider: &str, answer: &str) {
    let upstream = Upstream::start().await;
    let url = upstream.url();
    let setup = Setup::new().provider(provider, &url);
    let setup = setup.set(&format!("providers.{provider}"), "api_key", "sk-upstream");
    let gateway = setup.start().await;
    upstream.next(Script::json(200, answer));
    let reply = gateway.ask(&format!("{provider}/m"), Value::Null).await;
    assert_eq!(reply.status_and_code(), "200", "{provider}: {}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "x", "{provider}");
    gateway.outcomes(1).await;
    let odd = gateway.metric("llm_gateway_usage_anomalies_total", "count").await;
    assert!((odd - 1.0).abs() < 0.1, "{provider}: {odd}");
}

/// Whatever is wrong with the counts, the answer is one.
#[tokio::test]
async fn invalid_usage_does_not_fail_response() {
    for count in ["-7", "1e400", "\"many\"", "true"] {
        let said = "\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"role\":\"assistant\"";
        let counts = format!("\"usage\":{{\"input_tokens\":{count},\"output_tokens\":3}}");
        let answer =
            format!("{{\"type\":\"message\",{said},\"stop_reason\":\"end_turn\",{counts}}}");
        check_dialect("anthropic", &answer).await;
        let said = "{\"content\":{\"parts\":[{\"text\":\"x\"}]},\"finishReason\":\"STOP\"}";
        let counts = format!("{{\"promptTokenCount\":{count},\"candidatesTokenCount\":3}}");
        let answer = format!("{{\"candidates\":[{said}],\"usageMetadata\":{counts}}}");
        check_dialect("gemini", &answer).await;
        let said = "\"message\":{\"role\":\"assistant\",\"content\":\"x\"},\"done\":true";
        let answer =
            format!("{{\"model\":\"m\",{said},\"prompt_eval_count\":{count},\"eval_count\":3}}");
        check_dialect("ollama", &answer).await;
    }
}
