//! The script decides as the function in Rust does, whatever the clock does.

use super::*;
use fred::{
    clients::Client,
    interfaces::{ClientLike as _, KeysInterface as _, LuaInterface as _},
    types::{Builder, config::Config},
};
use gateway_core::state::{BudgetLease, Rate, RateLease, SharedLimits, SlotLease, Tenant};
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

/// One call, with the microseconds since the one before; the clock may go back.
type TimedCall = (i64, LeaseRequest);

const NAMES: [&str; 3] = ["all", "requests/gpt-*", "a:b c%"];

fn name() -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(NAMES.to_vec()).prop_map(Into::into)
}

/// Each limit is asked for once in a call.
fn each_once<T>(mut all: Vec<T>, name: fn(&T) -> &Arc<str>) -> Vec<T> {
    all.sort_by(|one, other| name(one).cmp(name(other)));
    all.dedup_by(|one, other| name(one) == name(other));
    all
}

fn rate() -> impl Strategy<Value = Rate> {
    let per_minute = prop::sample::select(vec![1_u64, 7, 60, 6_000, 7_000_000, 1_000_000_000]);
    let burst = prop::sample::select(vec![1_u64, 5, 100, 7_000_000, 1_000_000_000]);
    (per_minute, burst).prop_map(|(per_minute, burst)| Rate::new(per_minute, burst))
}

fn units() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..8_u64, 1 => 0..3_000_000_u64]
}

fn request() -> impl Strategy<Value = LeaseRequest> {
    let settle = prop_oneof![4 => -6..7_i64, 1 => -9_000_000..9_000_000_i64];
    let rates = prop::collection::vec((name(), rate(), settle, units(), units()), 0..3);
    let rates = rates.prop_map(|all| {
        let lease =
            |(name, rate, settle, need, extra)| RateLease { name, rate, settle, need, extra };
        each_once(all.into_iter().map(lease).collect(), |it| &it.name)
    });
    let slots = prop::collection::vec((name(), 0..9_u64, 0..4_u64, 0..2_u64, 0..4_u64), 0..2);
    let slots = slots.prop_map(|all| {
        let lease = |(name, limit, held, need, extra)| SlotLease { name, limit, held, need, extra };
        each_once(all.into_iter().map(lease).collect(), |it| &it.name)
    });
    let money = (0..90_u64, 0..40_u64, 0..20_u64, 0..20_u64, 0..9_u64, 0..9_u64);
    let budgets = prop::collection::vec((name(), money, 1..9_000_u64), 0..3).prop_map(|all| {
        let lease = |(name, money, seconds): (_, (u64, u64, u64, u64, u64, u64), _)| {
            let (limit, spent, acknowledged, held, need, extra) = money;
            BudgetLease {
                name,
                limit: NanoDollars(limit),
                spent: NanoDollars(spent),
                acknowledged: NanoDollars(acknowledged),
                held: NanoDollars(held),
                need: NanoDollars(need),
                extra: NanoDollars(extra),
                keep: Duration::from_secs(seconds),
            }
        };
        each_once(all.into_iter().map(lease).collect(), |it| &it.name)
    });
    let holder = prop::sample::select(vec!["h0", "h1", "h2"]);
    let lease = prop::sample::select(vec![1_u64, 70_000, 15_000_000]);
    (holder, lease, rates, slots, budgets).prop_map(|(holder, lease, rates, slots, budgets)| {
        let lease = Duration::from_micros(lease);
        LeaseRequest { holder: holder.into(), lease, rates, slots, budgets }
    })
}

fn steps() -> impl Strategy<Value = Vec<TimedCall>> {
    let hour = 3_600_000_000_i64;
    let wait = prop_oneof![
        10 => 0..2_000_i64,
        10 => 0..100_000_i64,
        3 => 0..30_000_000_i64,
        1 => prop::sample::select(vec![hour, -hour, -1_000_000, -1]),
    ];
    prop::collection::vec((wait, request()), 1..40)
}

/// The replies of the function and of the script to the same calls.
struct ScriptComparison<'a> {
    client: &'a Client,
    script: String,
    key: Key,
    limits: SharedLimits,
    now_us: u64,
}

impl ScriptComparison<'_> {
    async fn step(&mut self, (wait, request): &TimedCall) -> [LeaseReply; 2] {
        self.now_us = self.now_us.saturating_add_signed(*wait);
        let now = self.now_us.to_string();
        self.client.set::<(), _, _>("now", now, None, None, false).await.unwrap();
        let (keys, arguments) = call("gw", &self.key, request);
        let reply = self.client.eval(self.script.as_str(), keys, arguments).await.unwrap();
        [self.limits.exchange(self.now_us, request), read(request, reply).unwrap()]
    }
}

/// Returns the number of random sequences: a hundred, or `GATEWAY_TEST_TRIES`.
fn tries() -> u32 {
    let said = std::env::var_os("GATEWAY_TEST_TRIES");
    said.and_then(|text| text.to_str()?.parse().ok()).unwrap_or(100)
}

#[test]
fn lua_script_matches_rust_function() {
    let runtime = Runtime::new().unwrap();
    let (server, client) = runtime.block_on(Server::start());
    let number = std::cell::Cell::new(0_u32);
    let config = ProptestConfig { cases: tries(), failure_persistence: None, ..Default::default() };
    let run = TestRunner::new(config).run(&steps(), |steps| {
        number.set(number.get() + 1);
        let mut both = ScriptComparison {
            client: &client,
            script: with_clock(&script::QUOTA_EXCHANGE),
            key: Tenant::new("t").unwrap().key(format!("c{}", number.get())),
            limits: SharedLimits::default(),
            now_us: 1_790_000_000_000_000,
        };
        for (at, step) in steps.iter().enumerate() {
            let [here, there] = runtime.block_on(both.step(step));
            prop_assert_eq!(here, there, "step {}", at);
        }
        Ok(())
    });
    drop(server);
    run.unwrap();
}
