//! The way to Redis: bounded in time and in what may wait, with a breaker in front.

use super::{errors, script::RedisScript};
use crate::{
    breaker::{BreakerTransition, ConnectionBreaker},
    limits::StoreLimits,
    settings::RedisSettings,
};
#[cfg(feature = "tls")]
use fred::types::config::TlsConnector;
use fred::{
    clients::Client,
    error::Error,
    interfaces::{
        ClientLike as _, EventInterface as _, HashesInterface as _, KeysInterface as _,
        LuaInterface as _,
    },
    types::{
        Builder, Value,
        config::{
            Config, ConnectionConfig, Options, PerformanceConfig, ReconnectError, ReconnectPolicy,
            TcpConfig, UnresponsiveConfig,
        },
    },
};
use gateway_core::state::StoreError;
use secrecy::ExposeSecret as _;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::broadcast::error::RecvError, time};

/// Maximum number of queued commands.
const QUEUE: usize = 4_096;

/// Probe interval of an unreachable Redis.
const PROBE: Duration = Duration::from_millis(200);

/// A connection, and what is known of it.
pub(super) struct RedisConnection {
    client: Client,
    breaker: ConnectionBreaker,
    /// The last attempt to connect failed because of our credential.
    refused: AtomicBool,
    options: Options,
    pub(super) prefix: String,
    pub(super) limits: StoreLimits,
}

impl RedisConnection {
    /// Begins to connect. Redis may be away: calls fail until it is there.
    pub(super) fn open(
        settings: &RedisSettings,
        limits: StoreLimits,
    ) -> Result<Arc<Self>, StoreError> {
        let config = config(settings)?;
        let client = Builder::from_config(config)
            .with_performance_config(|it| *it = performance(settings.timeout))
            .with_connection_config(|it| *it = connection())
            .set_policy(reconnect())
            .build()
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let options = Options {
            max_attempts: Some(1),
            fail_fast: true,
            timeout: Some(settings.timeout),
            ..Options::default()
        };
        let (prefix, breaker) = (settings.prefix.clone(), ConnectionBreaker::default());
        let refused = AtomicBool::new(false);
        Ok(Arc::new(Self { client, breaker, refused, options, prefix, limits }))
    }

    /// Keeps the connection, and asks whether an unavailable Redis is back.
    pub(super) async fn run(self: Arc<Self>) {
        let (mut errors, mut connected) = (self.client.error_rx(), self.client.reconnect_rx());
        let connecting = self.client.connect();
        let mut probe = time::interval(PROBE);
        probe.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                error = errors.recv() => match error {
                    Ok((error, _)) => self.disconnected(&error),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                },
                Ok(_) = connected.recv() => self.refused.store(false, Ordering::Relaxed),
                _ = probe.tick() => if self.breaker.is_open() {
                    let pong = self.client.with_options(&self.options).ping::<()>(None).await;
                    drop(self.track_result(pong));
                },
            }
        }
        connecting.abort();
    }

    /// Closes the connection to Redis.
    pub(super) async fn close(&self) {
        drop(self.client.quit().await);
    }

    /// Waits a moment for the first connection, so that a start is not marked by failures.
    pub(super) async fn attach(&self, patience: Duration) {
        drop(time::timeout(patience, self.client.wait_for_connect()).await);
    }

    /// Runs `script`, in one step.
    pub(super) async fn call(
        &self,
        script: &RedisScript,
        keys: Vec<String>,
        arguments: Vec<Value>,
    ) -> Result<Value, StoreError> {
        self.guard()?;
        let client = self.client.with_options(&self.options);
        let mut result = client.evalsha(&*script.hash, keys.clone(), arguments.clone()).await;
        if let Err(error) = &result
            && errors::is_unknown_script(error)
        {
            result = client.eval(script.text, keys, arguments).await;
        }
        self.track_result(result)
    }

    /// The value of a plain key.
    pub(super) async fn get(&self, key: String) -> Result<Value, StoreError> {
        self.guard()?;
        let result = self.client.with_options(&self.options).get(key).await;
        self.track_result(result)
    }

    /// Sets a plain key, for `ttl` milliseconds.
    pub(super) async fn set(&self, key: String, value: Value, ttl: i64) -> Result<(), StoreError> {
        self.guard()?;
        let ttl = Some(fred::types::Expiration::PX(ttl));
        let client = self.client.with_options(&self.options);
        let result = client.set::<(), _, _>(key, value, ttl, None, false).await;
        self.track_result(result)
    }

    /// Removes a plain key.
    pub(super) async fn delete(&self, key: String) -> Result<(), StoreError> {
        self.guard()?;
        let result = self.client.with_options(&self.options).del::<(), _>(key).await;
        self.track_result(result)
    }

    /// All fields of a hash.
    pub(super) async fn pairs(&self, key: String) -> Result<Vec<(String, Value)>, StoreError> {
        self.guard()?;
        let result: Result<HashMap<String, Value>, _> =
            self.client.with_options(&self.options).hgetall(key).await;
        Ok(self.track_result(result)?.into_iter().collect())
    }

    /// Sends a raw command.
    pub(super) async fn command(
        &self,
        name: &'static str,
        arguments: &[&str],
    ) -> Result<Value, StoreError> {
        self.guard()?;
        let command = fred::types::CustomCommand::new_static(name, None, false);
        let arguments: Vec<Value> = arguments.iter().map(|it| Value::from(*it)).collect();
        let result = self.client.with_options(&self.options).custom(command, arguments).await;
        self.track_result(result)
    }

    /// Spares the caller the wait if there is nothing to wait for.
    fn guard(&self) -> Result<(), StoreError> {
        if !self.breaker.is_open() {
            return Ok(());
        }
        Err(self.unavailable("Redis has not answered lately".into()))
    }

    fn track_result<T>(&self, result: Result<T, Error>) -> Result<T, StoreError> {
        let result = result.map_err(|error| {
            let error = errors::explain(error);
            if let StoreError::Unavailable(error) = error { self.unavailable(error) } else { error }
        });
        let outage = result.as_ref().err().filter(|error| error.is_outage());
        let change = match outage {
            Some(_) => self.breaker.failed(),
            None => self.breaker.succeeded(),
        };
        match (change, outage) {
            (BreakerTransition::Opened, Some(error)) => {
                tracing::error!(%error, "Redis is unavailable");
            }
            (BreakerTransition::Closed, _) => tracing::info!("Redis is available again"),
            (BreakerTransition::Opened | BreakerTransition::None, _) => {}
        }
        result
    }

    /// While connecting fails for our credential, the client shows a bare timeout.
    fn unavailable(&self, error: gateway_core::BoxError) -> StoreError {
        if self.refused.load(Ordering::Relaxed) {
            return StoreError::Refused(error);
        }
        StoreError::Unavailable(error)
    }

    fn disconnected(&self, error: &Error) {
        let refused = matches!(errors::explain(error.clone()), StoreError::Refused(_));
        self.refused.store(refused, Ordering::Relaxed);
        tracing::debug!(kind = error.kind().to_str(), "the connection to Redis broke");
    }
}

