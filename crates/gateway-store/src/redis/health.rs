//! Health and durability of Redis.

use super::RedisStore;
use crate::stores::{DurabilityClass, HealthProbe, StoreHealth};
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl HealthProbe for RedisStore {
    async fn health(&self) -> StoreHealth {
        let info = self.link.command("INFO", &[]).await;
        match &info {
            Ok(info) => evaluate(&info.as_string().unwrap_or_default(), &self.synchronises().await),
            Err(error) => unreachable(error.code().into_owned()),
        }
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

impl RedisStore {
    /// Returns the fsync policy; empty if the command is not permitted.
    async fn synchronises(&self) -> String {
        let reply = self.link.command("CONFIG", &["GET", "appendfsync"]).await;
        let values = reply.ok().map(fred::types::Value::into_array).unwrap_or_default();
        values.last().and_then(fred::types::Value::as_string).unwrap_or_default()
    }
}

fn unreachable(why: String) -> StoreHealth {
    StoreHealth {
        reachable: false,
        backend: "redis",
        durability: DurabilityClass::Unknown,
        latency: Duration::ZERO,
        details: vec![("error", why)],
        warnings: vec!["Redis is unavailable: sessions cannot be used.".to_owned()],
    }
}

/// Evaluates the output of `INFO`.
fn evaluate(info: &str, synchronises: &str) -> StoreHealth {
    let field = |name: &str| {
        let lines = info.lines().filter_map(|line| line.trim_end().split_once(':'));
        lines.into_iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    };
    let mut warnings = Vec::new();
    let log = field("aof_enabled") == "1";
    let durability = match (log, synchronises) {
        (true, "always") => DurabilityClass::PowerSafe,
        (true, _) => DurabilityClass::CrashSafe,
        (false, _) => DurabilityClass::Volatile,
    };
    if log && synchronises == "no" {
        warnings.push(
            "Redis leaves it to the system when its log is synchronised (appendfsync no): a power \
             cut may take the last half minute."
                .to_owned(),
        );
    }
    let policy = field("maxmemory_policy");
    if !log {
        warnings.push(
            "Redis writes no log of changes (appendonly no): a crash loses every session change \
             since its last snapshot."
                .to_owned(),
        );
    }
    if !policy.is_empty() && policy != "noeviction" && field("maxmemory") != "0" {
        warnings.push(format!(
            "Redis forgets keys when memory is short (maxmemory-policy {policy}): sessions may \
             vanish before their time."
        ));
    }
    if field("role") == "slave" {
        warnings.push("Redis is a replica: it takes no writes.".to_owned());
    }
    let details = [
        ("version", field("redis_version")),
        ("role", field("role")),
        ("aof_enabled", field("aof_enabled")),
        ("appendfsync", synchronises),
        ("maxmemory_policy", policy),
        ("connected_replicas", field("connected_slaves")),
    ];
    StoreHealth {
        reachable: field("role") != "slave",
        backend: "redis",
        durability,
        latency: Duration::ZERO,
        details: details.map(|(name, value)| (name, value.to_owned())).to_vec(),
        warnings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(info: &str, synchronises: &str, durability: DurabilityClass, warnings: usize) {
        let health = evaluate(&info.replace(' ', "\r\n"), synchronises);
        assert_eq!((health.durability, health.warnings.len()), (durability, warnings), "{info}");
    }

    #[test]
    fn redis_durability_is_reported() {
        let log = "role:master aof_enabled:1 maxmemory:0 maxmemory_policy:noeviction";
        check(log, "always", DurabilityClass::PowerSafe, 0);
        check(log, "everysec", DurabilityClass::CrashSafe, 0);
        check(log, "", DurabilityClass::CrashSafe, 0);
        check(log, "no", DurabilityClass::CrashSafe, 1);
        check("role:master aof_enabled:0", "everysec", DurabilityClass::Volatile, 1);
    }

    #[test]
    fn redis_configuration_that_loses_sessions_is_warned_about() {
        let evicts = "role:slave aof_enabled:1 maxmemory:100 maxmemory_policy:allkeys-lru";
        check(evicts, "everysec", DurabilityClass::CrashSafe, 2);
    }
}
