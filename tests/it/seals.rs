//! Seals of reasoning: a conversation that moves between providers and credentials gives none of
//! them the seals of another, and each its own back.

mod caller;
mod provider;

use self::{
    caller::CallerMode,
    provider::{PROVIDERS, SealingProvider},
};
use gateway_tests::{Exchange, Gateway, Script, Setup, Upstream, openai, request};
use serde_json::json;

/// A gateway whose models `agent-0` to `agent-4` are at five providers, beginning at each of them.
struct ProviderBench {
    upstreams: Vec<Upstream>,
    gateway: Gateway,
}

impl ProviderBench {
    async fn start() -> Self {
        let mut setup = Setup::new();
        let mut upstreams = Vec::new();
        for provider in PROVIDERS {
            let upstream = Upstream::start().await;
            setup = provider.configure(setup, &upstream);
            upstreams.push(upstream);
        }
        for first in 0..PROVIDERS.len() {
            let targets: Vec<_> = (first..).map(|at| provider_at(at).target()).take(3).collect();
            setup = setup.route(&format!("agent-{first}"), &json!(targets).to_string());
        }
        Self { upstreams, gateway: setup.start().await }
    }

    /// Lets the providers from `first` on before `at` fail, and that one make the call `turn`.
    fn plan(&self, first: usize, at: usize, turn: usize, stream: bool) {
        for failing in first..at {
            let busy = Script::json(503, openai::error("x", "x", "busy"));
            self.upstreams[failing % PROVIDERS.len()].next(busy);
        }
        self.upstreams[at % PROVIDERS.len()].next(provider_at(at).calls(turn, stream));
    }

    /// Every request so far that was answered, with the provider that it went to.
    fn exchanges(&self) -> Vec<(&'static SealingProvider, Exchange)> {
        let of = |(provider, upstream): (&'static SealingProvider, &Upstream)| {
            upstream.exchanges().into_iter().map(move |it| (provider, it))
        };
        PROVIDERS.iter().zip(&self.upstreams).flat_map(of).collect()
    }
}

/// The provider of this number, counted in a circle.
fn provider_at(at: usize) -> &'static SealingProvider {
    &PROVIDERS[at % PROVIDERS.len()]
}

/// The credential that a request came with.
fn credential(exchange: &Exchange) -> String {
    let headers = ["authorization", "x-api-key", "x-goog-api-key"];
    headers.iter().find_map(|name| exchange.head.header(name)).unwrap_or_default().to_owned()
}

/// A conversation of 30 turns, each of which reasons and calls a tool, at providers drawn at random.
async fn check(caller: CallerMode, stream: bool, seed: u64) {
    let bench = ProviderBench::start().await;
    let mut conversation = caller.begin();
    // Of each turn, who sealed it: a provider and a credential.
    let mut owners: Vec<(&str, String)> = Vec::new();
    let (mut random, mut last) = (seed, String::new());
    for turn in 0..30 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = usize::try_from(random >> 33).unwrap();
        let first = draw % PROVIDERS.len();
        let at = first + draw / 7 % 3;
        bench.plan(first, at, turn, stream);
        conversation.turn(&bench.gateway, &format!("agent-{first}"), stream, turn).await;
        let sent = bench.upstreams[at % PROVIDERS.len()].last();
        owners.push((provider_at(at).name, credential(&sent)));
        sent.text().clone_into(&mut last);
    }
    let mut returned = vec![0; 30];
    for (provider, exchange) in bench.exchanges() {
        let text = exchange.text();
        assert!(!text.contains("gw2x") && !text.contains("gw1:"), "ours: {text}");
        for (turn, owner) in owners.iter().enumerate() {
            if text.contains(&provider::seal(turn)) {
                let reader = (provider.name, credential(&exchange));
                assert_eq!(&reader, owner, "the seal of turn {turn}: {text}");
                returned[turn] += 1;
            }
        }
    }
    // Whoever is asked again has its own seals back.
    for (at, (provider, upstream)) in PROVIDERS.iter().zip(&bench.upstreams).enumerate() {
        let answered = upstream.exchanges();
        let Some(last) = answered.last().filter(|_| provider.is_restored(caller)) else { continue };
        let who = (provider.name, credential(last));
        let last_turn = owners.iter().rposition(|owner| *owner == who).unwrap_or(0);
        for turn in (0..last_turn).filter(|turn| owners[*turn] == who) {
            assert!(last.text().contains(&provider::seal(turn)), "{at}: turn {turn} is missing");
        }
    }
    assert!(returned.iter().sum::<usize>() > 20, "no seal ever came back: {returned:?}");
    for turn in 0..29 {
        assert!(last.contains(&caller::result(turn)), "turn {turn} is lost: {last}");
    }
}

