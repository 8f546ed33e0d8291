//! The contract of the session store.

use crate::backend::{BackendFactory, foreign, key, minute, turn};
use gateway_core::{
    Content, Dialect, File, Image, Json, Message, Opaque, Part, Reasoning, Role, Seal, SealKind,
    Source, ToolCall, ToolResult,
    state::{
        ClaimResult, Key, MessageRange, NewSession, SessionFork, SessionPageQuery, SessionSnapshot,
        SessionStore, SessionTurn, WriteOutcome,
    },
};
use gateway_store::StoreLimits;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time};

const SHORT: Duration = Duration::from_millis(400);
const LONGER: Duration = Duration::from_millis(600);

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

async fn whole(sessions: &dyn SessionStore, key: &Key) -> SessionSnapshot {
    sessions.load(key, MessageRange::ALL).await.unwrap().unwrap()
}

fn texts(snapshot: &SessionSnapshot) -> Vec<String> {
    snapshot.entries.iter().map(|entry| entry.message.plain_text()).collect()
}

pub(crate) async fn created_session_is_returned_unchanged(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    let context = BTreeMap::from([("taxonomy".to_owned(), json(r#""AI-ML_taxonomy""#))]);
    let new = NewSession { ttl: Duration::from_mins(1), context: context.clone() };
    let created = sessions.create(&key("s"), &new).await.unwrap();
    assert_eq!((&*created.id, created.version, created.messages, created.bytes), ("s", 0, 0, 0));
    assert_eq!(created.expires_at, created.created_at + 60_000);
    assert_eq!(created.context, context);
    let found = whole(&**sessions, &key("s")).await;
    assert_eq!(found.session, created);
    assert!(found.entries.is_empty());
}

pub(crate) async fn repeated_append_stores_turn_once(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("s"), &minute()).await.unwrap();
    let first = SessionTurn { incomplete: true, ..turn("t1", "one") };
    assert_eq!(sessions.append(&key("s"), &first).await.unwrap(), WriteOutcome::Done(1));
    assert_eq!(
        sessions.append(&key("s"), &turn("t2", "two")).await.unwrap(),
        WriteOutcome::Done(2)
    );
    assert_eq!(sessions.append(&key("s"), &first).await.unwrap(), WriteOutcome::Duplicate(1));
    let found = whole(&**sessions, &key("s")).await;
    assert_eq!(texts(&found), ["one", "two"]);
    assert_eq!((found.session.version, found.session.messages), (2, 2));
    let entry = &found.entries[0];
    assert_eq!((entry.position, entry.version, &*entry.turn), (0, 1, "t1"));
    assert!(entry.incomplete && !found.entries[1].incomplete);
    assert!(entry.at >= found.session.created_at && entry.at < found.session.expires_at);
    assert!(
        sessions.append(&key("s"), &SessionTurn::default()).await.is_err(),
        "a turn says something"
    );
}

pub(crate) async fn concurrent_appends_get_dense_versions(on: BackendFactory) {
    let bench = on(StoreLimits { session_messages: 2_000, ..StoreLimits::default() });
    let stores = Arc::new(bench.open().await);
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let stores = Arc::clone(&stores);
        writers.spawn(async move {
            for n in 0..100 {
                let turn = turn(&format!("{writer}-{n}"), &format!("{writer} {n}"));
                let outcome = stores.sessions.append(&key("s"), &turn).await.unwrap();
                assert!(matches!(outcome, WriteOutcome::Done(_)), "{outcome:?}");
            }
        });
    }
    writers.join_all().await;
    let found = whole(&*stores.sessions, &key("s")).await;
    let versions: Vec<_> = found.entries.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, (1..=1_600).collect::<Vec<_>>());
    // Each writer's turns are there once, in its own order.
    for writer in 0..16 {
        let mine = texts(&found).into_iter().filter(|it| it.starts_with(&format!("{writer} ")));
        let expected = (0..100).map(|n| format!("{writer} {n}"));
        assert!(mine.eq(expected), "writer {writer}");
    }
}

pub(crate) async fn append_with_stale_version_is_refused(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("s"), &minute()).await.unwrap();
    sessions.append(&key("s"), &turn("t1", "one")).await.unwrap();
    for (expected, outcome) in
        [(0, WriteOutcome::Conflict(1)), (2, WriteOutcome::Conflict(1)), (1, WriteOutcome::Done(2))]
    {
        let turn = SessionTurn { expected: Some(expected), ..turn("t2", "two") };
        assert_eq!(sessions.append(&key("s"), &turn).await.unwrap(), outcome);
    }
    assert_eq!(texts(&whole(&**sessions, &key("s")).await), ["one", "two"]);
}

