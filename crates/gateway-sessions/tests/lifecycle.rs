//! The life of a session, over the memory store.

#![expect(clippy::unwrap_used, reason = "all of this is tests, where a panic is the way to fail")]

use gateway_core::{
    ErrorKind, GatewayError, Json, Message, Role,
    state::{MessageRange, SessionContext, SessionPageQuery, Tenant},
};
use gateway_sessions::{
    OnConflict, OpenTurn, SessionRules, Sessions, TurnResult, context, taxonomy::TaxonomyTable,
};
use gateway_store::{StoreBackend, StoreSettings, Stores};
use std::{collections::BTreeMap, time::Duration};
use tokio::time;

const MINUTE: Duration = Duration::from_mins(1);

async fn sessions(rules: SessionRules) -> (Sessions, Stores) {
    let stores = gateway_store::open(StoreSettings::new(StoreBackend::Memory)).await.unwrap();
    (Sessions::new(stores.sessions.clone(), rules), stores)
}

fn acme() -> Tenant {
    Tenant::new("acme").unwrap()
}

fn message_of(role: Role, text: &str) -> Vec<Message> {
    vec![Message::text(role, text)]
}

fn turn_result(asked: &str, answered: &str) -> TurnResult {
    let (asked, answered) = (message_of(Role::User, asked), message_of(Role::Assistant, answered));
    TurnResult { asked, answered, ..TurnResult::default() }
}

#[track_caller]
fn check_error<T: std::fmt::Debug>(result: Result<T, GatewayError>, kind: ErrorKind, code: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.code()), (kind, code), "{error}");
}

/// Ends a turn, so that the next can begin.
async fn end(sessions: &Sessions, open: &OpenTurn, said: &TurnResult) {
    sessions.commit_turn(open, said).await.unwrap();
    sessions.release_turn(open).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn second_turn_sees_first_turn() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let id = sessions.create(&acme(), None, SessionContext::new()).await.unwrap().id;
    let open = sessions.begin_turn(&acme(), &id, "t1", OnConflict::Refuse).await.unwrap();
    assert_eq!(sessions.commit_turn(&open, &turn_result("one", "1")).await.unwrap(), 1);
    assert_eq!(sessions.commit_turn(&open, &turn_result("one", "1")).await.unwrap(), 1, "once");
    sessions.release_turn(&open).await.unwrap();
    let open = sessions.begin_turn(&acme(), &id, "t2", OnConflict::Refuse).await.unwrap();
    let joined = open.join(message_of(Role::User, "two"));
    let texts: Vec<_> = joined.messages().map(Message::plain_text).collect();
    assert_eq!(texts, ["one", "1", "two"]);
}

#[tokio::test(start_paused = true)]
async fn concurrent_turn_is_rejected() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let id = sessions.create(&acme(), None, SessionContext::new()).await.unwrap().id;
    let open = sessions.begin_turn(&acme(), &id, "t1", OnConflict::Refuse).await.unwrap();
    let second = sessions.begin_turn(&acme(), &id, "t2", OnConflict::Refuse).await;
    check_error(second, ErrorKind::Conflict, "session_busy");
    let patience = OnConflict::Wait(Duration::from_secs(1));
    let second = sessions.begin_turn(&acme(), &id, "t2", patience).await;
    check_error(second, ErrorKind::Conflict, "session_busy");
    let tenant = acme();
    let waiting = sessions.begin_turn(&tenant, &id, "t2", OnConflict::Wait(MINUTE));
    let ending = async {
        time::sleep(Duration::from_secs(5)).await;
        end(&sessions, &open, &turn_result("one", "1")).await;
    };
    let (second, ()) = tokio::join!(waiting, ending);
    let second = second.unwrap();
    assert_eq!(second.session.version, 1, "it sees what it waited for");
    sessions.release_turn(&second).await.unwrap();
    sessions.begin_turn(&acme(), &id, "t3", OnConflict::Refuse).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stale_turn_is_rejected() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let id = sessions.create(&acme(), None, SessionContext::new()).await.unwrap().id;
    let slow = sessions.begin_turn(&acme(), &id, "slow", OnConflict::Refuse).await.unwrap();
    time::sleep(SessionRules::default().lease).await;
    let fast = sessions.begin_turn(&acme(), &id, "fast", OnConflict::Refuse).await.unwrap();
    sessions.commit_turn(&fast, &turn_result("two", "2")).await.unwrap();
    let late = sessions.commit_turn(&slow, &turn_result("one", "1")).await;
    check_error(late, ErrorKind::Conflict, "version_conflict");
}