#[tokio::test]
async fn conversation_in_messages_moves_between_providers_without_foreign_seals() {
    check(CallerMode::Messages, false, 1).await;
    check(CallerMode::Messages, true, 2).await;
}

#[tokio::test]
async fn conversation_in_a_thread_moves_between_providers_without_foreign_seals() {
    check(CallerMode::Thread, false, 8).await;
    check(CallerMode::Thread, true, 9).await;
}

#[tokio::test]
async fn conversation_in_responses_moves_between_providers_without_foreign_seals() {
    check(CallerMode::Responses, false, 3).await;
    check(CallerMode::Responses, true, 4).await;
}

#[tokio::test]
async fn conversation_by_previous_response_moves_between_providers_without_foreign_seals() {
    check(CallerMode::Previous, false, 5).await;
    check(CallerMode::Previous, true, 6).await;
}

#[tokio::test]
async fn conversation_in_chat_moves_between_providers_without_foreign_seals() {
    check(CallerMode::Chat, false, 7).await;
}

#[tokio::test]
async fn follow_up_goes_to_credential_that_issued_the_seal() {
    let bench = ProviderBench::start().await;
    let mut conversation = CallerMode::Messages.begin();
    let model = PROVIDERS[0].target();
    let mut used = Vec::new();
    for turn in 0..6 {
        bench.upstreams[0].next(PROVIDERS[0].calls(turn, false));
        conversation.turn(&bench.gateway, &model, false, turn).await;
        used.push(credential(&bench.upstreams[0].last()));
    }
    assert!(used.iter().all(|it| *it == used[0]), "{used:?}");
    let last = bench.upstreams[0].last();
    assert!((0..5).all(|turn| last.text().contains(&provider::seal(turn))), "{}", last.text());
}

#[tokio::test]
async fn seal_of_a_chat_that_is_served_by_responses_comes_back_with_its_call() {
    let upstream = Upstream::start().await;
    let setup = Setup::new().set("providers.openai", "api_key", "sk-1");
    let gateway = setup.provider("openai", &upstream.url()).start().await;
    let tools = json!([{ "type": "function", "function": { "name": "look", "parameters": { "type": "object" } } }]);
    let output = json!([
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed-thought" },
        { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}", "status": "completed" },
    ]);
    let response = json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "model": "gpt-6.1-sol", "output": output,
        "usage": { "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 },
    });
    let mut messages = json!([{ "role": "user", "content": "go" }]);
    for turn in 0..2 {
        upstream.next(Script::json(200, response.to_string()));
        let body = json!({ "model": "openai/gpt-6.1-sol", "messages": messages, "tools": tools });
        let headers = [("Content-Type", "application/json")];
        let sent = request("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes());
        let reply = gateway.send(sent).await;
        assert_eq!(reply.status(), 200, "turn {turn}: {}", reply.text());
        let said = reply.json()["choices"][0]["message"].clone();
        let result = json!({ "role": "tool", "tool_call_id": "call_1", "content": "seen" });
        messages.as_array_mut().unwrap().extend([said, result]);
    }
    let sent = upstream.last();
    assert!(sent.head.line.contains("/responses"), "{}", sent.head.line);
    assert!(sent.text().contains(r#""encrypted_content":"sealed-thought""#), "{}", sent.text());
}

#[tokio::test]
async fn refused_seal_is_retried_once_without_it() {
    let bench = ProviderBench::start().await;
    let mut conversation = CallerMode::Messages.begin();
    let model = PROVIDERS[0].target();
    bench.upstreams[0].next(PROVIDERS[0].calls(0, false));
    conversation.turn(&bench.gateway, &model, false, 0).await;
    let refusal = json!({ "type": "error", "error": {
        "type": "invalid_request_error",
        "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
    } });
    bench.upstreams[0].next(Script::json(400, refusal.to_string()));
    bench.upstreams[0].next(PROVIDERS[0].calls(1, false));
    let reply = conversation.turn(&bench.gateway, &model, false, 1).await;
    assert_eq!(reply.header("x-gateway-dropped"), "reasoning_seals");
    let sent: Vec<_> = bench.upstreams[0].exchanges();
    assert_eq!(sent.len(), 3);
    assert!(sent[1].text().contains(&provider::seal(0)));
    assert!(!sent[2].text().contains(&provider::seal(0)));
    // Another refusal is the caller's to see.
    bench.upstreams[0].next(Script::json(400, refusal.to_string()));
    bench.upstreams[0].next(Script::json(400, refusal.to_string()));
    assert_eq!(conversation.ask(&bench.gateway, &model, false).await.status(), 400);
    assert_eq!(bench.upstreams[0].exchanges().len(), 5);
}