pub(crate) async fn context_change_does_not_conflict_with_turn(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("s"), &minute()).await.unwrap();
    sessions.append(&key("s"), &turn("t1", "one")).await.unwrap();
    let patch = BTreeMap::from([("a".to_owned(), Some(json("1")))]);
    assert_eq!(sessions.patch(&key("s"), &patch, Some(1)).await.unwrap(), WriteOutcome::Done(2));
    let patch = BTreeMap::from([("b".to_owned(), Some(json("[]")))]);
    let turn = SessionTurn { expected: Some(1), patch, ..turn("t2", "two") };
    assert_eq!(sessions.append(&key("s"), &turn).await.unwrap(), WriteOutcome::Done(3));
    let context = whole(&**sessions, &key("s")).await.session.context;
    assert_eq!(context, BTreeMap::from([("a".into(), json("1")), ("b".into(), json("[]"))]));
}

pub(crate) async fn session_of_other_tenant_is_invisible(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("es"), &minute()).await.unwrap();
    sessions.append(&key("es"), &turn("t", "secret")).await.unwrap();
    for stranger in [foreign("es"), foreign("ees"), key("e"), key("none")] {
        assert_eq!(sessions.load(&stranger, MessageRange::ALL).await.unwrap(), None);
        let said = sessions.append(&stranger, &turn("t", "x")).await.unwrap();
        assert_eq!(said, WriteOutcome::Gone);
        let patch = BTreeMap::from([("a".to_owned(), None)]);
        assert_eq!(sessions.patch(&stranger, &patch, None).await.unwrap(), WriteOutcome::Gone);
        assert_eq!(sessions.touch(&stranger, SHORT).await.unwrap(), WriteOutcome::Gone);
        assert_eq!(sessions.claim(&stranger, "t", SHORT).await.unwrap(), ClaimResult::Gone);
        assert!(!sessions.delete(&stranger).await.unwrap());
        let fork = SessionFork { at: None, ttl: SHORT };
        assert_eq!(sessions.fork(&stranger, "copy", &fork).await.unwrap(), None);
    }
    let page = SessionPageQuery { after: None, limit: 10 };
    assert!(sessions.list(foreign("").tenant(), &page).await.unwrap().sessions.is_empty());
    assert_eq!(texts(&whole(&**sessions, &key("es")).await), ["secret"]);
}

pub(crate) async fn expired_session_stays_expired(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    let new = NewSession { ttl: SHORT, ..minute() };
    sessions.create(&key("s"), &new).await.unwrap();
    sessions.append(&key("s"), &turn("t1", "one")).await.unwrap();
    // Two looks: before and after what has ended was swept away.
    for _ in 0..2 {
        time::sleep(LONGER).await;
        assert_eq!(sessions.load(&key("s"), MessageRange::ALL).await.unwrap(), None);
        let late = SessionTurn { ttl: Some(LONGER), ..turn("t2", "two") };
        assert_eq!(sessions.append(&key("s"), &late).await.unwrap(), WriteOutcome::Gone);
        assert_eq!(sessions.touch(&key("s"), LONGER).await.unwrap(), WriteOutcome::Gone);
        let patch = BTreeMap::from([("a".to_owned(), Some(json("1")))]);
        assert_eq!(sessions.patch(&key("s"), &patch, None).await.unwrap(), WriteOutcome::Gone);
        let page = SessionPageQuery { after: None, limit: 10 };
        assert!(sessions.list(key("").tenant(), &page).await.unwrap().sessions.is_empty());
        assert_eq!(sessions.load(&key("s"), MessageRange::ALL).await.unwrap(), None);
    }
    time::sleep(LONGER).await;
    sessions.create(&key("s"), &minute()).await.unwrap();
    assert!(whole(&**sessions, &key("s")).await.entries.is_empty(), "it begins anew");
}