#[tokio::test(start_paused = true)]
async fn taxonomy_is_stored_in_session() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let id = sessions.create(&acme(), None, SessionContext::new()).await.unwrap().id;
    let open = sessions.begin_turn(&acme(), &id, "t1", OnConflict::Refuse).await.unwrap();
    let asked = message_of(Role::User, "use the Security taxonomy");
    let (holds, taxonomy) = open.taxonomy(&TaxonomyTable::default(), &asked);
    assert_eq!(holds.as_deref(), Some("Security_taxonomy"));
    let patch = BTreeMap::from([("mine".to_owned(), Some(Json::of(&1)))]);
    sessions.patch(&acme(), &id, &patch, Some(0)).await.unwrap();
    let done = TurnResult { asked, taxonomy, ..turn_result("", "ok") };
    end(&sessions, &open, &done).await;
    let open = sessions.begin_turn(&acme(), &id, "t2", OnConflict::Refuse).await.unwrap();
    assert_eq!(
        open.taxonomy(&TaxonomyTable::default(), &message_of(Role::User, "go on")).0.as_deref(),
        Some("Security_taxonomy")
    );
    assert_eq!(open.session.context.len(), 2, "what the application said meanwhile is kept");
    assert_eq!(
        open.taxonomy(
            &TaxonomyTable::default(),
            &message_of(Role::User, "use the Security taxonomy")
        )
        .1,
        None
    );
}

#[tokio::test(start_paused = true)]
async fn invalid_session_request_is_rejected() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let short = Some(Duration::from_secs(59));
    let refused = sessions.create(&acme(), short, SessionContext::new()).await;
    check_error(refused, ErrorKind::Unprocessable, "unprocessable");
    let wrong = BTreeMap::from([(context::TOOLS.to_owned(), Json::of(&"x"))]);
    let refused = sessions.create(&acme(), None, wrong.clone()).await;
    check_error(refused, ErrorKind::Unprocessable, "unprocessable");
    let id = sessions.create(&acme(), Some(MINUTE), SessionContext::new()).await.unwrap().id;
    let patch = wrong.into_iter().map(|(name, value)| (name, Some(value))).collect();
    let refused = sessions.patch(&acme(), &id, &patch, None).await;
    check_error(refused, ErrorKind::Unprocessable, "unprocessable");
    let refused = sessions.patch(&acme(), &id, &BTreeMap::new(), Some(9)).await;
    check_error(refused, ErrorKind::Conflict, "version_conflict");
}

#[tokio::test(start_paused = true)]
async fn session_of_other_tenant_is_not_found() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let id = sessions.create(&acme(), None, SessionContext::new()).await.unwrap().id;
    let other = Tenant::new("other").unwrap();
    let (gone, code) = (ErrorKind::NotFound, "session_not_found");
    check_error(sessions.get(&other, &id, MessageRange::ALL).await, gone, code);
    check_error(sessions.delete(&other, &id).await, gone, code);
    check_error(sessions.fork(&other, &id, None, None).await, gone, code);
    check_error(sessions.begin_turn(&other, &id, "t", OnConflict::Refuse).await, gone, code);
    check_error(sessions.get(&acme(), "../etc/passwd", MessageRange::ALL).await, gone, code);
    sessions.delete(&acme(), &id).await.unwrap();
    check_error(sessions.delete(&acme(), &id).await, gone, code);
}

