//! The state store, sessions, the response cache and resilience.

use super::{network::ServiceUrl, section::section, server::ByteSize, value::choice};
use secrecy::SecretString;
use std::{path::PathBuf, time::Duration};

choice! {
    /// The backend of the store.
    StoreBackend {
        /// Memory of the process; lost at a restart.
        Memory = "memory";
        /// A file in the data directory.
        Embedded = "embedded";
        /// Redis, shared by replicas.
        Redis = "redis";
        /// Postgres, shared by replicas, with a schema that can be queried.
        Postgres = "postgres";
    }
}

choice! {
    /// The durability of the embedded store.
    StoreDurability {
        /// Writes are synced before they are acknowledged.
        Fsync = "fsync";
        /// Writes are synced every second; a crash loses up to a second.
        EverySecond = "everysec";
        /// Writes are not synced; a crash loses up to a minute.
        Off = "off";
    }
}

section! {
    /// The state store: sessions, stored responses, limits, usage, reasoning.
    pub StoreSection {
        /// Backend.
        /// Default: `postgres` if `postgres_url` is set, else `redis` if `redis_url` is set, else `embedded`.
        backend: Option<StoreBackend> = None, prefixed ["STORE"];
        /// Redis URL: `redis://user:password@host:6379`, `redis-cluster://host:6379?node=other:6379`, `redis-sentinel://host:26379?sentinelServiceName=name`; with TLS, `rediss` instead of `redis`.
        redis_url: Option<SecretString> = None, bare ["REDIS_URL"];
        /// CA file for Redis TLS.
        /// Default: Mozilla roots.
        redis_ca_file: Option<PathBuf> = None;
        /// Prefix of all Redis keys; replicas with the same prefix share their state.
        redis_prefix: String = "gw:".to_owned();
        /// Timeout of a Redis call.
        redis_timeout: Duration = Duration::from_millis(250), within Duration::from_millis(20)..=Duration::from_secs(10);
        /// Postgres URL: `postgres://user:password@host:5432/database`; with `?sslmode=require`, only over TLS. With `redis_url` set as well, limits and the response cache are in Redis.
        postgres_url: Option<SecretString> = None, bare ["DATABASE_URL"];
        /// CA file for Postgres TLS.
        /// Default: Mozilla roots.
        postgres_ca_file: Option<PathBuf> = None;
        /// Schema of all tables; replicas with the same schema share their state. It is created if it is missing.
        postgres_schema: String = "llm_gateway".to_owned();
        /// Timeout of a Postgres statement.
        postgres_timeout: Duration = Duration::from_secs(2), within Duration::from_millis(100)..=Duration::from_secs(30);
        /// Maximum number of Postgres connections of a replica.
        postgres_connections: usize = 10, within 2..=1_000;
        /// Durability of the embedded store.
        durability: StoreDurability = StoreDurability::Fsync, prefixed ["STORE_DURABILITY"];
        /// Lifetime of stored reasoning, for callers whose dialect cannot carry it.
        reasoning_ttl: Duration = Duration::from_hours(1), within Duration::from_mins(1)..=Duration::from_hours(720);
        /// Lifetime of replies to requests with an `Idempotency-Key`.
        idempotency_ttl: Duration = Duration::from_hours(24), within Duration::from_mins(1)..=Duration::from_hours(168);
        /// Bytes of sessions, stored responses and idempotency records that one tenant may keep; above, 507.
        tenant_bytes: ByteSize = ByteSize(256 << 20), within ByteSize(1 << 20)..=ByteSize(1 << 40);
        /// Sessions that one tenant may keep.
        tenant_sessions: u64 = 100_000, within 1..=100_000_000;
        /// Stored responses and conversations that one tenant may keep.
        tenant_responses: u64 = 100_000, within 1..=100_000_000;
        /// Idempotency records that one tenant may keep.
        tenant_idempotency_records: u64 = 100_000, within 1..=100_000_000;
        /// Lifetime of stored responses.
        response_ttl: Duration = Duration::from_hours(720), within Duration::from_mins(1)..=Duration::from_hours(8760);
        /// Lifetime of a thread of the Messages API after its last turn. `0s`: threads are refused, upon which clients send whole conversations.
        thread_ttl: Duration = Duration::from_hours(1), within Duration::ZERO..=Duration::from_hours(8760);
    }
}

