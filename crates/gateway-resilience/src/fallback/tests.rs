use super::*;
use crate::{CircuitBreakerConfig, ResilientProvider, breaker};
use futures_util::{StreamExt as _, stream};
use gateway_core::{
    AttemptOutcome, Capabilities, ChatRequest, Chunk, ErrorKind, Function, GatewayError, ModelCard,
    ResponseMeta, StreamEvent, ToolKind, ToolSpec,
};

/// Plays a letter a call, the last one for ever: `o` answers, `p` begins and breaks off before it
/// said anything, `b` after it, `5` fails, `9` limits the rate for a minute, `1` refuses the
/// credential, `4` refuses the request, `l` finds it too long, `f` its content unfit.
struct Script(&'static str, &'static str, AtomicUsize);

#[async_trait]
impl Provider for Script {
    fn id(&self) -> &str {
        self.0
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let at = self.2.fetch_add(1, Ordering::Relaxed).min(self.1.len() - 1);
        let meta = ResponseMeta {
            provider: self.0.into(),
            model: call.target.model,
            attempts: 1,
            ..ResponseMeta::default()
        };
        let fail = |kind| GatewayError::new(kind, "failed").with_meta(meta.clone());
        let says = |word: &str| Ok(Chunk::from_events(vec![StreamEvent::Text(word.into())]));
        let broken = || Err(GatewayError::new(ErrorKind::UpstreamCut, "cut"));
        let chunks = match &self.1[at..=at] {
            "o" => vec![says(self.0)],
            "p" => vec![Ok(Chunk::default()), broken()],
            "b" => vec![says(self.0), broken()],
            "5" => return Err(fail(ErrorKind::Upstream)),
            "9" => {
                let minute = Some(Duration::from_mins(1));
                return Err(fail(ErrorKind::RateLimited).with_retry_after(minute));
            }
            "1" => return Err(fail(ErrorKind::UpstreamAuth)),
            "l" => return Err(fail(ErrorKind::ContextLength)),
            "f" => return Err(fail(ErrorKind::ContentFilter)),
            _ => return Err(fail(ErrorKind::InvalidRequest)),
        };
        Ok(ProviderResponse { meta, chunks: Box::pin(stream::iter(chunks)) })
    }
}

const RULES: FallbackRules = FallbackRules {
    order: FallbackOrder::Priority,
    on: Vec::new(),
    retry: true,
    respect_breakers: true,
};

fn rules(order: FallbackOrder) -> FallbackRules {
    let on = vec![
        FallbackCondition::RateLimit,
        FallbackCondition::ServerError,
        FallbackCondition::Unavailable,
        FallbackCondition::ContextLength,
    ];
    FallbackRules { order, on, ..RULES }
}

fn target(id: &'static str, script: &'static str) -> FallbackTarget {
    let inner = Arc::new(Script(id, script, AtomicUsize::new(0)));
    let config =
        breaker::BreakerPolicy { consecutive_failures: 2, ..breaker::BreakerPolicy::default() };
    let guards = CircuitBreakerConfig {
        breaker: Some(config),
        host: None,
        credential: None,
        observer: None,
        random: || 0.5,
    };
    let provider: Arc<dyn Provider> =
        Arc::new(ResilientProvider::new(inner).with_circuit_breaker(guards));
    let upstream = Target { model: "m".into(), card: None };
    FallbackTarget::model(id, id, Some(provider), upstream)
}

/// Returns the caller's view of a response, its provider, and the number of calls.
async fn outcome(chain: &FallbackGroup, call: ProviderRequest) -> String {
    let mut seen = String::new();
    let mut told = |meta: &ResponseMeta| format!(" {}:{}", meta.provider, meta.attempts);
    let mut by = String::new();
    match chain.generate(call).await {
        Err(error) => {
            seen.push_str(error.code());
            by = error.meta().map(&mut told).unwrap_or_default();
        }
        Ok(mut answer) => {
            by.push_str(&told(&answer.meta));
            while let Some(chunk) = answer.chunks.next().await {
                match chunk {
                    Ok(chunk) => {
                        by = chunk.meta.as_deref().map(&mut told).unwrap_or(by);
                        for event in chunk.events {
                            let StreamEvent::Text(text) = event else { panic!("{event:?}") };
                            seen.push_str(&text);
                        }
                    }
                    Err(error) => {
                        seen.push_str(error.code());
                        by = error.meta().map(&mut told).unwrap_or(by);
                    }
                }
            }
        }
    }
    seen + &by
}

