//! Responses in progress over a mocked store: only one whose gateway has crashed is ended.

#![expect(clippy::unwrap_used, reason = "all of this is tests, where a panic is the way to fail")]

use gateway_core::state::{MockResponseStore, ResponseEvents, StoredResponse, Tenant};
use gateway_sessions::Responses;
use mockall::Sequence;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// A response in progress, with this rest of its writer's lease.
fn in_progress(lease: Duration) -> StoredResponse {
    let response = json!({ "id": "resp_1", "status": "in_progress", "output": [] });
    let record = json!({ "v": 1, "provider": "p", "native": false, "input": [],
        "response": response });
    StoredResponse { body: record.to_string().into(), in_progress: true, lease: Some(lease) }
}

/// A store whose response has these rests of its lease, one each time it is read.
fn store(leases: &[u64]) -> MockResponseStore {
    let (mut store, mut order) = (MockResponseStore::new(), Sequence::new());
    for seconds in leases {
        let found = in_progress(Duration::from_secs(*seconds));
        let read = store.expect_get().times(1).in_sequence(&mut order);
        read.return_once(|_| Ok(Some(found)));
    }
    store
}

async fn retrieve(store: MockResponseStore) -> Value {
    let responses = Responses::new(Arc::new(store), Duration::from_hours(1), 1);
    let tenant = Tenant::new("acme").unwrap();
    responses.retrieve(&tenant, "resp_1").await.unwrap().read().unwrap()
}

#[tokio::test(start_paused = true)]
async fn response_with_a_live_gateway_is_not_ended() {
    let mut store = store(&[5]);
    store.expect_end_abandoned().never();
    assert_eq!(retrieve(store).await["status"], "in_progress");
}

#[tokio::test(start_paused = true)]
async fn lease_renewed_after_an_outage_keeps_the_response() {
    let mut store = store(&[0, 20]);
    store.expect_end_abandoned().never();
    assert_eq!(retrieve(store).await["status"], "in_progress");
}

#[tokio::test(start_paused = true)]
async fn response_of_a_crashed_gateway_is_ended_as_failed() {
    let mut store = store(&[0, 0]);
    let lease = Some(Duration::ZERO);
    let none = ResponseEvents { events: Vec::new(), in_progress: true, lease };
    store.expect_events().times(1).return_once(|_, _, _| Ok(Some(none)));
    let ended = store.expect_end_abandoned().times(1);
    ended.withf(|_, response, _| !response.in_progress).returning(|_, _, _| Ok(true));
    let response = retrieve(store).await;
    assert_eq!(response["status"], "failed", "{response}");
    assert_eq!(response["error"]["code"], "gateway_crashed", "{response}");
}
