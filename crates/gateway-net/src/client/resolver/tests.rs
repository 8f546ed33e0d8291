use super::*;
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

const LIMIT: Duration = Duration::from_secs(2);

/// The scripted answer of a resolver.
#[derive(Clone, Copy)]
enum Does {
    Say(u8),
    Fail,
    /// Says it after so many seconds.
    SayLate(u8, u64),
}
use Does::{Fail, Say, SayLate};

/// A resolver that does one of these after the other, and counts.
fn resolver(script: &[Does]) -> (CachingResolver, Arc<AtomicUsize>) {
    let (script, asked) = (Mutex::new(VecDeque::from(script.to_vec())), Arc::default());
    let counted: Arc<AtomicUsize> = Arc::clone(&asked);
    let lookup = move |_| {
        counted.fetch_add(1, Relaxed);
        let does = script.lock().unwrap().pop_front().unwrap_or(Fail);
        async move {
            match does {
                Say(last) => Ok(vec![address(last)]),
                Fail => Err(Arc::new(io::Error::other("SERVFAIL"))),
                SayLate(last, seconds) => {
                    time::sleep(Duration::from_secs(seconds)).await;
                    Ok(vec![address(last)])
                }
            }
        }
        .boxed()
    };
    (CachingResolver { lookup: Arc::new(lookup), limit: LIMIT, entries: Arc::default() }, asked)
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 0))
}

/// The last part of the address that is found, if one is, and how long that takes.
async fn find(names: &CachingResolver) -> (Option<u8>, Duration) {
    let began = Instant::now();
    let found = names.resolve("model.example").await;
    let last = found.ok().map(|all| match all.as_slice() {
        [SocketAddr::V4(it)] => it.ip().octets()[3],
        other => panic!("{other:?}"),
    });
    (last, began.elapsed())
}

const AT_ONCE: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn changed_address_is_used() {
    let (names, _) = resolver(&[Say(1), Say(2), Say(2)]);
    for expected in [1, 2, 2] {
        assert_eq!(find(&names).await, (Some(expected), AT_ONCE));
    }
}

#[tokio::test(start_paused = true)]
async fn failure_without_cached_address_is_returned() {
    let (names, _) = resolver(&[Fail, SayLate(1, 5)]);
    assert_eq!(find(&names).await, (None, AT_ONCE));
    assert_eq!(find(&names).await, (None, LIMIT));
}

#[tokio::test(start_paused = true)]
async fn last_answer_is_used_for_minute_after_failures() {
    let (names, _) = resolver(&[Say(1), Fail, Fail, Fail]);
    assert_eq!(find(&names).await.0, Some(1));
    for (later, expected) in [(30, Some(1)), (29, Some(1)), (1, None)] {
        time::advance(Duration::from_secs(later)).await;
        assert_eq!(find(&names).await, (expected, AT_ONCE), "{later}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_waited_for_once() {
    let (names, asked) = resolver(&[Say(1), SayLate(2, 10), SayLate(3, 0)]);
    assert_eq!(find(&names).await, (Some(1), AT_ONCE));
    assert_eq!(find(&names).await, (Some(1), LIMIT));
    // The question is still open: who comes now has waited enough.
    assert_eq!(find(&names).await, (Some(1), AT_ONCE));
    assert_eq!(asked.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn late_answer_is_used_only_as_stale_entry() {
    let (names, asked) = resolver(&[SayLate(1, 5), Say(2), SayLate(3, 5), Fail]);
    assert_eq!(find(&names).await, (None, LIMIT));
    time::advance(Duration::from_secs(10)).await;
    assert_eq!(find(&names).await, (Some(2), AT_ONCE));
    assert_eq!(find(&names).await, (Some(2), LIMIT));
    time::advance(Duration::from_secs(10)).await;
    // It is the last that was said all the same.
    assert_eq!(find(&names).await, (Some(3), AT_ONCE));
    assert_eq!(asked.load(Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn many_ask_once() {
    let (names, asked) = resolver(&[SayLate(7, 1)]);
    let all = futures_util::future::join_all((0..100).map(|_| find(&names))).await;
    assert!(all.iter().all(|it| *it == (Some(7), Duration::from_secs(1))), "{all:?}");
    assert_eq!(asked.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn names_are_forgotten() {
    let (names, _) = resolver(&[Say(1)]);
    for name in 0..100 {
        let _ = names.resolve(&format!("{name}.example")).await;
    }
    assert_eq!(names.entries().len(), 1, "only that which has an address");
    time::advance(STALE_LIMIT).await;
    let _ = find(&names).await;
    assert_eq!(names.entries().len(), 0);
}

#[tokio::test]
async fn system_resolver_finds_localhost() {
    let names = CachingResolver::system(Duration::from_secs(20));
    let found = names.resolve("localhost").await.unwrap();
    assert!(found.iter().all(|it| it.ip().is_loopback()) && !found.is_empty(), "{found:?}");
    assert!(names.resolve(&"a".repeat(64)).await.is_err());
}