impl RedisSettings {
    /// Checks the URL and the CA file, without connecting.
    ///
    /// # Errors
    ///
    /// If the URL is malformed, or the CA file cannot be read.
    pub fn validate(&self) -> Result<(), StoreError> {
        config(self).map(drop)
    }
}

fn config(settings: &RedisSettings) -> Result<Config, StoreError> {
    let url = settings.url.expose_secret();
    let (url, secure) = match url.strip_prefix("rediss") {
        Some(rest) => (format!("redis{rest}"), true),
        None => (url.to_owned(), false),
    };
    let mut config = Config::from_url(&url).map_err(|error| {
        // The text of the error may hold the URL, and that the password.
        tracing::debug!(kind = error.kind().to_str(), "malformed Redis URL");
        StoreError::Invalid("malformed Redis URL")
    })?;
    config.fail_fast = false;
    if secure {
        protect(&mut config, settings)?;
    }
    Ok(config)
}

#[cfg(feature = "tls")]
fn protect(config: &mut Config, settings: &RedisSettings) -> Result<(), StoreError> {
    let connector = TlsConnector::from(crate::tls::client_config(settings.ca.as_deref())?);
    config.tls = Some(connector.into());
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn protect(_: &mut Config, _: &RedisSettings) -> Result<(), StoreError> {
    Err(StoreError::Invalid("this program is built without TLS for Redis"))
}

fn performance(timeout: Duration) -> PerformanceConfig {
    PerformanceConfig { default_command_timeout: timeout, ..PerformanceConfig::default() }
}

/// The library's defaults wait for ever, buffer without bound, and send again what may have been
/// done: a frozen Redis would hang every call, and a lost reply would double a write.
fn connection() -> ConnectionConfig {
    let unresponsive = UnresponsiveConfig {
        max_timeout: Some(Duration::from_secs(1)),
        interval: Duration::from_millis(250),
    };
    ConnectionConfig {
        connection_timeout: Duration::from_millis(500),
        internal_command_timeout: Duration::from_millis(500),
        max_command_attempts: 1,
        max_command_buffer_len: QUEUE,
        reconnect_on_auth_error: true,
        unresponsive,
        tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
        reconnect_errors: vec![
            ReconnectError::ClusterDown,
            ReconnectError::Loading,
            ReconnectError::ReadOnly,
            ReconnectError::MasterDown,
            ReconnectError::Misconf,
            ReconnectError::NoReplicas,
        ],
        ..ConnectionConfig::default()
    }
}

fn reconnect() -> ReconnectPolicy {
    let mut policy = ReconnectPolicy::new_exponential(0, 50, 1_000, 2);
    policy.set_jitter(100);
    policy
}
