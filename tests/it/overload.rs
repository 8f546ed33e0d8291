//! More callers than there are places, for a while.
//!
//! For how long can be said in seconds, in `GATEWAY_TEST_SECONDS`.

use gateway_tests::{Gateway, Script, Setup, Upstream, number, openai, request};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

const PLACES: usize = 8;
/// The duration of a response.
const LENGTH: Duration = Duration::from_millis(100);

/// The durations of responses and of rejections, sorted.
#[derive(Default)]
struct ResponseTimes {
    answers: Vec<Duration>,
    refusals: Vec<Duration>,
}

impl ResponseTimes {
    fn add(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.refusals.extend(other.refusals);
    }
}

/// Returns the 99th percentile.
fn p99(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
}

fn middle(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// One caller, which retries after a rejection.
async fn caller(gateway: Arc<Gateway>, until: Instant) -> ResponseTimes {
    let (mut raw, mut took) = (gateway.connect().await, ResponseTimes::default());
    let body = openai::ask("lab/m", json!({}));
    let asking = request("POST", "/v1/chat/completions", &[], body.as_bytes());
    while Instant::now() < until {
        let began = Instant::now();
        raw.send(&asking).await;
        let reply = raw.reply().await;
        let length = began.elapsed();
        if reply.status() == 200 {
            took.answers.push(length);
        } else {
            assert_eq!(reply.status_and_code(), "503 overloaded");
            assert!(reply.header("retry-after").parse::<u64>().is_ok());
            took.refusals.push(length);
            time::sleep(LENGTH / 2).await;
        }
    }
    took
}

async fn callers(gateway: &Arc<Gateway>, number: usize, length: Duration) -> ResponseTimes {
    let (until, mut tasks) = (Instant::now() + length, JoinSet::new());
    for _ in 0..number {
        tasks.spawn(caller(Arc::clone(gateway), until));
    }
    let mut all = ResponseTimes::default();
    while let Some(took) = tasks.join_next().await {
        all.add(took.unwrap());
    }
    all.answers.sort_unstable();
    all.refusals.sort_unstable();
    let (answers, refusals) = (&all.answers, &all.refusals);
    gateway_tests::print_measurement(&format!(
        "{number} callers: {} answers, half in {:?}, 99 % in {:?}; {} refusals, half in {:?}, 99 % in {:?}",
        answers.len(),
        middle(answers),
        p99(answers),
        refusals.len(),
        middle(refusals),
        p99(refusals),
    ));
    all
}

/// Admitted requests are served as fast and as many as without overload; others are rejected at
/// once; afterwards nothing remains of the overload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overload_sheds_excess_and_keeps_latency() {
    let upstream = Upstream::start().await;
    let answer = openai::whole("Hello.");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
    upstream.always(Script::new().wait(100).bytes(head + &answer));
    let setup = Setup::before(&upstream).set("log", "level", "warn");
    let setup = setup.write("admission", "max_concurrent_requests", &PLACES.to_string());
    let gateway = Arc::new(setup.write("admission", "queue", "0").start().await);
    let length = Duration::from_secs(number("GATEWAY_TEST_SECONDS").unwrap_or(3));
    let enough = callers(&gateway, PLACES, Duration::from_secs(3)).await;
    let rate = enough.answers.len() as u64 * 1_000 / 3_000;
    for times in [2, 5] {
        let many = callers(&gateway, times * PLACES, length).await;
        let expected = rate * length.as_secs();
        let answers = many.answers.len() as u64;
        assert!(answers * 10 >= expected * 9, "{answers} of {expected}");
        assert!(p99(&many.answers) <= 3 * p99(&enough.answers), "who is in waits for the others");
        assert!(!many.refusals.is_empty());
        assert!(
            middle(&many.refusals) < LENGTH / 2,
            "to be turned away takes as long as to be served"
        );
    }
    let after = callers(&gateway, PLACES, Duration::from_secs(1)).await;
    assert!(after.refusals.len() <= PLACES, "it goes on");
    assert!(middle(&after.answers) <= 2 * middle(&enough.answers));
}
