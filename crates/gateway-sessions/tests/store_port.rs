//! Sessions over a mocked store: what is repeated, released and bounded when the store fails.

#![expect(clippy::unwrap_used, reason = "all of this is tests, where a panic is the way to fail")]

use gateway_core::{
    ErrorKind, Message, Role,
    state::{
        ClaimResult, MessageRange, MockSessionStore, Session, SessionContext, SessionPage,
        SessionPageQuery, SessionSnapshot, StoreError, Tenant, WriteOutcome,
    },
};
use gateway_sessions::{OnConflict, OpenTurn, SessionId, SessionRules, Sessions, TurnResult};
use mockall::Sequence;
use std::{sync::Arc, time::Duration};

fn acme() -> Tenant {
    Tenant::new("acme").unwrap()
}

fn sessions(store: MockSessionStore) -> Sessions {
    Sessions::new(Arc::new(store), SessionRules::default())
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("no connection".into())
}

fn snapshot(id: &str) -> SessionSnapshot {
    let session = Session {
        id: id.to_owned(),
        version: 0,
        created_at: 0,
        expires_at: u64::MAX,
        ttl: Duration::from_hours(1),
        messages: 0,
        bytes: 0,
        context: SessionContext::default(),
    };
    SessionSnapshot { session, entries: Vec::new() }
}

/// Expects one turn to begin, and returns the id of its session.
fn expect_turn(store: &mut MockSessionStore) -> SessionId {
    let id = SessionId::random().unwrap();
    let found = snapshot(id.as_str());
    store.expect_claim().times(1).returning(|_, _, _| Ok(ClaimResult::Granted));
    store.expect_load().times(1).return_once(|_, _| Ok(Some(found)));
    id
}

async fn begin(sessions: &Sessions, id: &SessionId) -> gateway_core::Result<OpenTurn> {
    sessions.begin_turn(&acme(), id.as_str(), "token", OnConflict::Refuse).await
}

fn hello() -> TurnResult {
    TurnResult {
        asked: vec![Message::text(Role::User, "Hello")],
        answered: vec![Message::text(Role::Assistant, "Hi")],
        ..TurnResult::default()
    }
}

#[tokio::test(start_paused = true)]
async fn commit_is_repeated_while_store_is_unavailable() {
    let (mut store, mut order) = (MockSessionStore::new(), Sequence::new());
    let id = expect_turn(&mut store);
    let failing = store.expect_append().times(2).in_sequence(&mut order);
    failing.returning(|_, _| Err(unavailable()));
    let recovered = store.expect_append().times(1).in_sequence(&mut order);
    recovered.withf(|_, turn| turn.messages.len() == 2).returning(|_, _| Ok(WriteOutcome::Done(1)));
    let sessions = sessions(store);
    let turn = begin(&sessions, &id).await.unwrap();
    assert_eq!(sessions.commit_turn(&turn, &hello()).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn repeated_commit_keeps_the_id_of_the_turn() {
    let mut store = MockSessionStore::new();
    let id = expect_turn(&mut store);
    let mut ids = std::collections::HashSet::new();
    store.expect_append().times(3).returning(move |_, turn| {
        ids.insert(turn.id.clone());
        assert_eq!(ids.len(), 1, "the store recognizes a repeated turn by its id");
        Err(unavailable())
    });
    let sessions = sessions(store);
    let turn = begin(&sessions, &id).await.unwrap();
    let error = sessions.commit_turn(&turn, &hello()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn commit_to_full_store_is_not_repeated() {
    let mut store = MockSessionStore::new();
    let id = expect_turn(&mut store);
    store.expect_append().times(1).returning(|_, _| Err(StoreError::Full));
    let sessions = sessions(store);
    let turn = begin(&sessions, &id).await.unwrap();
    assert!(sessions.commit_turn(&turn, &hello()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn failed_load_releases_the_claim() {
    let mut store = MockSessionStore::new();
    store.expect_claim().times(1).returning(|_, _, _| Ok(ClaimResult::Granted));
    store.expect_load().times(1).returning(|_, _| Err(unavailable()));
    let released = store.expect_release().times(1);
    released.withf(|_, token| token == "token").returning(|_, _| Ok(()));
    let error = begin(&sessions(store), &SessionId::random().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn held_session_is_neither_loaded_nor_released() {
    let mut store = MockSessionStore::new();
    store
        .expect_claim()
        .times(1)
        .returning(|_, _, _| Ok(ClaimResult::Held(Duration::from_secs(30))));
    store.expect_load().never();
    store.expect_release().never();
    let error = begin(&sessions(store), &SessionId::random().unwrap()).await.unwrap_err();
    assert_eq!(error.code(), "session_busy");
}

#[tokio::test(start_paused = true)]
async fn listing_asks_for_a_bounded_page() {
    let mut store = MockSessionStore::new();
    let listed = store.expect_list().times(1);
    listed.withf(|_, page| page.limit == 100).returning(|_, _| Ok(SessionPage::default()));
    let page = SessionPageQuery { limit: 100_000, ..SessionPageQuery::default() };
    assert!(sessions(store).list(&acme(), page).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn malformed_id_does_not_reach_the_store() {
    let mut store = MockSessionStore::new();
    store.expect_load().never();
    assert!(sessions(store).get(&acme(), "../etc", MessageRange::ALL).await.is_err());
}
