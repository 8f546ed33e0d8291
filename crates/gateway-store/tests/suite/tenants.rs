//! Whatever tenants call themselves and their things, none sees what is another's.

use crate::backend::BackendFactory;
use bytes::Bytes;
use gateway_core::{
    Message, Role,
    state::{Key, MessageRange, NewSession, SessionTurn, StoredResponse, Tenant},
};
use gateway_store::{StoreLimits, Stores};
use std::{collections::BTreeMap, time::Duration};

/// The number of tries; a hundred times as many in memory, where they cost nothing.
const TRIES: u64 = 1_000;

const MINUTE: Duration = Duration::from_mins(1);

/// Names that would be one another's, were they put together without care.
const NAMES: [&str; 8] = ["a", "a/b", "a:b", "a}b", "{a", "b", "b\0", "a\0b"];

/// Numbers that look like chance, and are the same in each run.
struct RandomNumbers(u64);

impl RandomNumbers {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

fn mark(tenant: &str) -> String {
    format!("canary of {tenant:?}")
}

pub(crate) async fn records_of_other_tenants_are_invisible(on: BackendFactory) {
    let bench = on(StoreLimits::default());
    let stores = bench.open().await;
    let in_memory = stores.health().await.backend == "memory";
    let mut dice = RandomNumbers(7);
    let mut seen = 0;
    for _ in 0..TRIES * if in_memory { 100 } else { 1 } {
        let (tenant, id) = (NAMES[dice.throw(8)], NAMES[dice.throw(8)]);
        let key = Tenant::new(tenant).unwrap().key(id);
        let found = attempt(&stores, &key, &mark(tenant), dice.throw(8)).await;
        if let Some(found) = found {
            assert!(found.contains(&mark(tenant)), "{tenant:?} sees {found} at {id:?}");
            seen += 1;
        }
    }
    assert!(seen > TRIES / 8, "something was there to be seen: {seen}");
}

fn text_of(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a value with `mark`, or returns what is stored.
async fn attempt(stores: &Stores, key: &Key, mark: &str, what: usize) -> Option<String> {
    let text = Bytes::from(mark.to_owned());
    match what {
        0 => stores.cache.put(key, text, MINUTE).await.unwrap(),
        1 => return stores.cache.get(key).await.unwrap().as_ref().map(text_of),
        2 => {
            let response = StoredResponse::complete(text);
            stores.responses.put(key, &response, MINUTE).await.unwrap();
        }
        3 => return stores.responses.get(key).await.unwrap().map(|it| text_of(&it.body)),
        4 => {
            let new = NewSession { ttl: MINUTE, context: BTreeMap::new() };
            // It may be there already.
            drop(stores.sessions.create(key, &new).await);
            let messages = vec![Message::text(Role::User, mark)];
            let turn = SessionTurn { id: "t".into(), messages, ..SessionTurn::default() };
            stores.sessions.append(key, &turn).await.unwrap();
        }
        5 => {
            let session =
                stores.sessions.load(key, MessageRange { from: 0, limit: 1 }).await.unwrap()?;
            return Some(session.entries.first()?.message.plain_text());
        }
        6 => drop(stores.responses.delete(key).await.unwrap()),
        _ => stores.cache.delete(key).await.unwrap(),
    }
    None
}