#[tokio::test(start_paused = true)]
async fn session_expiry_is_fixed_or_sliding() {
    for (sliding, lives) in [(false, false), (true, true)] {
        let (sessions, _stores) =
            sessions(SessionRules { sliding, ..SessionRules::default() }).await;
        let id = sessions.create(&acme(), Some(MINUTE), SessionContext::new()).await.unwrap().id;
        time::sleep(Duration::from_secs(40)).await;
        let open = sessions.begin_turn(&acme(), &id, "t", OnConflict::Refuse).await.unwrap();
        sessions.commit_turn(&open, &turn_result("one", "1")).await.unwrap();
        time::sleep(Duration::from_secs(40)).await;
        let found = sessions.get(&acme(), &id, MessageRange::ALL).await;
        assert_eq!(found.is_ok(), lives);
        assert!(
            found.is_ok_and(|it| it.session.ttl == MINUTE) == lives,
            "its time stays as it was"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn sliding_session_outlives_running_turn() {
    for (sliding, kept) in [(false, false), (true, true)] {
        let (sessions, _stores) =
            sessions(SessionRules { sliding, ..SessionRules::default() }).await;
        let id = sessions.create(&acme(), Some(MINUTE), SessionContext::new()).await.unwrap().id;
        time::sleep(Duration::from_secs(50)).await;
        let open = sessions.begin_turn(&acme(), &id, "t", OnConflict::Refuse).await.unwrap();
        time::sleep(Duration::from_secs(50)).await;
        let ended = sessions.commit_turn(&open, &turn_result("one", "1")).await;
        assert_eq!(ended.is_ok(), kept);
    }
}

#[tokio::test(start_paused = true)]
async fn turn_lock_is_held_while_renewed() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let id = sessions.create(&acme(), None, SessionContext::new()).await.unwrap().id;
    let open = sessions.begin_turn(&acme(), &id, "t1", OnConflict::Refuse).await.unwrap();
    let ten_minutes = Duration::from_mins(10);
    assert!(time::timeout(ten_minutes, sessions.hold(&open)).await.is_err(), "it never ends");
    let second = sessions.begin_turn(&acme(), &id, "t2", OnConflict::Refuse).await;
    check_error(second, ErrorKind::Conflict, "session_busy");
    time::sleep(SessionRules::default().lease).await;
    sessions.begin_turn(&acme(), &id, "t2", OnConflict::Refuse).await.unwrap();
    time::timeout(MINUTE, sessions.hold(&open)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn failed_turn_release_is_retried() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let id = sessions.create(&acme(), None, SessionContext::new()).await.unwrap().id;
    let open = sessions.begin_turn(&acme(), &id, "t1", OnConflict::Refuse).await.unwrap();
    sessions.commit_turn(&open, &turn_result("one", "1")).await.unwrap();
    let second = sessions.begin_turn(&acme(), &id, "t2", OnConflict::Refuse).await;
    check_error(second, ErrorKind::Conflict, "session_busy");
    time::timeout(Duration::from_secs(1), sessions.release_later(&open)).await.unwrap();
    sessions.begin_turn(&acme(), &id, "t2", OnConflict::Refuse).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn repeated_turn_does_not_see_itself() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let id = sessions.create(&acme(), None, SessionContext::new()).await.unwrap().id;
    let broken = TurnResult { incomplete: true, ..turn_result("one", "o") };
    for (token, said, made) in
        [("t1", 0, broken), ("t1", 0, turn_result("one", "1")), ("t2", 2, turn_result("two", "2"))]
    {
        let open = sessions.begin_turn(&acme(), &id, token, OnConflict::Refuse).await.unwrap();
        assert_eq!(open.history.messages.len(), said, "{token}");
        end(&sessions, &open, &made).await;
    }
    let found = sessions.get(&acme(), &id, MessageRange::ALL).await.unwrap();
    assert_eq!((found.session.version, found.entries.len()), (3, 6));
}

#[tokio::test(start_paused = true)]
async fn sessions_can_be_listed_and_forked() {
    let (sessions, _stores) = sessions(SessionRules::default()).await;
    let id = sessions.create(&acme(), None, SessionContext::new()).await.unwrap().id;
    let open = sessions.begin_turn(&acme(), &id, "t1", OnConflict::Refuse).await.unwrap();
    sessions.commit_turn(&open, &turn_result("one", "1")).await.unwrap();
    let copy = sessions.fork(&acme(), &id, Some(1), None).await.unwrap();
    assert_ne!(copy.id, id);
    let found = sessions.get(&acme(), &copy.id, MessageRange { from: 1, limit: 1 }).await.unwrap();
    assert_eq!(found.entries[0].message.plain_text(), "1");
    let listing = sessions.list(&acme(), SessionPageQuery { after: None, limit: 0 }).await.unwrap();
    assert_eq!((listing.sessions.len(), listing.next.is_some()), (1, true), "at least one");
}
