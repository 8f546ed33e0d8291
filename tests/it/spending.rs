//! Booked against served: hundreds of requests, most of which go wrong, before a model that counts.
//!
//! `GATEWAY_TEST_SPENDING` sets the number of requests to each store, and one process is killed for
//! each fifty; the default is a few.

use gateway_tests::{
    Exchange, ExchangeEnd, Gateway, RawConnection, Redis, Script, Setup, Upstream, openai,
    platform::PlatformStub, request,
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time};

const KEY: &str = "sk-ours";

/// The requests that are in progress at one time.
const CALLERS: u64 = 8;

/// The requests for each killed process.
const PER_KILL: u64 = 50;

/// The tokens that a request reads at least, and those that a response writes.
const INPUT: usize = 6_000;
const OUTPUT: u64 = 20;

/// What happens to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RequestPlan {
    /// It is answered.
    Answered,
    /// It is answered after a round with a tool.
    Tool,
    /// The answer takes a while.
    Slow,
    /// Nothing comes: the gateway's time is up.
    Silent,
    /// The connection breaks within the answer.
    Cut,
    /// The model refuses it.
    Refused,
}

const PLANS: [(RequestPlan, &str); 6] = [
    (RequestPlan::Answered, "answered"),
    (RequestPlan::Tool, "tool"),
    (RequestPlan::Slow, "slow"),
    (RequestPlan::Silent, "silent"),
    (RequestPlan::Cut, "cut"),
    (RequestPlan::Refused, "refused"),
];

/// One request, as the model sees it.
struct ModelRequest {
    plan: RequestPlan,
    id: String,
    stream: bool,
    has_tool_result: bool,
    /// The tokens of its texts.
    input: u64,
}

impl ModelRequest {
    fn of(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).expect("a request of JSON");
        let messages = body["messages"].as_array().expect("messages");
        let texts = messages.iter().filter_map(|message| message["content"].as_str());
        let input = texts.map(str::len).sum::<usize>() / 4;
        let text = messages[0]["content"].as_str().expect("a text");
        let (name, rest) = text.split_once(' ').expect("a plan");
        let plan = PLANS.into_iter().find(|(_, it)| *it == name).expect("a plan").0;
        Self {
            plan,
            id: rest.split(' ').next().expect("an id").to_owned(),
            stream: body["stream"] == true,
            has_tool_result: messages.iter().any(|message| message["role"] == "tool"),
            input: input as u64,
        }
    }

    fn usage(&self) -> Value {
        json!({ "prompt_tokens": self.input, "completion_tokens": OUTPUT,
            "total_tokens": self.input + OUTPUT })
    }

    /// The tokens that the model served in an exchange with this request.
    fn served(&self, exchange: &Exchange) -> u64 {
        if self.plan == RequestPlan::Refused {
            return 0;
        }
        let is_whole = exchange.ended == Some(ExchangeEnd::Played)
            && matches!(self.plan, RequestPlan::Answered | RequestPlan::Tool | RequestPlan::Slow);
        let output = if is_whole {
            OUTPUT
        } else if self.stream {
            // A lower bound: the head of the response counts as half an event.
            (exchange.sent / (word().len() + 20)) as u64
        } else {
            0
        };
        self.input + output.min(OUTPUT)
    }
}

fn word() -> String {
    openai::says("w")
}

/// The model's response.
fn script(_: usize, body: &[u8]) -> Script {
    let asked = ModelRequest::of(body);
    let wait = if asked.plan == RequestPlan::Slow { 20 } else { 0 };
    match asked.plan {
        RequestPlan::Refused => Script::json(503, openai::error("e", "e", "no")),
        RequestPlan::Silent => Script::new().stall(),
        RequestPlan::Tool if !asked.has_tool_result => tool_call(&asked),
        RequestPlan::Cut if asked.stream => words(Script::streaming(), OUTPUT / 2, 1).reset(),
        RequestPlan::Cut => Script::new().wait(20).reset(),
        RequestPlan::Answered | RequestPlan::Tool | RequestPlan::Slow if asked.stream => {
            let mut usage: Value = serde_json::from_str(&openai::usage()).expect("JSON");
            usage["usage"] = asked.usage();
            let said = words(Script::streaming(), OUTPUT, wait);
            said.event(&openai::stops()).event(&usage.to_string()).event("[DONE]").end()
        }
        RequestPlan::Answered | RequestPlan::Tool | RequestPlan::Slow => {
            let mut answer: Value = serde_json::from_str(&openai::whole("Hello.")).expect("JSON");
            answer["usage"] = asked.usage();
            let answer = Script::json(200, answer.to_string());
            if wait > 0 { Script::new().wait(wait * OUTPUT).then_all(answer) } else { answer }
        }
    }
}

/// So many words, with so many milliseconds before each.
fn words(script: Script, count: u64, wait: u64) -> Script {
    let opened = script.event(&openai::opening());
    (0..count).fold(opened, |script, _| script.wait(wait).event(&word()))
}

fn tool_call(asked: &ModelRequest) -> Script {
    let call = json!([{ "index": 0, "id": "call_1", "type": "function", "function": {
        "name": "search_corpus", "arguments": "{\"query\":\"q\"}" } }]);
    if asked.stream {
        let delta = json!({ "role": "assistant", "tool_calls": call }).to_string();
        let mut usage: Value = serde_json::from_str(&openai::usage()).expect("JSON");
        usage["usage"] = asked.usage();
        let events = [
            openai::chunk(&delta, None),
            openai::chunk("{}", Some("tool_calls")),
            usage.to_string(),
            "[DONE]".to_owned(),
        ];
        return Script::events(events);
    }
    let message = json!({ "role": "assistant", "content": null, "tool_calls": call });
    let answer = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": message, "finish_reason": "tool_calls" }],
        "usage": asked.usage() });
    Script::json(200, answer.to_string())
}

