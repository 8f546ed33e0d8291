//! The ledger and the keys of clients over mocked stores: what is repeated, kept and read.

#![expect(clippy::unwrap_used, reason = "all of this is tests, where a panic is the way to fail")]

use gateway_core::{
    NanoDollars, Usage,
    state::{
        Batch, ClientKey, KeyHash, MockClientKeys, MockLedger, MockQuotas, ReservedUsage,
        StoreError,
    },
};
use gateway_limits::{LimitAccounts, RequestLabels, RequestResult, UsageRecorder, VirtualKeys};
use mockall::Sequence;
use std::sync::{Arc, Mutex};

fn unavailable() -> StoreError {
    StoreError::Unavailable("no connection".into())
}

/// Records one finished request.
fn record(recorder: &UsageRecorder) {
    let (client, provider, model) = ("acme".into(), "openai".into(), "gpt".into());
    let labels = RequestLabels {
        client: &client,
        provider: &provider,
        model: &model,
        is_catalogued: true,
        attribution: None,
    };
    let row = recorder.open(labels, ReservedUsage::default()).unwrap();
    let usage = Usage { output: 5, ..Usage::default() };
    let cost = Some(NanoDollars(7));
    recorder.close(row, RequestResult { outcome: "ok", usage, cost, estimated: false });
}

#[tokio::test]
async fn failed_batch_is_written_again_under_its_number() {
    let (mut ledger, mut order) = (MockLedger::new(), Sequence::new());
    let failed = Arc::new(Mutex::new(Batch::default()));
    let first = Arc::clone(&failed);
    ledger.expect_record().times(1).in_sequence(&mut order).returning(move |batch| {
        batch.clone_into(&mut first.lock().unwrap());
        Err(unavailable())
    });
    let repeated = ledger.expect_record().times(1).in_sequence(&mut order);
    repeated.withf(move |batch| *batch == *failed.lock().unwrap()).returning(|_| Ok(()));
    let recorder = UsageRecorder::new(Arc::new(ledger), None);
    record(&recorder);
    recorder.flush().await;
    recorder.flush().await;
}

#[tokio::test]
async fn batch_that_is_refused_does_not_block_the_next() {
    let (mut ledger, mut order) = (MockLedger::new(), Sequence::new());
    let refused = ledger.expect_record().times(1).in_sequence(&mut order);
    refused.returning(|_| Err(StoreError::Invalid("too long")));
    ledger.expect_record().times(1).in_sequence(&mut order).returning(|_| Ok(()));
    let recorder = UsageRecorder::new(Arc::new(ledger), None);
    for _ in 0..2 {
        record(&recorder);
        recorder.flush().await;
    }
}

#[tokio::test]
async fn requests_between_flushes_are_summed_into_a_batch() {
    let mut ledger = MockLedger::new();
    let written = ledger.expect_record().times(1).withf(|batch| {
        batch.opened.is_empty()
            && batch.closed.is_empty()
            && batch.sums.iter().map(|it| (it.requests, it.cost)).eq([(3, NanoDollars(21))])
    });
    written.returning(|_| Ok(()));
    let recorder = UsageRecorder::new(Arc::new(ledger), None);
    (0..3).for_each(|_| record(&recorder));
    recorder.flush().await;
}

fn key(hash: KeyHash) -> ClientKey {
    ClientKey {
        id: "k1".to_owned(),
        hash,
        hint: "gw-".to_owned(),
        created: 0,
        expires: None,
        grant: r#"{"client":"acme"}"#.to_owned(),
    }
}

fn virtual_keys(store: MockClientKeys) -> VirtualKeys {
    VirtualKeys::new(Arc::new(store), LimitAccounts::new(Arc::new(MockQuotas::new())))
}

#[tokio::test]
async fn keys_are_read_again_only_when_their_version_changes() {
    let hash = KeyHash::new([1; 32]);
    let (mut store, mut order) = (MockClientKeys::new(), Sequence::new());
    for version in [1, 1, 2] {
        store.expect_version().times(1).in_sequence(&mut order).returning(move || Ok(version));
    }
    store.expect_all().times(2).returning(move || Ok(vec![key(hash)]));
    let keys = virtual_keys(store);
    for _ in 0..3 {
        keys.refresh().await;
        assert!(keys.find(&hash).is_some());
    }
}

#[tokio::test]
async fn keys_last_read_count_while_store_is_unavailable() {
    let hash = KeyHash::new([1; 32]);
    let (mut store, mut order) = (MockClientKeys::new(), Sequence::new());
    store.expect_version().times(1).in_sequence(&mut order).returning(|| Ok(1));
    store.expect_version().times(1).in_sequence(&mut order).returning(|| Err(unavailable()));
    store.expect_all().times(1).returning(move || Ok(vec![key(hash)]));
    let keys = virtual_keys(store);
    keys.refresh().await;
    keys.refresh().await;
    assert!(keys.find(&hash).is_some());
}

#[tokio::test]
async fn unreadable_grant_opens_nothing() {
    let hash = KeyHash::new([1; 32]);
    let mut store = MockClientKeys::new();
    store.expect_version().times(1).returning(|| Ok(1));
    store.expect_all().times(1).returning(move || {
        Ok(vec![ClientKey { grant: r#"{"client":3}"#.to_owned(), ..key(hash) }])
    });
    let keys = virtual_keys(store);
    keys.refresh().await;
    assert!(keys.find(&hash).is_none());
}
