//! Two tenants that do the same things at the same time, and never see anything of each other's.
//!
//! How often they try can be said in `GATEWAY_TEST_TRIES`: a release is tested a hundred thousand
//! times, a change two thousand times.

use gateway_tests::{Gateway, RawConnection, Reply, Script, Setup, Upstream, openai, request};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::task::JoinSet;

const TENANTS: [&str; 2] = ["ours", "theirs"];
const WORKERS: u64 = 8;

/// The state of the simulation so far.
struct SimulationState {
    gateway: Gateway,
    /// The tenant of each numbered response; no other tenant may get it.
    answers: Mutex<HashMap<u64, usize>>,
    /// The sessions and the kept responses of each tenant.
    sessions: [Mutex<Vec<String>>; 2],
    responses: [Mutex<Vec<String>>; 2],
    tries: AtomicU64,
    /// The number of responses from the cache or from a replay.
    again: AtomicUsize,
    /// The number of attempts to access another tenant's records.
    foreign: AtomicUsize,
}

/// The actions of one tenant: a connection and a random generator.
struct TenantActor {
    world: Arc<SimulationState>,
    raw: RawConnection,
    dice: u64,
    own: usize,
}

/// The answer to a request of this number says it; nothing else does.
fn numbered(number: usize, body: &[u8]) -> Script {
    let text = format!("answer-{number}.");
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    // Long enough that others ask the same meanwhile.
    let script = Script::new().wait(2);
    if asked["stream"] == true {
        let chunks = openai::streamed(&[&text]);
        let begun = script
            .head(200, &[("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]);
        return chunks.iter().fold(begun, |script, event| script.event(event)).end();
    }
    let whole = openai::whole(&text);
    let length = whole.len().to_string();
    let headers = [("content-type", "application/json"), ("content-length", &*length)];
    script.head(200, &headers).bytes(whole)
}

/// Returns the numbers of the responses in `text`.
fn numbers_in(text: &str) -> impl Iterator<Item = u64> {
    text.split("answer-").skip(1).filter_map(|rest| rest.split('.').next()?.parse().ok())
}

impl TenantActor {
    /// A number below `end`.
    fn roll(&mut self, end: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice % end as u64).unwrap()
    }

    fn pick(&mut self, all: &[Mutex<Vec<String>>; 2], whose: usize) -> Option<String> {
        let all = all[whose].lock().unwrap().clone();
        let at = self.roll(all.len().max(1));
        all.get(at).cloned()
    }

    /// `METHOD path` with this body; nothing of another tenant's may come.
    async fn call(&mut self, line: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let key = format!("sk-{}", TENANTS[self.own]);
        let headers = [&[("x-api-key", &*key), ("content-type", "application/json")], headers];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw.send(request(method, path, &headers.concat(), body.as_bytes())).await;
        let reply = self.raw.reply().await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let canary = format!("canary-{}", TENANTS[1 - self.own]);
        assert!(!text.contains(&canary), "{line} {body}: {text}");
        for number in numbers_in(&text) {
            let owner = *self.world.answers.lock().unwrap().entry(number).or_insert(self.own);
            assert_eq!(owner, self.own, "{line} {headers:?} {body}: {text}");
        }
        if reply.header("connection") == "close" {
            self.raw = self.world.gateway.connect().await;
        }
        reply
    }

    /// Returns one of the prompts that both tenants use.
    fn sentence(&mut self) -> Value {
        let number = self.roll(12);
        json!([{ "role": "user", "content": format!("The sentence number {number}.") }])
    }

    async fn step(&mut self) {
        match self.roll(10) {
            0..=3 => self.ask_what_both_ask().await,
            4 => self.ask_under_a_key_that_both_use().await,
            5 => self.keep_a_response().await,
            6 => self.talk().await,
            7 => self.reach_for_a_session().await,
            8 => self.reach_for_a_response().await,
            _ => self.list().await,
        }
    }

    /// The cache, and what is shared while it is under way.
    async fn ask_what_both_ask(&mut self) {
        let stream = self.roll(2) == 0;
        let messages = self.sentence();
        let body =
            json!({ "model": "lab/m", "messages": messages, "temperature": 0, "stream": stream });
        let fresh: &[(&str, &str)] =
            if self.roll(4) == 0 { &[("cache-control", "no-cache")] } else { &[] };
        let reply = self.call("POST /v1/chat/completions", fresh, &body).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        self.world.again.fetch_add(usize::from(reply.header("x-cache") == "hit"), Relaxed);
    }

    async fn ask_under_a_key_that_both_use(&mut self) {
        let key = format!("key-{}", self.roll(40));
        let body = json!({ "model": "lab/m", "temperature": 0.5,
            "messages": [{ "role": "user", "content": key }] });
        let reply =
            self.call("POST /v1/chat/completions", &[("idempotency-key", &key)], &body).await;
        assert!([200, 409].contains(&reply.status()), "{}", reply.status_and_code());
        let is_again = reply.header("idempotent-replayed") == "true";
        self.world.again.fetch_add(usize::from(is_again), Relaxed);
    }

    async fn keep_a_response(&mut self) {
        let canary = format!("canary-{} keeps this", TENANTS[self.own]);
        let mut body = json!({ "model": "lab/m", "input": canary });
        if let Some(before) = self.pick(&self.world.clone().responses, self.own) {
            body["previous_response_id"] = json!(before);
        }
        let reply = self.call("POST /v1/responses", &[], &body).await;
        assert!([200, 413].contains(&reply.status()), "{}", reply.text());
        remember(&self.world.responses[self.own], &reply);
    }

    async fn talk(&mut self) {
        let session = match self.pick(&self.world.clone().sessions, self.own) {
            Some(session) if self.roll(4) > 0 => session,
            _ => {
                let reply = self.call("POST /v1/sessions", &[], &json!({})).await;
                remember(&self.world.sessions[self.own], &reply);
                return;
            }
        };
        let text = format!("canary-{} says so", TENANTS[self.own]);
        let body = json!({ "model": "lab/m", "session_id": session,
            "messages": [{ "role": "user", "content": text }] });
        let reply = self.call("POST /v1/chat/completions", &[], &body).await;
        // Another hand of the same tenant may be in the middle of a turn.
        assert!([200, 409, 413].contains(&reply.status()), "{}", reply.text());
    }

    async fn reach_for_a_session(&mut self) {
        let Some(id) = self.pick(&self.world.clone().sessions, 1 - self.own) else { return };
        self.world.foreign.fetch_add(1, Relaxed);
        let asking = json!({ "model": "lab/m", "session_id": id,
            "messages": [{ "role": "user", "content": "What was said?" }] });
        let context = json!({ "context": { "mine": 1 } });
        let (line, body) = match self.roll(6) {
            0 => (format!("GET /v1/sessions/{id}"), Value::Null),
            1 => (format!("GET /v1/sessions/{id}/messages"), Value::Null),
            2 => (format!("DELETE /v1/sessions/{id}"), Value::Null),
            3 => (format!("PATCH /v1/sessions/{id}"), context),
            4 => (format!("POST /v1/sessions/{id}/fork"), json!({})),
            _ => ("POST /v1/chat/completions".to_owned(), asking),
        };
        let reply = self.call(&line, &[], &body).await;
        let is_hidden = [404, 405].contains(&reply.status());
        assert!(is_hidden, "{line}: {} {}", reply.status_and_code(), reply.text());
    }

    async fn reach_for_a_response(&mut self) {
        let Some(id) = self.pick(&self.world.clone().responses, 1 - self.own) else { return };
        self.world.foreign.fetch_add(1, Relaxed);
        let after = json!({ "model": "lab/m", "input": "And then?", "previous_response_id": id });
        let (line, body, status) = match self.roll(5) {
            0 => (format!("GET /v1/responses/{id}"), Value::Null, 404),
            1 => (format!("DELETE /v1/responses/{id}"), Value::Null, 404),
            2 => (format!("GET /v1/responses/{id}/input_items"), Value::Null, 404),
            3 => (format!("POST /v1/responses/{id}/cancel"), Value::Null, 404),
            _ => ("POST /v1/responses".to_owned(), after, 400),
        };
        let reply = self.call(&line, &[], &body).await;
        assert_eq!(reply.status(), status, "{line}: {}", reply.text());
    }

    /// Checks the lists, and that records survived failed attempts to access them.
    async fn list(&mut self) {
        let reply = self.call("GET /v1/sessions", &[], &Value::Null).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let foreign = self.world.sessions[1 - self.own].lock().unwrap().clone();
        let text = reply.text();
        assert!(!foreign.iter().any(|id| text.contains(id)), "{text}");
        if let Some(id) = self.pick(&self.world.clone().sessions, self.own) {
            let reply = self.call(&format!("GET /v1/sessions/{id}"), &[], &Value::Null).await;
            assert_eq!(reply.status(), 200, "{}", reply.text());
        }
        if let Some(id) = self.pick(&self.world.clone().responses, self.own) {
            let reply = self.call(&format!("GET /v1/responses/{id}"), &[], &Value::Null).await;
            assert_eq!(reply.status(), 200, "{}", reply.text());
        }
    }
}

/// Remembers the id in `reply`, among a few: they are accessed often.
fn remember(ids: &Mutex<Vec<String>>, reply: &Reply) {
    let id = reply.json()["id"].as_str().map(str::to_owned);
    let mut ids = ids.lock().unwrap();
    if let Some(id) = id.filter(|_| ids.len() < 30) {
        ids.push(id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenant_data_is_isolated() {
    let upstream = Upstream::start().await;
    upstream.numbered(numbered);
    let setup = Setup::before(&upstream).set("log", "level", "warn");
    let setup = TENANTS.iter().fold(setup, |it, name| it.client(name, &format!("sk-{name}")));
    let gateway = setup.write("cache", "enabled", "true").start().await;
    let world = Arc::new(SimulationState {
        gateway,
        answers: Mutex::default(),
        sessions: Default::default(),
        responses: Default::default(),
        tries: AtomicU64::new(0),
        again: AtomicUsize::new(0),
        foreign: AtomicUsize::new(0),
    });
    let tries = gateway_tests::number("GATEWAY_TEST_TRIES").unwrap_or(2_000);
    let mut working = JoinSet::new();
    for worker in 0..WORKERS {
        let world = Arc::clone(&world);
        working.spawn(async move {
            let raw = world.gateway.connect().await;
            let own = usize::try_from(worker % 2).unwrap();
            let dice = 0x9e37_79b9_7f4a_7c15 ^ (worker + 1);
            let mut hands = TenantActor { world, raw, dice, own };
            while hands.world.tries.fetch_add(1, Relaxed) < tries {
                hands.step().await;
            }
        });
    }
    working.join_all().await;
    let owners = world.answers.lock().unwrap().len();
    let (again, foreign) = (world.again.load(Relaxed), world.foreign.load(Relaxed));
    gateway_tests::print_measurement(&format!(
        "{tries} tries, {owners} answers, {again} of them again, {foreign} reaches for another's"
    ));
    assert!(again > 20 && foreign > 20, "{again} again, {foreign} foreign: nothing was shown");
}
