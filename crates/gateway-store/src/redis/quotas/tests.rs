//! The scripts decide as the function in Rust does, whatever the clock does.

use super::*;
use crate::local::Taken;
use fred::{
    clients::Client,
    interfaces::{ClientLike as _, KeysInterface as _, LuaInterface as _},
    types::{Builder, config::Config},
};
use gateway_core::state::{BudgetAsk, PlaceAsk, Rate, Tenant};
use proptest::{prelude::*, test_runner::TestRunner};
use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};
use tokio::{runtime::Runtime, time};

/// A server of its own, which keeps nothing.
struct Server(Child);

impl Server {
    async fn start() -> (Self, Client) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(command.spawn().expect("the tests need a redis-server on the PATH"));
        let mut config = Config::from_url(&format!("redis://127.0.0.1:{port}")).unwrap();
        config.fail_fast = false;
        let client = Builder::from_config(config)
            .set_policy(fred::types::config::ReconnectPolicy::new_constant(0, 20))
            .build()
            .unwrap();
        drop(client.connect());
        time::timeout(Duration::from_secs(30), client.wait_for_connect()).await.unwrap().unwrap();
        (server, client)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The text of `script`, except that the clock is the key `now`.
fn with_clock(script: &script::RedisScript) -> String {
    let (clock, fake) = ("redis.call('TIME')", "{0, tonumber(redis.call('GET', 'now'))}");
    assert!(script.text.contains(clock));
    script.text.replace(clock, fake)
}

/// One thing that a gateway does, so many microseconds after the one before; the clock may go back.
#[derive(Clone, Debug)]
enum Step {
    Take(i64, QuotaAsk),
    Settle(i64, Settle),
}

const NAMES: [&str; 3] = ["all", "requests/gpt-*", "a:b c%"];

fn name() -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(NAMES.to_vec()).prop_map(Into::into)
}

fn request() -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(vec!["r0", "r1", "r2", "r3", "r4"]).prop_map(Into::into)
}

/// Each limit is asked for once in a question.
fn each_once<T>(mut all: Vec<T>, name: fn(&T) -> &Arc<str>) -> Vec<T> {
    all.sort_by(|one, other| name(one).cmp(name(other)));
    all.dedup_by(|one, other| name(one) == name(other));
    all
}

fn rate() -> impl Strategy<Value = Rate> {
    (prop::sample::select(vec![1_u64, 1_000, 50_000, 20_000_000]), 1..6_u64)
        .prop_map(|(interval_us, burst)| Rate { interval_us, burst })
}

fn ask() -> impl Strategy<Value = QuotaAsk> {
    let rates = prop::collection::vec((name(), rate(), 0..8_u64), 0..3).prop_map(|all| {
        let all = all.into_iter().map(|(name, rate, cost)| RateAsk { name, rate, cost });
        each_once(all.collect(), |it| &it.name)
    });
    let places = prop::collection::vec((name(), 0..4_u64), 0..2).prop_map(|all| {
        let all = all.into_iter().map(|(name, limit)| PlaceAsk { name, limit });
        each_once(all.collect(), |it| &it.name)
    });
    let budgets = prop::collection::vec((name(), 0..60_u64, 0..30_u64), 0..3).prop_map(|all| {
        let keep = Duration::from_hours(1);
        let all = all.into_iter().map(|(name, limit, reserve)| BudgetAsk {
            name,
            limit: NanoDollars(limit),
            reserve: NanoDollars(reserve),
            keep,
        });
        each_once(all.collect(), |it| &it.name)
    });
    let lease = prop::sample::select(vec![0_u64, 1, 70_000, 60_000_000]);
    (request(), lease, rates, places, budgets, prop::bool::weighted(0.2)).prop_map(
        |(request, lease, rates, places, budgets, look)| QuotaAsk {
            request,
            lease: Duration::from_micros(lease),
            rates,
            places,
            budgets,
            look,
        },
    )
}

fn settle() -> impl Strategy<Value = Settle> {
    let corrections = prop::collection::vec((name(), rate(), -6..7_i64), 0..3)
        .prop_map(|all| each_once(all, |it| &it.0));
    (request(), 0..40_u64, corrections).prop_map(|(request, cost, corrections)| Settle {
        request,
        cost: NanoDollars(cost),
        corrections,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let hour = 3_600_000_000_i64;
    let wait = prop_oneof![
        10 => 0..2_000_i64,
        10 => 0..100_000_i64,
        3 => 0..30_000_000_i64,
        1 => prop::sample::select(vec![hour, -hour, -1_000_000, -1]),
    ];
    let step = prop_oneof![
        3 => (wait.clone(), ask()).prop_map(|(wait, ask)| Step::Take(wait, ask)),
        1 => (wait, settle()).prop_map(|(wait, settle)| Step::Settle(wait, settle)),
    ];
    prop::collection::vec(step, 1..40)
}

/// What both say to the same steps.
struct Both<'a> {
    client: &'a Client,
    scripts: [String; 2],
    key: Key,
    taken: Taken,
    now_us: u64,
}

impl Both<'_> {
    async fn evaluate(&self, which: usize, call: Call) -> Value {
        self.client
            .set::<(), _, _>("now", self.now_us.to_string(), None, None, false)
            .await
            .unwrap();
        let Call { keys, arguments } = call;
        self.client.eval(self.scripts[which].as_str(), keys, arguments).await.unwrap()
    }

    /// Takes one step on both sides; the two decisions.
    async fn step(&mut self, step: &Step) -> Option<[Decision; 2]> {
        let (Step::Take(wait, _) | Step::Settle(wait, _)) = step;
        self.now_us = self.now_us.saturating_add_signed(*wait);
        match step {
            Step::Take(_, ask) => {
                let here = self.taken.take(self.now_us, ask);
                let reply = self.evaluate(0, Call::take("gw", &self.key, ask)).await;
                Some([here, read(ask, reply).unwrap()])
            }
            Step::Settle(_, settle) => {
                self.taken.settle(self.now_us, settle);
                self.evaluate(1, Call::settle("gw", &self.key, settle)).await;
                None
            }
        }
    }
}

/// How many sequences are tried: a hundred, or as many as `GATEWAY_TEST_TRIES` says.
fn tries() -> u32 {
    let said = std::env::var_os("GATEWAY_TEST_TRIES");
    said.and_then(|text| text.to_str()?.parse().ok()).unwrap_or(100)
}

#[test]
fn redis_scripts_match_reference_implementation() {
    let runtime = Runtime::new().unwrap();
    let (server, client) = runtime.block_on(Server::start());
    let number = std::cell::Cell::new(0_u32);
    let config = ProptestConfig { cases: tries(), failure_persistence: None, ..Default::default() };
    let run = TestRunner::new(config).run(&steps(), |steps| {
        number.set(number.get() + 1);
        let mut both = Both {
            client: &client,
            scripts: [&*script::QUOTA_TAKE, &*script::QUOTA_SETTLE].map(with_clock),
            key: Tenant::new("t").unwrap().key(format!("c{}", number.get())),
            taken: Taken::default(),
            now_us: 1_790_000_000_000_000,
        };
        for (at, step) in steps.iter().enumerate() {
            if let Some([here, there]) = runtime.block_on(both.step(step)) {
                prop_assert_eq!(here, there, "step {}", at);
            }
        }
        Ok(())
    });
    drop(server);
    run.unwrap();
}