pub(crate) async fn mass_expiry_does_not_delay_requests(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = Arc::new(bench.open().await);
    stores.sessions.create(&key("s"), &minute()).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let stores = Arc::clone(&stores);
        writers.spawn(async move {
            for n in 0..100 {
                let new = NewSession { ttl: Duration::from_secs(2), ..minute() };
                stores.sessions.create(&key(&format!("{writer}-{n}")), &new).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let end = time::Instant::now() + Duration::from_secs(3);
    let mut longest = Duration::ZERO;
    for n in 0.. {
        let began = time::Instant::now();
        if began > end {
            break;
        }
        stores.sessions.append(&key("s"), &turn(&n.to_string(), "x")).await.unwrap();
        longest = longest.max(began.elapsed());
        time::sleep(Duration::from_millis(5)).await;
    }
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let page = SessionPageQuery { after: None, limit: 100 };
    let listed = stores.sessions.list(key("").tenant(), &page).await.unwrap();
    assert!(listed.sessions.len() <= 1, "what has ended is not shown");
}

pub(crate) async fn expiry_can_be_extended(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    let new = NewSession { ttl: SHORT, ..minute() };
    let stays = sessions.create(&key("stays"), &new).await.unwrap();
    let touched = sessions.create(&key("touched"), &new).await.unwrap();
    let slides = sessions.create(&key("slides"), &new).await.unwrap();
    sessions.append(&key("stays"), &turn("t", "x")).await.unwrap();
    assert_eq!(whole(&**sessions, &key("stays")).await.session.expires_at, stays.expires_at);
    let minute = Duration::from_mins(1);
    assert_eq!(sessions.touch(&key("touched"), minute).await.unwrap(), WriteOutcome::Done(0));
    let sliding = SessionTurn { ttl: Some(minute), ..turn("t", "x") };
    sessions.append(&key("slides"), &sliding).await.unwrap();
    time::sleep(LONGER + LONGER).await;
    assert_eq!(sessions.load(&key("stays"), MessageRange::NONE).await.unwrap(), None);
    let end = whole(&**sessions, &key("touched")).await.session.expires_at;
    assert!(end >= touched.created_at + 60_000);
    let slid = whole(&**sessions, &key("slides")).await;
    assert!(slid.session.expires_at >= slides.created_at + 60_000);
    assert_eq!((slides.ttl, slid.session.ttl), (SHORT, minute));
    assert_eq!(texts(&slid), ["x"], "messages live as long as their session");
}

pub(crate) async fn append_to_deleted_session_is_refused(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("s"), &minute()).await.unwrap();
    sessions.append(&key("s"), &turn("t1", "one")).await.unwrap();
    assert!(sessions.delete(&key("s")).await.unwrap());
    assert!(!sessions.delete(&key("s")).await.unwrap());
    assert_eq!(sessions.append(&key("s"), &turn("t2", "two")).await.unwrap(), WriteOutcome::Gone);
    assert_eq!(sessions.load(&key("s"), MessageRange::ALL).await.unwrap(), None);
    let page = SessionPageQuery { after: None, limit: 10 };
    assert!(sessions.list(key("").tenant(), &page).await.unwrap().sessions.is_empty());
    sessions.create(&key("s"), &minute()).await.unwrap();
    assert!(whole(&**sessions, &key("s")).await.entries.is_empty());
    assert_eq!(
        sessions.append(&key("s"), &turn("t1", "one")).await.unwrap(),
        WriteOutcome::Done(1)
    );
}

pub(crate) async fn append_to_full_session_is_refused(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("many"), &minute()).await.unwrap();
    let said = |count| vec![Message::text(Role::User, "x"); count];
    let turn_of = |id: &str, count| SessionTurn { messages: said(count), ..turn(id, "") };
    let append = |name: &'static str, turn: SessionTurn| async move {
        sessions.append(&key(name), &turn).await.unwrap()
    };
    assert_eq!(append("many", turn_of("a", 999)).await, WriteOutcome::Done(1));
    assert_eq!(append("many", turn_of("b", 2)).await, WriteOutcome::Full);
    assert_eq!(append("many", turn_of("c", 1)).await, WriteOutcome::Done(2));
    assert_eq!(append("many", turn_of("d", 1)).await, WriteOutcome::Full);
    assert_eq!(append("many", turn_of("a", 999)).await, WriteOutcome::Duplicate(1));
    let found = whole(&**sessions, &key("many")).await;
    assert_eq!((found.session.messages, found.session.version), (1_000, 2));

    sessions.create(&key("large"), &minute()).await.unwrap();
    let mebibyte = "x".repeat(1 << 20);
    for n in 1..=3 {
        let turn = turn(&n.to_string(), &mebibyte);
        assert_eq!(append("large", turn).await, WriteOutcome::Done(n));
    }
    assert_eq!(append("large", turn("4", &mebibyte)).await, WriteOutcome::Full);
    let found = whole(&**sessions, &key("large")).await;
    assert_eq!((found.session.version, found.entries.len()), (3, 3));
    let patch = BTreeMap::from([("a".to_owned(), Some(json(&format!("{mebibyte:?}"))))]);
    assert_eq!(sessions.patch(&key("large"), &patch, None).await.unwrap(), WriteOutcome::Full);
    let with_context = SessionTurn { patch, ..turn("5", "x") };
    assert_eq!(append("large", with_context).await, WriteOutcome::Full);
    assert_eq!(whole(&**sessions, &key("large")).await, found);
}