fn call() -> ProviderRequest {
    ProviderRequest::new(ChatRequest::user("best", "hello"))
}

/// Checks the result of a request to targets that play these scripts.
async fn check(scripts: &[&'static str], expected: &str) {
    let targets = scripts.iter().zip(["a", "b", "c", "d", "e"]);
    let targets = targets.map(|(script, id)| target(id, script)).collect();
    let chain = FallbackGroup::new("best", targets, rules(FallbackOrder::Priority), || 0.5);
    assert_eq!(outcome(&chain, call()).await, expected, "{scripts:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_target_falls_back_to_next() {
    check(&["o", "o"], "a a:1").await;
    check(&["5", "o"], "b b:2").await;
    check(&["9", "1", "l", "o"], "d d:4").await;
    check(&["p", "o"], "b b:2").await;
    check(&["p", "p", "o"], "c c:3").await;
}

#[tokio::test(start_paused = true)]
async fn no_fallback_after_first_output() {
    check(&["b", "o"], "aupstream_cut a:1").await;
    check(&["p", "b", "o"], "bupstream_cut b:2").await;
}

#[tokio::test(start_paused = true)]
async fn unlisted_failure_is_returned_without_fallback() {
    check(&["4", "o"], "invalid_request a:1").await;
    check(&["5", "f", "o"], "content_filter b:2").await;
}

#[tokio::test(start_paused = true)]
async fn upstream_calls_are_limited_to_four() {
    check(&["5", "5", "5", "5", "o"], "upstream_error d:4").await;
    check(&["5", "5", "5"], "upstream_error c:3").await;
}

/// Puts `call` to three targets: a model without tools, one that is short and the caller's own.
async fn check_fit(call: ProviderRequest, expected: &str, reasons: &[&str]) {
    let card = |capabilities, window| {
        Some(Arc::new(ModelCard {
            context_window: window,
            capabilities,
            ..ModelCard::new("card", "p")
        }))
    };
    let no_tools = Capabilities { tools: Some(false), ..Capabilities::default() };
    let cards = [card(no_tools, None), card(Capabilities::default(), Some(1000)), None];
    let targets = cards.into_iter().zip(["deaf", "short", "plain"]).map(|(card, id)| {
        let inner: Arc<dyn Provider> = Arc::new(Script(id, "o", AtomicUsize::new(0)));
        FallbackTarget::model(id, id, Some(inner), Target { model: "m".into(), card })
    });
    let chain =
        FallbackGroup::new("best", targets.collect(), rules(FallbackOrder::Priority), || 0.5);
    let planned: Vec<_> = chain.plan(&call).await.iter().map(|it| it.unavailable).collect();
    let response = chain.generate(call).await;
    let (told, steps) = match &response {
        Ok(answer) => (&*answer.meta.provider, &answer.meta.attempts_log),
        Err(error) => (error.code(), &error.meta().unwrap().attempts_log),
    };
    let skipped: Vec<_> = steps.iter().map(|step| step.outcome.to_string()).collect();
    assert_eq!(
        (told, skipped.iter().map(String::as_str).collect::<Vec<_>>()),
        (expected, reasons.to_vec())
    );
    // What was rehearsed is what happened.
    for (step, reason) in steps.iter().zip(&planned) {
        assert_eq!(step.outcome, AttemptOutcome::Skipped(reason.expect("a reason")));
    }
    assert_eq!(planned.get(steps.len()).copied().flatten(), None);
}

#[tokio::test]
async fn incompatible_target_is_skipped() {
    check_fit(call(), "deaf", &[]).await;
    let mut request = ChatRequest::user("best", "hello");
    let tool = Function { name: "t".into(), description: None, parameters: None, strict: None };
    request.tools.push(ToolSpec { kind: ToolKind::Function(tool), cache: None });
    check_fit(ProviderRequest::new(request.clone()), "short", &["no_tools"]).await;
    request.messages[0] = ChatRequest::user("", "long ".repeat(1000)).messages.remove(0);
    check_fit(ProviderRequest::new(request), "plain", &["no_tools", "context_window"]).await;
}

#[tokio::test]
async fn disallowed_target_is_skipped() {
    let allowed = |models: &[&str]| {
        let mut call = call();
        call.context.models = Some(models.iter().map(ToString::to_string).collect());
        call
    };
    check_fit(allowed(&["pl*"]), "plain", &["model_not_allowed", "model_not_allowed"]).await;
    check_fit(allowed(&["card"]), "deaf", &[]).await;
    check_fit(allowed(&["best"]), "model_not_allowed", &["model_not_allowed"; 3]).await;
}

#[tokio::test(start_paused = true)]
async fn open_group_forces_one_probe_per_second() {
    let chain = FallbackGroup::new(
        "best",
        vec![target("a", "5"), target("b", "5")],
        rules(FallbackOrder::Priority),
        || 0.5,
    );
    for expected in ["b:2", "b:2"] {
        assert_eq!(outcome(&chain, call()).await, format!("upstream_error {expected}"));
    }
    // Both are open. One is forced, and fails; then there is a second of silence.
    assert_eq!(outcome(&chain, call()).await, "upstream_error a:1");
    for _ in 0..5 {
        let error = chain.generate(call()).await.unwrap_err();
        assert_eq!((error.code(), error.is_final_attempt()), ("no_healthy_upstream", true));
        assert!(error.retry_after().is_some_and(|wait| wait <= Duration::from_secs(5)));
        assert_eq!(error.meta().map(|meta| meta.attempts), Some(0));
    }
    tokio::time::advance(FORCED_PROBE_INTERVAL).await;
    assert_eq!(outcome(&chain, call()).await, "upstream_error b:1");
}

#[tokio::test(start_paused = true)]
async fn shortest_retry_after_is_returned() {
    let chain = FallbackGroup::new(
        "best",
        vec![target("a", "9"), target("b", "9")],
        rules(FallbackOrder::Priority),
        || 0.5,
    );
    let first = chain.generate(call()).await.unwrap_err();
    assert_eq!(
        (first.kind(), first.retry_after()),
        (ErrorKind::RateLimited, Some(Duration::from_mins(1)))
    );
    tokio::time::advance(Duration::from_secs(20)).await;
    let then = chain.generate(call()).await.unwrap_err();
    assert_eq!(
        (then.kind(), then.retry_after()),
        (ErrorKind::RateLimited, Some(Duration::from_secs(40)))
    );
    assert_eq!(then.meta().map(|meta| meta.attempts), Some(0));
}

#[tokio::test(start_paused = true)]
async fn credentials_rotate_and_cool_down() {
    let credential = |script| {
        let inner = Arc::new(Script("p", script, AtomicUsize::new(0)));
        let guards = CircuitBreakerConfig {
            breaker: None,
            host: None,
            credential: Some(1),
            observer: None,
            random: || 0.5,
        };
        let guarded = ResilientProvider::new(inner).with_circuit_breaker(guards);
        FallbackTarget::credential(Arc::new(guarded))
    };
    let targets = vec![credential("9o"), credential("1"), credential("o")];
    let chain = FallbackGroup::new("p", targets, rules(FallbackOrder::RoundRobin), || 0.5);
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(outcome(&chain, call()).await);
    }
    // The first meets two that fail; the others go to the third, whoever's turn it is.
    assert_eq!(told, ["p p:3", "p p:1", "p p:1", "p p:1"]);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(chain.unavailability(&call().target), None);
}

#[tokio::test]
async fn weighted_order_respects_weights() {
    static DRAWS: AtomicUsize = AtomicUsize::new(0);
    // Numbers that look drawn, the same every time.
    #[expect(clippy::cast_precision_loss, reason = "a draw needs no precision")]
    let random = || {
        let number = DRAWS.fetch_add(1, Ordering::Relaxed) as u64 + 1;
        let mixed = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number << 31))
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
    };
    let targets = vec![target("a", "o").with_weight(3), target("b", "o").with_weight(1)];
    let chain = FallbackGroup::new("best", targets, rules(FallbackOrder::Weighted), random);
    let mut first = 0;
    for _ in 0..1000 {
        first += usize::from(outcome(&chain, call()).await.starts_with('a'));
    }
    assert!((650..850).contains(&first), "{first}");
    assert_eq!(chain.plan(&call()).await.len(), 2);
}
