//! A replica of three is killed: what it held is usable again within 30 seconds.

use gateway_tests::{
    Gateway, RawConnection, Redis, Reply, Script, Setup, Upstream, openai, request,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

const KEY: &str = "sk-ours";

/// The time after which everything is usable again.
const RECOVERY: Duration = Duration::from_secs(30);

fn headers<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("x-api-key", KEY), ("Content-Type", "application/json")], more].concat()
}

async fn begin(
    gateway: &Gateway,
    path: &str,
    body: &Value,
    more: &[(&str, &str)],
) -> RawConnection {
    let mut raw = gateway.connect().await;
    raw.send(request("POST", path, &headers(more), body.to_string().as_bytes())).await;
    raw
}

async fn post(gateway: &Gateway, path: &str, body: &Value, more: &[(&str, &str)]) -> Reply {
    begin(gateway, path, body, more).await.reply().await
}

async fn get(gateway: &Gateway, path: &str) -> Reply {
    gateway.send(request("GET", path, &headers(&[]), b"")).await
}

fn chat(session: Option<&str>) -> Value {
    let mut body: Value = serde_json::from_str(&openai::ask("lab/m", json!({}))).unwrap();
    if let Some(session) = session {
        body["session_id"] = json!(session);
    }
    body
}

/// Repeats `attempt` until it succeeds; fails after 30 seconds.
async fn until(what: &str, began: Instant, mut attempt: impl AsyncFnMut() -> bool) {
    while !attempt().await {
        assert!(began.elapsed() < RECOVERY, "{what} is not usable after {RECOVERY:?}");
        time::sleep(Duration::from_millis(100)).await;
    }
    gateway_tests::print_measurement(&format!(
        "{what}: usable after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
}

fn stalling() -> Script {
    Script::streaming().event(&openai::opening()).event(&openai::says("Hel")).stall()
}

/// A response that `gateway` generates and that does not end, by its id.
async fn response(
    gateway: &Gateway,
    upstream: &Upstream,
    members: Value,
) -> (RawConnection, String) {
    upstream.next(stalling());
    let mut body = json!({ "model": "lab/m", "input": "Hello", "stream": true });
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let mut raw = begin(gateway, "/v1/responses", &body, &[]).await;
    let mut stream = raw.begin().await;
    let first = stream.block().await.expect("a beginning");
    let data = first.lines().find_map(|line| line.strip_prefix("data: ")).expect("an event");
    let event: Value = serde_json::from_str(data).unwrap();
    while !stream.block().await.expect("some text").contains("output_text.delta") {}
    (raw, event["response"]["id"].as_str().unwrap().to_owned())
}

/// Checks that the response `id` has failed, with what was generated of it.
#[track_caller]
fn check_failed(response: &Value) {
    assert_eq!(response["status"], "failed", "{response}");
    assert_eq!(response["error"]["code"], "gateway_crashed", "{response}");
}

/// Three replicas, and what one of them held when it was killed.
struct LostReplica {
    upstream: Upstream,
    _redis: Redis,
    others: [Gateway; 2],
    session: String,
    streamed: String,
    background: String,
    /// A connection to another replica that reads the events of the background response.
    follower: RawConnection,
    began: Instant,
}

impl LostReplica {
    /// Kills a replica that holds all five slots of its client: two responses, a turn of a session,
    /// and two requests with idempotency keys.
    async fn new() -> Self {
        let (upstream, redis) = (Upstream::start().await, Redis::start().await);
        let setup = || {
            Setup::before(&upstream)
                .client("ours", KEY)
                .write("[clients]", "max_concurrent", "5")
                .write("limits", "enabled", "true")
                .sharing(&redis)
        };
        let mut killed = setup().start().await;
        let others = [setup().start().await, setup().start().await];
        let session = post(&others[0], "/v1/sessions", &json!({}), &[]).await.json();
        let session = session["id"].as_str().unwrap().to_owned();
        let (_caller, streamed) = response(&killed, &upstream, json!({})).await;
        let (_caller, background) =
            response(&killed, &upstream, json!({ "background": true })).await;
        let path = format!("/v1/responses/{background}?stream=true");
        let mut follower = others[1].connect().await;
        follower.send(request("GET", &path, &headers(&[]), b"")).await;
        let mut held = Vec::new();
        for body in [chat(Some(&session)), chat(None), chat(None)] {
            upstream.next(Script::new().stall());
            let key = format!("key-{}", held.len());
            let key = [("Idempotency-Key", key.as_str())];
            held.push(begin(&killed, "/v1/chat/completions", &body, &key).await);
        }
        upstream.arrived(5).await;
        let full = post(&others[0], "/v1/chat/completions", &chat(None), &[]).await;
        assert_eq!(full.status_and_code(), "429 too_many_requests_at_once");
        // Without its disk, what it began in the last tenth of a second is not known.
        time::sleep(Duration::from_millis(300)).await;
        killed.kill();
        let began = Instant::now();
        Self { upstream, _redis: redis, others, session, streamed, background, follower, began }
    }

    /// The client can have five requests at once again.
    async fn slots(&self) {
        until("all five slots", self.began, async || {
            let mut asked = Vec::new();
            for _ in 0..5 {
                let answer = Script::json(200, openai::whole("a"));
                self.upstream.next(Script::new().wait(300).then_all(answer));
                asked.push(begin(&self.others[0], "/v1/chat/completions", &chat(None), &[]).await);
            }
            let mut granted = 0;
            for raw in &mut asked {
                granted += usize::from(raw.reply().await.status() == 200);
            }
            granted == 5
        })
        .await;
    }

    /// The session takes a turn, and the idempotency key can be used.
    async fn leases(&self) {
        let (path, two) = ("/v1/chat/completions", &self.others[1]);
        until("the session", self.began, async || {
            post(two, path, &chat(Some(&self.session)), &[]).await.status() == 200
        })
        .await;
        until("the idempotency key", self.began, async || {
            let key = [("Idempotency-Key", "key-1")];
            post(two, path, &chat(None), &key).await.status() == 200
        })
        .await;
    }

    /// The events of the background response end.
    async fn follower(&mut self) {
        let rest = RECOVERY.saturating_sub(self.began.elapsed());
        let follower = &mut self.follower;
        let following = async {
            let mut stream = follower.begin().await;
            let mut last = String::new();
            while let Some(block) = stream.block().await {
                last = block;
            }
            last
        };
        let last = time::timeout(rest, following).await;
        let last = last.expect("the follower of a background response hangs");
        assert!(last.contains("response.failed") && last.contains("gateway_crashed"), "{last}");
        gateway_tests::print_measurement(&format!(
            "its follower: ended after {:?}",
            self.began.elapsed()
        ));
    }

    /// Both responses have failed, and can be continued.
    async fn responses(&self) {
        let [one, two] = &self.others;
        let all = [("the background response", &self.background), ("the response", &self.streamed)];
        for (what, id) in all {
            let path = format!("/v1/responses/{id}");
            let has_ended = async || get(one, &path).await.json()["status"] != "in_progress";
            until(what, self.began, has_ended).await;
            check_failed(&get(two, &path).await.json());
            let next = json!({ "model": "lab/m", "input": "go on", "previous_response_id": id });
            assert_eq!(post(two, "/v1/responses", &next, &[]).await.status(), 200, "{what}");
        }
    }

    /// The five requests are booked.
    async fn usage(&self) {
        until("the usage", self.began, async || {
            let usage = get(&self.others[0], "/v1/usage?group_by=outcome").await.json();
            let rows = usage["data"].as_array().unwrap();
            rows.iter().any(|row| row["outcome"] == "lost_in_crash" && row["requests"] == 5)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_of_a_killed_replica_end_in_thirty_seconds() {
    let mut lost = LostReplica::new().await;
    lost.slots().await;
    lost.leases().await;
    lost.follower().await;
    lost.responses().await;
    lost.usage().await;
}