pub(crate) async fn context_is_patched_by_member(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    let odd = r#"{"empty":[],"big":18446744073709551616,"text":"é\n\u0000"}"#;
    let context = BTreeMap::from([("a".into(), json("1")), ("ver".into(), json(odd))]);
    let new = NewSession { context, ..minute() };
    sessions.create(&key("s"), &new).await.unwrap();
    let patch: BTreeMap<_, _> = [("a", None), ("b", Some(json("{}"))), ("missing", None)]
        .map(|(k, v)| (k.to_owned(), v))
        .into();
    assert_eq!(
        sessions.patch(&key("s"), &patch, Some(1)).await.unwrap(),
        WriteOutcome::Conflict(0)
    );
    assert_eq!(sessions.patch(&key("s"), &patch, Some(0)).await.unwrap(), WriteOutcome::Done(1));
    assert_eq!(
        sessions.patch(&key("s"), &patch, Some(0)).await.unwrap(),
        WriteOutcome::Conflict(1)
    );
    let found = whole(&**sessions, &key("s")).await.session;
    assert_eq!(found.version, 1);
    let expected = BTreeMap::from([("b".into(), json("{}")), ("ver".into(), json(odd))]);
    assert_eq!(found.context, expected);
    assert_eq!(sessions.patch(&key("s"), &patch, None).await.unwrap(), WriteOutcome::Done(2));
}

pub(crate) async fn fork_copies_history_and_diverges(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    let context = BTreeMap::from([("a".into(), json("1"))]);
    sessions.create(&key("s"), &NewSession { context, ..minute() }).await.unwrap();
    for n in ["one", "two", "three"] {
        sessions.append(&key("s"), &turn(n, n)).await.unwrap();
    }
    let ttl = Duration::from_mins(2);
    let half =
        sessions.fork(&key("s"), "half", &SessionFork { at: Some(2), ttl }).await.unwrap().unwrap();
    assert_eq!((&*half.id, half.version, half.messages), ("half", 2, 2));
    assert_eq!(half.expires_at, half.created_at + 120_000);
    let full =
        sessions.fork(&key("s"), "full", &SessionFork { at: None, ttl }).await.unwrap().unwrap();
    assert_eq!((full.version, full.messages), (3, 3));
    let on_past = SessionTurn { expected: Some(2), ..turn("four", "four") };
    assert_eq!(sessions.append(&key("half"), &on_past).await.unwrap(), WriteOutcome::Done(3));
    let found = whole(&**sessions, &key("half")).await;
    assert_eq!(texts(&found), ["one", "two", "four"]);
    assert_eq!(found.session.context.len(), 1);
    assert_eq!(found.entries.iter().map(|it| it.version).collect::<Vec<_>>(), [1, 2, 3]);
    let bytes = whole(&**sessions, &key("s")).await.session.bytes;
    assert_eq!(full.bytes, bytes, "what was copied counts");
    assert_eq!(texts(&whole(&**sessions, &key("s")).await), ["one", "two", "three"]);
    let taken = sessions.fork(&key("s"), "full", &SessionFork { at: None, ttl }).await;
    assert!(taken.is_err(), "nothing is written over");
}

pub(crate) async fn sessions_are_listed_newest_first(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    for n in 0..7 {
        sessions.create(&key(&format!("s{n}")), &minute()).await.unwrap();
        time::sleep(Duration::from_millis(3)).await;
    }
    sessions.create(&foreign("other"), &minute()).await.unwrap();
    sessions.delete(&key("s3")).await.unwrap();
    let (mut seen, mut page) = (Vec::new(), SessionPageQuery { after: None, limit: 2 });
    loop {
        let listing = sessions.list(key("").tenant(), &page).await.unwrap();
        assert!(listing.sessions.len() <= 2);
        seen.extend(listing.sessions.into_iter().map(|session| session.id));
        // What is new does not shift the pages.
        sessions.create(&key(&format!("new{}", seen.len())), &minute()).await.ok();
        let Some(next) = listing.next else { break };
        page.after = Some(next);
    }
    assert_eq!(seen, ["s6", "s5", "s4", "s2", "s1", "s0"]);
    let nonsense = SessionPageQuery { after: Some("\u{0}?".to_owned()), limit: 2 };
    assert!(sessions.list(key("").tenant(), &nonsense).await.is_err());
}

