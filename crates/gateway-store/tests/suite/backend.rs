//! Backends for tests, each fresh.

use crate::{postgres_server::PostgresServer, redis_server::Server};
use gateway_core::state::{Key, NewSession, SessionTurn, Tenant};
use gateway_core::{Message, Role};
use gateway_store::{
    EmbeddedSettings, PostgresSettings, RedisSettings, StoreBackend, StoreLimits, StoreSettings,
    Stores,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The backend that a test runs on.
pub(crate) type BackendFactory = Arc<dyn Fn(StoreLimits) -> Bench + Send + Sync>;

/// A backend that is not open yet, and what it stands on.
pub(crate) struct Bench {
    settings: StoreSettings,
    _ground: BackendResources,
}

/// Held so that dropping it cleans up.
enum BackendResources {
    Nothing,
    Directory(#[expect(dead_code, reason = "held")] Directory),
    Server(#[expect(dead_code, reason = "held")] Server),
    Postgres(#[expect(dead_code, reason = "held")] PostgresServer),
}

/// A directory that is removed in the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Creates an empty file backend.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gateway-store-{}-{n}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub(crate) fn memory(limits: StoreLimits) -> Bench {
    let settings = StoreSettings { backend: StoreBackend::Memory, limits };
    Bench { settings, _ground: BackendResources::Nothing }
}

pub(crate) fn embedded(limits: StoreLimits) -> Bench {
    let directory = Directory::new();
    let backend =
        StoreBackend::Embedded(EmbeddedSettings::new(directory.path().join("state.redb")));
    Bench {
        settings: StoreSettings { backend, limits },
        _ground: BackendResources::Directory(directory),
    }
}

pub(crate) fn redis(limits: StoreLimits) -> Bench {
    let server = Server::start();
    let backend = StoreBackend::Redis(RedisSettings::new(server.url()));
    Bench { settings: StoreSettings { backend, limits }, _ground: BackendResources::Server(server) }
}

pub(crate) fn postgres(limits: StoreLimits) -> Bench {
    let server = PostgresServer::start();
    let backend = StoreBackend::Postgres(PostgresSettings::new(server.url()), None);
    let settings = StoreSettings { backend, limits };
    Bench { settings, _ground: BackendResources::Postgres(server) }
}

impl Bench {
    /// A backend that stands on something else.
    pub(crate) fn at(settings: StoreSettings) -> Self {
        Self { settings, _ground: BackendResources::Nothing }
    }

    /// Opens the backend, again after a close.
    pub(crate) async fn open(&self) -> Stores {
        gateway_store::open(self.settings.clone()).await.unwrap()
    }
}

/// A key of the tenant most tests use.
pub(crate) fn key(id: &str) -> Key {
    Tenant::new("acme").unwrap().key(id)
}

/// A key of another tenant.
pub(crate) fn foreign(id: &str) -> Key {
    Tenant::new("acm").unwrap().key(id)
}

/// A session that lives for a minute.
pub(crate) fn minute() -> NewSession {
    NewSession { ttl: Duration::from_mins(1), context: BTreeMap::new() }
}

/// A turn that says `text`.
pub(crate) fn turn(id: &str, text: &str) -> SessionTurn {
    let messages = vec![Message::text(Role::User, text)];
    SessionTurn { id: id.to_owned(), messages, ..SessionTurn::default() }
}
