//! Limits of sizes, and the description of a backend.

use crate::backend::{BackendFactory, key, minute};
use bytes::Bytes;
use gateway_core::{
    Json,
    state::{NewSession, Replay, StoreError, StoredResponse, WriteOutcome},
};
use gateway_store::StoreLimits;
use std::{collections::BTreeMap, time::Duration};

const MINUTE: Duration = Duration::from_mins(1);

pub(crate) async fn oversized_records_are_refused(on: BackendFactory) {
    let limits = StoreLimits {
        context_bytes: 20,
        response_bytes: 20,
        replay_bytes: 20,
        ..StoreLimits::default()
    };
    let bench = on(limits);
    let stores = bench.open().await;
    let large = Bytes::from(vec![b'x'; 21]);
    let context = BTreeMap::from([("a".to_owned(), Json::of(&"x".repeat(20)))]);
    let new = NewSession { context, ..minute() };
    let refused = stores.sessions.create(&key("s"), &new).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    let response = StoredResponse { body: large.clone(), in_progress: true, lease: None };
    let refused = stores.responses.put(&key("r"), &response, MINUTE).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    let small = StoredResponse { body: Bytes::new(), in_progress: true, lease: None };
    stores.responses.put(&key("r"), &small, MINUTE).await.unwrap();
    let outcome =
        stores.responses.append(&key("r"), 0, std::slice::from_ref(&large)).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Full);
    stores.idempotency.begin(&key("i"), &[0; 32], "t", MINUTE).await.unwrap();
    let replay = Replay { status: 200, content_type: String::new(), body: large };
    let refused = stores.idempotency.finish(&key("i"), "t", &replay, MINUTE).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
}

pub(crate) async fn health_names_the_backend(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let health = stores.health().await;
    assert!(health.reachable, "{health:?}");
    assert!(["memory", "embedded", "redis", "postgres"].contains(&health.backend));
    stores.close().await;
}