pub(crate) async fn message_page_equals_slice_of_session(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("s"), &minute()).await.unwrap();
    for n in 0..5 {
        sessions.append(&key("s"), &turn(&n.to_string(), &n.to_string())).await.unwrap();
    }
    for (from, limit, expected) in
        [(0, 2, "01"), (3, 9, "34"), (4, u64::MAX, "4"), (5, 1, ""), (99, 9, ""), (0, 0, "")]
    {
        let slice = MessageRange { from, limit };
        let found = sessions.load(&key("s"), slice).await.unwrap().unwrap();
        assert_eq!(texts(&found).concat(), expected);
        assert_eq!(found.entries.first().map_or(from, |entry| entry.position), from);
        assert_eq!(found.session.messages, 5);
    }
}

pub(crate) async fn every_message_kind_survives_storage(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("s"), &minute()).await.unwrap();
    let messages = vec![
        Message {
            name: Some("ann".into()),
            ..Message::text(Role::User, "line\n\u{0}\u{2028}é 😀")
        },
        everything_said(),
        Message::new(Role::Tool, [tool_result()]),
        Message::new(Role::Developer, Vec::<Part>::new()),
    ];
    let turn = SessionTurn { messages: messages.clone(), ..turn("t", "") };
    sessions.append(&key("s"), &turn).await.unwrap();
    let found = whole(&**sessions, &key("s")).await;
    let found: Vec<_> = found.entries.into_iter().map(|entry| entry.message).collect();
    assert_eq!(found, messages);
}

fn seal(kind: SealKind) -> Seal {
    Seal { dialect: Dialect::Gemini, kind, id: Some("rs_1".into()), data: "c2lnbg==".into() }
}

fn everything_said() -> Message {
    let inline = Source::Inline { media_type: "image/png".into(), base64: "AAAA".into() };
    let reasoning = Reasoning { text: "hm".into(), seal: Some(seal(SealKind::Signature)) };
    let call = ToolCall {
        id: "call_1".into(),
        name: "find".into(),
        arguments: r#"{"n":1.0,"broken"#.into(),
        custom: true,
        seal: Some(seal(SealKind::Encrypted)),
    };
    let opaque = Opaque {
        dialect: Dialect::Responses,
        kind: "web_search_call".into(),
        json: json(r#"{"z":1e400,"a":[ ]}"#),
    };
    let file = File { source: Source::FileId("file-1".into()), name: Some("a.pdf".into()) };
    let contents = [
        Content::Text(String::new()),
        Content::Refusal("no".into()),
        Content::Image(Image { source: inline, detail: Some("low".into()) }),
        Content::Audio(Source::Url("https://example.org/a".into())),
        Content::File(file),
        Content::Reasoning(reasoning),
        Content::ToolCall(call),
        Content::Opaque(opaque),
    ];
    Message::new(Role::Assistant, contents)
}

fn tool_result() -> Content {
    let parts = vec![Content::Text("none".into()).into()];
    Content::ToolResult(ToolResult {
        call_id: "call_1".into(),
        name: Some("find".into()),
        parts,
        is_error: true,
    })
}

pub(crate) async fn concurrent_turn_is_refused_while_one_is_open(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("s"), &minute()).await.unwrap();
    let claim = async |token, lease| sessions.claim(&key("s"), token, lease).await.unwrap();
    assert_eq!(claim("a", SHORT).await, ClaimResult::Granted);
    let held = claim("b", SHORT).await;
    assert!(
        matches!(held, ClaimResult::Held(left) if left <= SHORT && !left.is_zero()),
        "{held:?}"
    );
    assert_eq!(claim("a", SHORT).await, ClaimResult::Granted, "the holder may hold it longer");
    sessions.release(&key("s"), "b").await.unwrap();
    assert!(matches!(claim("b", SHORT).await, ClaimResult::Held(_)), "only the holder gives it up");
    sessions.release(&key("s"), "a").await.unwrap();
    assert_eq!(claim("b", SHORT).await, ClaimResult::Granted);
    time::sleep(LONGER).await;
    assert_eq!(claim("c", SHORT).await, ClaimResult::Granted, "a lease ends by itself");
    assert!(sessions.load(&key("s"), MessageRange::NONE).await.unwrap().is_some());
}

pub(crate) async fn duplicate_session_id_is_refused(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let sessions = &stores.sessions;
    sessions.create(&key("s"), &minute()).await.unwrap();
    sessions.append(&key("s"), &turn("t", "x")).await.unwrap();
    assert!(sessions.create(&key("s"), &minute()).await.is_err());
    assert_eq!(texts(&whole(&**sessions, &key("s")).await), ["x"]);
    sessions.create(&foreign("s"), &minute()).await.unwrap();
}
