use super::*;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gateway_core::{
    ChatRequest, Chunk, Dialect, Envelope, ErrorKind, FinishReason, StreamEvent, Usage,
    state::StoreError,
};
use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::time::Instant;

#[derive(Default)]
struct Memory(Mutex<HashMap<Key, Bytes>>);

#[async_trait]
impl Cache for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn put(&self, key: &Key, value: Bytes, _: Duration) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(key.clone(), value);
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }
}

/// A provider that never responds.
struct Frozen;

#[async_trait]
impl Cache for Frozen {
    async fn get(&self, _: &Key) -> Result<Option<Bytes>, StoreError> {
        std::future::pending().await
    }

    async fn put(&self, _: &Key, _: Bytes, _: Duration) -> Result<(), StoreError> {
        std::future::pending().await
    }

    async fn delete(&self, _: &Key) -> Result<(), StoreError> {
        std::future::pending().await
    }
}

/// Says a letter a second, five of them. Its first `failing` answers fail after a second.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
    ended: Arc<AtomicUsize>,
    failing: usize,
}

struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Provider for Slow {
    fn id(&self) -> &'static str {
        "slow"
    }

    async fn generate(&self, _: ProviderRequest) -> Result<ProviderResponse> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let count = Count(Arc::clone(&self.ended));
        time::sleep(Duration::from_secs(1)).await;
        if number < self.failing {
            return Err(GatewayError::new(ErrorKind::Upstream, "failed"));
        }
        let chunks = stream::iter(0..6).then(move |at| {
            let _kept = &count;
            async move {
                time::sleep(Duration::from_secs(1)).await;
                let last = [
                    StreamEvent::Usage(Usage { output: 5, ..Usage::default() }),
                    StreamEvent::Finished(FinishReason::Stop.into()),
                ];
                Ok(match at {
                    5 => Chunk::from_events(last.to_vec()),
                    _ => Chunk::from_events(vec![StreamEvent::Text("a".into())]),
                })
            }
        });
        Ok(ProviderResponse { meta: ResponseMeta::default(), chunks: Box::pin(chunks) })
    }
}

