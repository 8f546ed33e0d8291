//! Bodies of operators' requests.

use gateway_core::{ErrorKind, GatewayError, Result, time::millis};
use gateway_limits::KeyGrant;
use gateway_tasks::unix_time;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// A key that is to be made.
#[derive(Debug, Default, Deserialize)]
pub(super) struct KeyRequest {
    /// Time until it ends, in seconds.
    #[serde(default)]
    pub(super) expires_in_seconds: Option<u64>,
    #[serde(flatten)]
    pub(super) grant: KeyGrant,
}

/// A key that is to be replaced.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rotation {
    /// Time for which the key before it is still valid, in seconds.
    pub(super) overlap_seconds: u64,
    /// Time until the new one ends, in seconds. It never ends later than the one before it.
    pub(super) expires_in_seconds: Option<u64>,
}

/// The longest life and the longest overlap: ten years.
const MAX_SECONDS: u64 = 315_360_000;

const LIMITS: [&str; 8] = [
    "requests_per_minute",
    "burst",
    "tokens_per_minute",
    "max_concurrent",
    "daily_budget_usd",
    "weekly_budget_usd",
    "monthly_budget_usd",
    "total_budget_usd",
];

/// Members of a key besides its limits.
const OTHERS: [&str; 8] =
    ["client", "tenant", "models", "tools", "priority", "model_limits", "tags", EXPIRY];

/// Members that are part of the client's identity: another client needs another key.
const FIXED: [&str; 2] = ["client", "tenant"];

const EXPIRY: &str = "expires_in_seconds";

/// Reads a key that is to be made.
///
/// # Errors
///
/// If a member is unknown: a limit that is misspelt would be none.
pub(super) fn read_key(body: &[u8]) -> Result<KeyRequest> {
    check_names(&read(body)?)?;
    let request: KeyRequest = read(body)?;
    request.grant.check()?;
    Ok(request)
}

/// The change of a key: its new grant, its new end, and the names of the members that change.
pub(super) struct KeyChange {
    pub(super) grant: KeyGrant,
    pub(super) expires: Option<u64>,
    pub(super) members: String,
}

/// Reads the change of a key with `grant` that ends at `expires`: members replace those of the same name, and `null`
/// removes them.
///
/// # Errors
///
/// If a member is unknown, or is one that cannot change.
pub(super) fn read_change(
    body: &[u8],
    grant: &KeyGrant,
    expires: Option<u64>,
) -> Result<KeyChange> {
    let mut members: Map<String, Value> = read(body)?;
    check_names(&members)?;
    if let Some(name) = FIXED.into_iter().find(|name| members.contains_key(*name)) {
        let message = format!("the {name} of a key cannot change: make another key");
        return Err(GatewayError::new(ErrorKind::Unprocessable, message).with_param(name));
    }
    let names = members.keys().map(String::as_str).collect::<Vec<_>>().join(",");
    let expires = match members.remove(EXPIRY) {
        None => expires,
        Some(Value::Null) => None,
        Some(seconds) => {
            let seconds: u64 = serde_json::from_value(seconds).map_err(malformed)?;
            expiry(Some(seconds))?
        }
    };
    let mut merged = match serde_json::to_value(grant) {
        Ok(Value::Object(merged)) => merged,
        Ok(_) | Err(_) => Map::new(),
    };
    for (name, value) in members {
        if value.is_null() {
            merged.remove(&name);
        } else {
            merged.insert(name, value);
        }
    }
    let grant: KeyGrant = serde_json::from_value(Value::Object(merged)).map_err(malformed)?;
    grant.check()?;
    Ok(KeyChange { grant, expires, members: names })
}

/// Reads how a key is to be replaced.
pub(super) fn read_rotation(body: &[u8]) -> Result<Rotation> {
    if body.is_empty() { Ok(Rotation::default()) } else { read(body) }
}

/// The end of something that lasts so many seconds from now, in milliseconds since 1970.
///
/// # Errors
///
/// If that is too long.
pub(super) fn expiry(seconds: Option<u64>) -> Result<Option<u64>> {
    match seconds {
        Some(seconds) if seconds > MAX_SECONDS => {
            let message = "expires_in_seconds is too large: at most 315360000";
            Err(GatewayError::new(ErrorKind::Unprocessable, message).with_param(EXPIRY))
        }
        Some(seconds) => Ok(Some(millis(unix_time() + Duration::from_secs(seconds)))),
        None => Ok(None),
    }
}

/// Reads a body of JSON.
pub(super) fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(malformed)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of `map_err`")]
fn malformed(error: serde_json::Error) -> GatewayError {
    let message = format!("invalid request body: {error}");
    GatewayError::new(ErrorKind::Unprocessable, message)
}

fn check_names(members: &Map<String, Value>) -> Result<()> {
    let of_models = members.get("model_limits").and_then(Value::as_array).into_iter().flatten();
    let mut inner = of_models.filter_map(Value::as_object).flat_map(|it| it.keys());
    let is_known =
        |name: &&String| LIMITS.contains(&name.as_str()) || OTHERS.contains(&name.as_str());
    let unknown = members.keys().find(|name| !is_known(name));
    let unknown =
        unknown.or_else(|| inner.find(|name| *name != "model" && !LIMITS.contains(&name.as_str())));
    match unknown {
        Some(name) => {
            let message = format!("unknown field: {}", name.escape_debug());
            Err(GatewayError::new(ErrorKind::Unprocessable, message))
        }
        None => Ok(()),
    }
}
