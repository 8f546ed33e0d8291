//! The counted scenarios: requests with all features of a typical deployment on.

use super::answers::CHUNKS;
use crate::{bench::scenarios::messages, gateway::CLIENT_KEY};
use serde_json::{Value, json};

/// A request that is sent over and over on one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedScenario {
    /// Its name in tables and in the file of counts.
    pub(super) name: &'static str,
    model: &'static str,
    messages: fn() -> Value,
    streamed: bool,
    /// The number of counted requests, after as many warm-up requests.
    pub(super) requests: u32,
}

/// All counted scenarios.
pub(crate) const SCENARIOS: &[CountedScenario] = &[
    scenario("small", "bench-chat", small, 200),
    streamed_scenario("chunk", "bench-chat", 10),
    scenario("messages-90kB", "bench-chat", history, 40),
    scenario("body-1MB", "bench-chat", large, 10),
    scenario("translated", "bench-messages", small, 200),
    streamed_scenario("translated-chunk", "bench-messages", 10),
];

/// The bytes of a body that a read brings at least, but for the last read.
const READ: usize = 16 << 10;

/// Returns how many whole reads the body of the scenario `name` may take; zero for an unknown name.
///
/// How the bytes of a large body fall into reads depends on the machine's load, and each read may
/// allocate.
pub(super) fn body_reads(name: &str) -> u32 {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let reads = scenario.map_or(0, |scenario| scenario.body().len() / READ);
    u32::try_from(reads).unwrap_or(u32::MAX)
}

const fn scenario(
    name: &'static str,
    model: &'static str,
    messages: fn() -> Value,
    requests: u32,
) -> CountedScenario {
    CountedScenario { name, model, messages, streamed: false, requests }
}

const fn streamed_scenario(
    name: &'static str,
    model: &'static str,
    requests: u32,
) -> CountedScenario {
    CountedScenario { name, model, messages: small, streamed: true, requests }
}

impl CountedScenario {
    /// The body of a request.
    pub(super) fn body(&self) -> String {
        let mut body = json!({"model": self.model, "max_tokens": 256});
        if let Some(members) = body.as_object_mut() {
            if self.streamed {
                members.insert("stream".to_owned(), json!(true));
                members.insert("stream_options".to_owned(), json!({"include_usage": true}));
            }
            members.insert("messages".to_owned(), (self.messages)());
        }
        body.to_string()
    }

    /// Returns the number of counted requests or chunks.
    pub(super) fn units(&self) -> u32 {
        let chunks = u32::try_from(CHUNKS).unwrap_or(u32::MAX);
        self.requests * if self.streamed { chunks } else { 1 }
    }
}

fn small() -> Value {
    json!([{"role": "user", "content": "Hello, how are you?"}])
}

fn history() -> Value {
    only_messages(messages(200, 450))
}

fn large() -> Value {
    only_messages(messages(1, 1 << 20))
}

fn only_messages(mut body: Value) -> Value {
    body.get_mut("messages").map(Value::take).unwrap_or_default()
}

/// The configuration: a key to check, limits and budgets to keep, prices, metrics, logs and ledger.
pub(super) fn config(upstream: u16, store: &str) -> String {
    format!(
        r#"
[store]
backend = "{store}"

[providers.openai]
base_url = "http://127.0.0.1:{upstream}/v1"
api_key = "sk-upstream"

[providers.anthropic]
base_url = "http://127.0.0.1:{upstream}"
api_key = "sk-upstream"

[[models]]
id = "bench-chat"
provider = "openai"
price = {{ input = 1.25, output = 10 }}

[[models]]
id = "bench-messages"
provider = "anthropic"
price = {{ input = 3, output = 15 }}

[[clients]]
name = "bench"
key = "{CLIENT_KEY}"
requests_per_minute = 60000000
burst = 1000000
tokens_per_minute = 60000000000
max_concurrent = 10000
daily_budget_usd = 1000000
monthly_budget_usd = 10000000
"#
    )
}

#[cfg(test)]
mod tests {
    use super::SCENARIOS;

    #[test]
    fn flag_of_a_stream_stands_before_the_messages() {
        for scenario in SCENARIOS {
            let body = scenario.body();
            assert_eq!(body.contains("\"stream\":true"), scenario.streamed, "{}", scenario.name);
        }
    }
}