section! {
    /// Lifetime of sessions.
    pub SessionsSection {
        /// Default lifetime of a session.
        ttl: Duration = Duration::from_hours(1), within Duration::from_mins(1)..=Duration::from_hours(720), prefixed ["SESSION_TTL_SECONDS"];
        /// Maximum lifetime that an application may request.
        max_ttl: Duration = Duration::from_hours(720), within Duration::from_mins(1)..=Duration::from_hours(8760);
        /// Whether each turn extends the session's lifetime.
        sliding: bool = false;
    }
}

section! {
    /// The platform's context-management service, which fits conversations into context windows.
    pub CmsSection {
        /// URL of the service. Default: not used.
        url: Option<ServiceUrl> = None, bare ["CMS_URL"];
        /// Whether the service is used.
        enabled: bool = true, bare ["CMS_ENABLED"];
        /// Timeout of a call.
        timeout: Duration = Duration::from_secs(5), within Duration::from_millis(500)..=Duration::from_secs(30), bare ["CMS_TIMEOUT_SECONDS"];
    }
}

section! {
    /// The response cache: see [routing](routing.md).
    pub CacheSection {
        /// Whether responses are cached: those to requests with temperature 0 or with `x-gateway-cache: true`.
        enabled: bool = false, prefixed ["CACHE_ENABLED"];
        /// Lifetime of cached responses.
        ttl: Duration = Duration::from_mins(5), within Duration::from_secs(1)..=Duration::from_hours(720), prefixed ["CACHE_TTL_SECONDS"];
    }
}

section! {
    /// Retries and circuit breakers.
    pub ResilienceSection {
        /// Maximum number of attempts, including the first; `1` disables retries.
        /// Only transient failures before the first output are retried.
        retry_max_attempts: usize = 3, within 1..=10, prefixed ["RETRY_MAX_ATTEMPTS"];
        /// Whether requests that were sent but not answered are retried, although they may have been executed and billed. Embeddings always are.
        retry_ambiguous: bool = false;
        /// Whether a parameter that a provider refuses for a model, and that only tunes the answer, is left out of one retry and of the requests of a day; it is named in `x-gateway-dropped`. Strict requests are never changed.
        learn_refusals: bool = true;
        /// Whether slow embedding requests are hedged: at most one of twenty.
        hedge_embeddings: bool = false;
        /// Whether circuit breakers are enabled.
        circuit_breaker_enabled: bool = true, prefixed ["CIRCUIT_BREAKER_ENABLED"];
        /// Consecutive failures that open a circuit breaker.
        circuit_breaker_failure_threshold: usize = 5, within 1..=100, prefixed ["CIRCUIT_BREAKER_FAILURE_THRESHOLD"];
        /// Time a breaker stays open at first; each further failure doubles it.
        circuit_breaker_recovery_timeout: Duration = Duration::from_secs(5), within Duration::from_secs(1)..=Duration::from_mins(10), prefixed ["CIRCUIT_BREAKER_RECOVERY_TIMEOUT_SECONDS"];
        /// Maximum time a breaker stays open (+-20 %), unless the first is longer.
        circuit_breaker_longest_pause: Duration = Duration::from_secs(8), within Duration::from_secs(1)..=Duration::from_mins(10);
    }
}

impl CmsSection {
    /// Returns the URL of the service, if it is used.
    pub fn address(&self) -> Option<&ServiceUrl> {
        self.url.as_ref().filter(|_| self.enabled)
    }
}

impl StoreSection {
    /// Returns the effective backend.
    pub fn backend(&self) -> StoreBackend {
        let usual = match (&self.postgres_url, &self.redis_url) {
            (Some(_), _) => StoreBackend::Postgres,
            (None, Some(_)) => StoreBackend::Redis,
            (None, None) => StoreBackend::Embedded,
        };
        self.backend.unwrap_or(usual)
    }

    /// Returns whether replicas share the store.
    pub fn is_shared(&self) -> bool {
        match self.backend() {
            StoreBackend::Memory | StoreBackend::Embedded => false,
            StoreBackend::Redis | StoreBackend::Postgres => true,
        }
    }
}