fn call() -> ProviderRequest {
    let body = Bytes::from_static(br#"{"messages":[]}"#);
    let decode = |_: &[u8]| Ok(ChatRequest::default());
    let original = RawRequest::new(Dialect::Chat, body, Envelope::default(), decode);
    let mut call = ProviderRequest::new(ChatRequest::user("m", ""));
    call.payload = Payload::Raw(Arc::new(original));
    call.context.tenant = "t".into();
    call.context.caching = CacheDirective::Allowed { wanted: true, refresh: false };
    call
}

fn cached(slow: &Arc<Slow>, store: impl Cache + 'static) -> Arc<ResponseCacheLayer> {
    let inner: Arc<dyn Provider> = Arc::<Slow>::clone(slow);
    Arc::new(ResponseCacheLayer::new(inner, Arc::new(store), "e".into(), Duration::from_mins(1)))
}

/// Returns the chunks and the cost of a caller that arrives after `comes` tenths of a second and
/// stays for `stays`, and the cache status.
async fn hear(cached: Arc<ResponseCacheLayer>, comes: u64, stays: u64) -> String {
    time::sleep(Duration::from_millis(100 * comes)).await;
    let mut heard = String::new();
    let hearing = async {
        match ProviderLayer::generate(cached.as_ref(), call()).await {
            Err(error) => heard.push_str(error.code()),
            Ok(mut answer) => {
                let mut status = answer.meta.cache;
                while let Some(chunk) = answer.chunks.next().await {
                    match chunk {
                        Ok(chunk) => {
                            status = chunk.meta.map_or(status, |meta| meta.cache);
                            let text = |it: &StreamEvent| matches!(it, StreamEvent::Text(_));
                            heard.extend(chunk.events.iter().filter(|it| text(it)).map(|_| 'a'));
                        }
                        Err(error) => heard.push_str(error.code()),
                    }
                }
                heard.push('.');
                heard.push_str(status.map_or("", CacheStatus::as_str));
            }
        }
    };
    let _ = time::timeout(Duration::from_millis(100 * stays), hearing).await;
    heard
}

/// Callers who come and stay for so many tenths, what each hears, and how often the provider is
/// asked.
async fn check(failing: usize, callers: &[(u64, u64)], heard: &[&str], asked: usize) {
    let slow = Arc::new(Slow { failing, ..Slow::default() });
    let cached = cached(&slow, Memory::default());
    let hearing = callers.iter().map(|(comes, stays)| hear(Arc::clone(&cached), *comes, *stays));
    let all = futures_util::future::join_all(hearing).await;
    assert_eq!(all, heard, "{callers:?}");
    assert_eq!(slow.asked.load(Ordering::Relaxed), asked, "{callers:?}");
    tokio::task::yield_now().await;
    assert_eq!(slow.ended.load(Ordering::Relaxed), asked, "every answer has ended: {callers:?}");
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_share_response_and_later_ones_hit_cache() {
    let heard = ["aaaaa.miss", "aaaaa.hit", "aaaaa.hit", "aaaaa.hit"];
    check(0, &[(0, 999), (0, 999), (35, 999), (200, 999)], &heard, 1).await;
}

#[tokio::test(start_paused = true)]
async fn next_follower_is_billed_when_leader_leaves() {
    check(0, &[(0, 35), (15, 999), (25, 999)], &["aa", "aaaaa.miss", "aaaaa.hit"], 1).await;
}

#[tokio::test(start_paused = true)]
async fn response_is_cancelled_when_all_subscribers_leave() {
    check(0, &[(0, 35), (15, 20)], &["aa", "aa"], 1).await;
    check(0, &[(0, 35), (90, 999)], &["aa", "aaaaa.miss"], 2).await;
}

#[tokio::test(start_paused = true)]
async fn failure_is_returned_to_leader_only() {
    check(1, &[(0, 999); 3], &["upstream_error", "aaaaa.miss", "aaaaa.hit"], 2).await;
    check(9, &[(0, 999); 3], &["upstream_error"; 3], 3).await;
}

/// Each follower waits a second, and after each failure but the last a cooldown starts.
#[tokio::test(start_paused = true)]
async fn failure_starts_cooldown_for_followers() {
    let began = Instant::now();
    check(9, &[(0, 999); 3], &["upstream_error"; 3], 3).await;
    assert_eq!(began.elapsed(), Duration::from_secs(3 + 2));
}

#[tokio::test(start_paused = true)]
async fn hanging_store_is_bypassed_after_timeout() {
    let slow = Arc::new(Slow::default());
    let cached = cached(&slow, Frozen);
    let began = Instant::now();
    assert_eq!(hear(cached, 0, 999).await, "aaaaa.miss");
    assert_eq!(began.elapsed(), Duration::from_secs(7) + 2 * STORE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn subscribers_are_limited_to_thousand() {
    let slow = Arc::new(Slow::default());
    let cached = cached(&slow, Memory::default());
    let all = futures_util::future::join_all((0..1002).map(|_| hear(Arc::clone(&cached), 0, 999)));
    let all = all.await;
    let told = |status: &str| all.iter().filter(|it| it.ends_with(status)).count();
    assert_eq!((told(".miss"), told(".hit"), told(".bypass")), (1, 999, 2));
    assert_eq!(slow.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn slow_subscriber_does_not_block_others() {
    let big = || Chunk::from_events(vec![StreamEvent::Text("x".repeat(64 << 10))]);
    let request = async move {
        let chunks = stream::iter((0..100).map(move |_| Ok(big())));
        Ok(ProviderResponse { meta: ResponseMeta::default(), chunks: Box::pin(chunks) })
    };
    let stream =
        shared_stream::SharedStream::start(request, |_| (), Box::new(|_, _| Box::pin(async {})));
    let (quick, slow) = (stream.subscribe(true).unwrap(), stream.subscribe(false).unwrap());
    let read = quick.chunks().filter(|chunk| std::future::ready(chunk.is_ok())).count().await;
    assert_eq!(read, 100, "the fastest sets the pace");
    let told: Vec<_> = slow.chunks().collect().await;
    assert_eq!(told.len(), 1);
    assert!(told[0].as_ref().is_err_and(|error| error.kind() == ErrorKind::Overloaded));
}
