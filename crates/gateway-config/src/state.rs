//! Where state is kept, and how failures are met.

use super::{network::Url, section::section, value::choice};
use secrecy::SecretString;
use std::{path::PathBuf, time::Duration};

choice! {
    /// Where state is kept.
    Backend {
        /// In the process: gone when it stops.
        Memory = "memory";
        /// In a file under the data directory.
        Embedded = "embedded";
        /// In Redis, which several gateways can share.
        Redis = "redis";
    }
}

choice! {
    /// When a write to the file is acknowledged.
    Durability {
        /// When it is safe from a power cut.
        Fsync = "fsync";
        /// At once; a crash loses up to a second.
        EverySecond = "everysec";
        /// At once; a crash loses up to a minute.
        Off = "off";
    }
}

section! {
    /// Where the gateway keeps what outlives a request: sessions, stored responses, thinking that a caller cannot carry.
    pub Store {
        /// Where.
        /// If it is not said: `redis` if there is a `redis_url`, else `embedded`.
        backend: Option<Backend> = None, prefixed ["STORE"];
        /// The address of Redis: `redis://user:password@host:6379`, `redis-cluster://host:6379?node=other:6379`, `redis-sentinel://host:26379?sentinelServiceName=name`; with TLS, `rediss` instead of `redis`.
        redis_url: Option<SecretString> = None, bare ["REDIS_URL"];
        /// A file with the certificates of those who may vouch for a Redis that speaks TLS.
        /// If it is not said: those who vouch for servers of the web.
        redis_ca_file: Option<PathBuf> = None;
        /// What every key in Redis begins with: gateways with the same share their state.
        redis_prefix: String = "gw:".to_owned();
        /// How long a call of Redis may take.
        redis_timeout: Duration = Duration::from_millis(250), within Duration::from_millis(20)..=Duration::from_secs(10);
        /// When a write to the file is acknowledged.
        durability: Durability = Durability::Fsync, prefixed ["STORE_DURABILITY"];
        /// How long thinking is remembered for tool calls whose caller cannot carry it.
        reasoning_ttl: Duration = Duration::from_hours(1), within Duration::from_mins(1)..=Duration::from_hours(720);
        /// How long the reply to a request with an `Idempotency-Key` is kept, to be told again.
        idempotency_ttl: Duration = Duration::from_hours(24), within Duration::from_mins(1)..=Duration::from_hours(168);
        /// How long responses are kept.
        response_ttl: Duration = Duration::from_hours(720), within Duration::from_mins(1)..=Duration::from_hours(8760);
    }
}

section! {
    /// Conversations that the gateway keeps.
    pub Sessions {
        /// How long a session lives, if the application does not say.
        ttl: Duration = Duration::from_hours(1), within Duration::from_mins(1)..=Duration::from_hours(720), prefixed ["SESSION_TTL_SECONDS"];
        /// The longest life that an application may ask for.
        max_ttl: Duration = Duration::from_hours(720), within Duration::from_mins(1)..=Duration::from_hours(8760);
        /// Whether each turn lets a session live for its time anew; else it ends when it was said to.
        sliding: bool = false;
    }
}

section! {
    /// The platform's context-management service, which fits conversations into the windows of models.
    pub Cms {
        /// Where it is; it is not used if this is not said.
        url: Option<Url> = None, bare ["CMS_URL"];
        /// Whether it is used; if not, it is never asked and nothing waits for it.
        enabled: bool = true, bare ["CMS_ENABLED"];
        /// How long each of its answers may take.
        timeout: Duration = Duration::from_secs(5), within Duration::from_millis(500)..=Duration::from_secs(30), bare ["CMS_TIMEOUT_SECONDS"];
    }
}

section! {
    /// Answers that need not be asked for twice: see [routing](routing.md).
    pub Cache {
        /// Whether answers are remembered: those to requests with a temperature of 0, or with `x-gateway-cache: true`.
        enabled: bool = false, prefixed ["CACHE_ENABLED"];
        /// For how long.
        ttl: Duration = Duration::from_mins(5), within Duration::from_secs(1)..=Duration::from_hours(720), prefixed ["CACHE_TTL_SECONDS"];
    }
}

section! {
    /// How failures of providers are met.
    pub Resilience {
        /// How many attempts a request gets, the first included; `1` switches retries off.
        /// Only what may pass is tried again, and only before the first output.
        retry_max_attempts: usize = 3, within 1..=10, prefixed ["RETRY_MAX_ATTEMPTS"];
        /// Whether a request that was sent and not answered is tried again too, although it may have been done, and paid for; one for vectors always is.
        retry_ambiguous: bool = false;
        /// Whether vectors that are late are asked for a second time: at most one of twenty requests.
        hedge_embeddings: bool = false;
        /// Whether a model that keeps failing is given a pause.
        circuit_breaker_enabled: bool = true, prefixed ["CIRCUIT_BREAKER_ENABLED"];
        /// After so many failures in a row.
        circuit_breaker_failure_threshold: usize = 5, within 1..=100, prefixed ["CIRCUIT_BREAKER_FAILURE_THRESHOLD"];
        /// For how long the first time; each failure after it doubles the pause.
        circuit_breaker_recovery_timeout: Duration = Duration::from_secs(5), within Duration::from_secs(1)..=Duration::from_mins(10), prefixed ["CIRCUIT_BREAKER_RECOVERY_TIMEOUT_SECONDS"];
        /// How long a pause is at most, unless the first is longer: who is well again is asked by then, give or take a fifth.
        circuit_breaker_longest_pause: Duration = Duration::from_secs(8), within Duration::from_secs(1)..=Duration::from_mins(10);
    }
}

impl Cms {
    /// Where the service is, if it is used.
    pub fn address(&self) -> Option<&Url> {
        self.url.as_ref().filter(|_| self.enabled)
    }
}

impl Store {
    /// Where state is kept.
    pub fn backend(&self) -> Backend {
        let usual = if self.redis_url.is_some() { Backend::Redis } else { Backend::Embedded };
        self.backend.unwrap_or(usual)
    }
}