/// Numbers that look random, and are the same each time.
fn random(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn body(number: u64) -> String {
    let (_, name) = PLANS[usize::try_from(random(number) % 6).expect("small")];
    let text = format!("{name} {number} {}", "word".repeat(INPUT));
    let mut body = json!({ "model": "m", "stream": random(number + 1_000).is_multiple_of(2),
        "max_tokens": OUTPUT, "messages": [{ "role": "user", "content": text }] });
    if name == "tool" {
        body["tools"] = json!([{ "type": "function", "function": { "name": "search_corpus",
            "parameters": { "type": "object", "properties": { "query": { "type": "string" } } } } }]);
    }
    body.to_string()
}

/// Sends request `number`, once the gateway is there, and leaves it at some moment if it is one of
/// those. Whatever becomes of it, the next one follows.
async fn ask(address: SocketAddr, number: u64) {
    let mut raw = loop {
        if let Some(raw) = RawConnection::try_connect(address).await {
            break raw;
        }
        time::sleep(Duration::from_millis(10)).await;
    };
    let headers = [("x-api-key", KEY), ("content-type", "application/json")];
    raw.send(request("POST", "/v1/chat/completions", &headers, body(number).as_bytes())).await;
    if random(number + 2_000).is_multiple_of(3) {
        let stay = Duration::from_millis(random(number + 3_000) % 400);
        drop(time::timeout(stay, raw.try_reply()).await);
    } else {
        drop(raw.try_reply().await);
    }
}

/// Runs `number` requests through a gateway that is killed now and then.
async fn run(setup: Setup, upstream: &Upstream, number: u64) -> Gateway {
    let mut gateway = setup.start().await;
    let (address, next) = (gateway.address(), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let next = Arc::clone(&next);
        callers.spawn(async move {
            loop {
                let mine = next.fetch_add(1, Relaxed);
                if mine >= number {
                    return;
                }
                ask(address, mine).await;
            }
        });
    }
    for kill in 1..=number / PER_KILL {
        while next.load(Relaxed) < (kill * PER_KILL).saturating_sub(random(kill) % PER_KILL) {
            time::sleep(Duration::from_millis(1)).await;
        }
        // At any moment of a request: not always when one has just begun.
        time::sleep(Duration::from_millis(random(kill + 4_000) % 100)).await;
        gateway.kill();
        gateway.revive().await;
    }
    callers.join_all().await;
    upstream.ended().await;
    gateway
}

async fn check(setup: impl FnOnce(Setup) -> Setup, store: &str) {
    let number = gateway_tests::number("GATEWAY_TEST_SPENDING").unwrap_or(100);
    let (upstream, platform) = (Upstream::start().await, PlatformStub::start().await);
    upstream.numbered(script);
    let model = Setup::before(&upstream)
        .set("[models]", "id", "m")
        .set("[models]", "provider", "lab")
        .write("[models]", "price", "{ input = 100000, output = 200000 }")
        .client("ours", KEY)
        .with_platform(&platform)
        .set("log", "level", "warn")
        .hurried("1s")
        .timeout("first_token", "1s")
        .timeout("idle", "1s");
    let gateway = run(setup(model), &upstream, number).await;
    let exchanges = upstream.exchanges();
    let asked: Vec<_> = exchanges.iter().map(|it| ModelRequest::of(&it.body)).collect();
    let admitted: HashSet<_> = asked.iter().map(|asked| &asked.id).collect();
    let served: u64 = asked.iter().zip(&exchanges).map(|(asked, it)| asked.served(it)).sum();
    // Requests that were left are closed within a moment.
    let mut total = Value::Null;
    for _ in 0..50 {
        let headers = [("x-api-key", KEY)];
        let usage = gateway.send(request("GET", "/v1/usage", &headers, b"")).await.json();
        if total == usage["total"] {
            break;
        }
        total = usage["total"].clone();
        time::sleep(Duration::from_millis(300)).await;
    }
    let count = |name: &str| total[name].as_u64().expect("a count");
    let booked = count("total_tokens");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let ratio = booked as f64 / served as f64;
    gateway_tests::print_measurement(&format!(
        "{store}: {number} requests, {} kills, {} upstream calls, {} admitted, {} rows, \
         served {served} tokens, booked {booked}: {ratio:.4}",
        number / PER_KILL,
        exchanges.len(),
        admitted.len(),
        count("requests"),
    ));
    assert!(count("requests") >= admitted.len() as u64, "an admitted request has no row: {total}");
    assert!(count("requests") <= number, "a request has two rows: {total}");
    assert!((1.0..=1.02).contains(&ratio), "{ratio}");
    let cost = count("input_tokens") + 2 * count("output_tokens");
    assert_eq!(count("cost_nano_usd"), cost * 100_000_000, "{total}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn booked_usage_matches_served_usage_on_the_embedded_store() {
    check(|setup| setup.set("store", "backend", "embedded"), "embedded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn booked_usage_matches_served_usage_on_redis() {
    let redis = Redis::start().await;
    check(|setup| setup.sharing(&redis), "redis").await;
}
