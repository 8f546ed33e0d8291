//! The contract of the log of requests.

use crate::backend::BackendFactory;
use gateway_core::state::{
    LoggedRequest, RequestLogBatch, RequestLogCursor, RequestLogEntry, RequestLogQuery,
    RequestLogRows, RequestLogStore,
};
use gateway_store::{RequestLogLimits, StoreLimits};
use std::time::Duration;
use tokio::time;

fn now() -> u64 {
    u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

fn limits(requests: u64, ttl: Duration) -> StoreLimits {
    StoreLimits { request_log: RequestLogLimits { requests, ttl }, ..StoreLimits::default() }
}

fn request(id: &str, tenant: &str, at: u64) -> LoggedRequest {
    LoggedRequest {
        id: id.to_owned(),
        tenant: Some(tenant.to_owned()),
        outcome: "ok".to_owned(),
        at,
        ..LoggedRequest::default()
    }
}

fn batch(at: u64, writer: u32, requests: &[(&str, &str)]) -> RequestLogBatch {
    let mut rows = RequestLogRows::default();
    for (id, tenant) in requests {
        let entry = RequestLogEntry { id, at, outcome: "ok", ..RequestLogEntry::default() };
        rows.push(&RequestLogEntry { tenant: Some(tenant), ..entry });
    }
    RequestLogBatch { at, writer, rows }
}

fn all(limit: usize) -> RequestLogQuery {
    RequestLogQuery { limit, ..RequestLogQuery::default() }
}

/// The ids on all pages of `query`, newest first.
async fn ids(log: &dyn RequestLogStore, mut query: RequestLogQuery) -> String {
    let mut ids = Vec::new();
    loop {
        let page = log.search(&query).await.unwrap();
        assert!(page.requests.len() <= query.limit);
        ids.extend(page.requests.into_iter().map(|(_, request)| request.id));
        query.before = page.next;
        if query.before.is_none() {
            return ids.join(" ");
        }
    }
}

pub(crate) async fn logged_requests_are_found_newest_first(on: BackendFactory) {
    let bench = on(limits(1_000, Duration::from_mins(1)));
    let stores = bench.open().await;
    let log = &*stores.request_log;
    assert_eq!(ids(log, all(5)).await, "");
    let at = now();
    log.append(&batch(at, 2, &[("a", "x"), ("b", "y")])).await.unwrap();
    log.append(&batch(at, 1, &[("c", "x")])).await.unwrap();
    log.append(&batch(at + 1, 1, &[("d", "x"), ("e", "x"), ("f", "y")])).await.unwrap();
    // A batch that was appended before changes nothing.
    log.append(&batch(at, 1, &[("c", "x")])).await.unwrap();
    for limit in [1, 2, 3, 50] {
        assert_eq!(ids(log, all(limit)).await, "f e d b a c", "{limit}");
        let of_tenant = RequestLogQuery { tenant: Some("x".to_owned()), ..all(limit) };
        assert_eq!(ids(log, of_tenant.clone()).await, "e d a c", "{limit}");
        let of_id = RequestLogQuery { id: Some("b".to_owned()), ..of_tenant.clone() };
        assert_eq!(ids(log, of_id).await, "", "an id of another tenant");
        let late = RequestLogQuery { from: Some(at + 1), ..of_tenant.clone() };
        assert_eq!(ids(log, late).await, "e d");
        let early = RequestLogQuery { to: Some(at), ..of_tenant };
        assert_eq!(ids(log, early).await, "a c");
    }
    let page = log.search(&all(2)).await.unwrap();
    let (cursor, found) = page.requests.last().unwrap();
    assert_eq!((page.next, found), (Some(*cursor), &request("e", "x", at + 1)));
    let beyond = RequestLogCursor { at: at - 1, ..RequestLogCursor::default() };
    assert_eq!(ids(log, RequestLogQuery { before: Some(beyond), ..all(5) }).await, "");
}

pub(crate) async fn request_log_keeps_the_newest(on: BackendFactory) {
    let bench = on(limits(4, Duration::from_mins(1)));
    let stores = bench.open().await;
    let at = now();
    for n in 0..5 {
        let ids = [format!("{n}a"), format!("{n}b")];
        let requests = [(&*ids[0], "x"), (&*ids[1], "x")];
        stores.request_log.append(&batch(at + n, 1, &requests)).await.unwrap();
    }
    assert_eq!(ids(&*stores.request_log, all(50)).await, "4b 4a 3b 3a");
}

pub(crate) async fn logged_request_ends_its_lifetime(on: BackendFactory) {
    let bench = on(limits(1_000, Duration::from_millis(600)));
    let stores = bench.open().await;
    let log = &*stores.request_log;
    log.append(&batch(now(), 1, &[("old", "x")])).await.unwrap();
    assert_eq!(ids(log, all(5)).await, "old");
    time::sleep(Duration::from_millis(800)).await;
    assert_eq!(ids(log, all(5)).await, "");
    log.append(&batch(now(), 1, &[("new", "x")])).await.unwrap();
    assert_eq!(ids(log, all(5)).await, "new");
}
