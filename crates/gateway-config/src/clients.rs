//! The clients and their keys, of which only hashes are kept.

use super::{
    Environment,
    entries::list_entries,
    error::ConfigError,
    limits::{ClientLimits, Dollars, ModelLimits, ModelLimitsEntry, limited_section},
    printable::printable,
    raw_value::{ConfigValue, Table, ValueKind},
    section::{SectionReader, section},
    value::{SettingType, choice, secret},
};
use gateway_core::{Attribution, state::KeyHash};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Returns the hash of `key`.
pub(super) fn hash(key: &str) -> KeyHash {
    KeyHash::new(Sha256::digest(key.as_bytes()).into())
}

impl SettingType for KeyHash {
    fn expects() -> String {
        "64 hexadecimal digits".to_owned()
    }

    fn is_secret() -> bool {
        true
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        Self::parse(node.text()?)
    }

    fn show(&self) -> Option<String> {
        Some(format!("\"{self:?}...\""))
    }
}

choice! {
    /// The priority of requests.
    ClientPriority {
        /// A user is waiting.
        Interactive = "interactive";
        /// Can wait for interactive requests.
        Batch = "batch";
    }
}

choice! {
    /// A habit of consumers.
    ClientCompat {
        /// Takes the first item of a response for its message, like `x-gateway-compat: first-message`.
        FirstMessage = "first-message";
    }
}

limited_section! {
    /// A client: a caller identity with a key and limits.
    /// Entries with the same name are one client with several keys.
    pub(super) ClientEntry {
        /// Name of the client, used in logs and metrics.
        name: Option<String> = None;
        /// API key; only its hash is kept.
        key: Option<SecretString> = None;
        /// SHA-256 hash of the API key, instead of `key`.
        key_sha256: Option<KeyHash> = None;
        /// Environment variable with the API key, instead of `key`.
        key_env: Option<String> = None;
        /// Tenant whose sessions, limits and cache the client shares. Default: `name`.
        tenant: Option<String> = None;
        /// Allowed models, such as `gpt-*`; an empty list allows none. Default: all.
        models: Option<Vec<String>> = None;
        /// Allowed gateway tools, such as `search_*`; an empty list allows none. Default: all.
        tools: Option<Vec<String>> = None;
        /// Priority of the client's requests.
        priority: ClientPriority = ClientPriority::Interactive;
    } {
        /// Additional limits per model; the first entry that matches applies.
        model_limits: Vec<ModelLimits> = Vec::new();
        /// Whether requests with parameters that a translation would drop are refused (`true`) or served without them (`false`).
        /// Default: `routing.strict`.
        strict: Option<bool> = None;
        /// Gateway tools added to the client's model requests, in addition to `tool_calls.offered`.
        offered_tools: Vec<String> = Vec::new();
        /// Providers whose paths the client may send any request to, by `/v1/passthrough/{provider}/{path}`, such as `openai`. Default: none.
        passthrough: Vec<String> = Vec::new();
        /// Whether requests of the client may carry a provider's key of its own in `x-gateway-provider-key`, which replaces the gateway's credential.
        provider_keys: bool = false;
        /// Habits of the client that responses are adapted to.
        compat: Vec<ClientCompat> = Vec::new();
        /// Tags under which the usage of its requests is booked, such as `team=search`, in addition to those of each request.
        tags: Vec<String> = Vec::new();
    }
}

section! {
    /// Client keys by variable, without a file.
    pub(super) AuthSection {
        /// Client keys, each `name:key`, or only a key for the client `default`.
        api_keys: Option<ClientKeys> = None, prefixed ["API_KEYS"];
    }
}

/// A client with its resolved key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfiguredClient {
    /// The key of its entry, for error messages: `clients[0]`.
    pub path: String,
    /// The name in logs and metrics.
    pub name: String,
    /// The tenant that owns its state.
    pub tenant: String,
    /// The hash of the key.
    pub key: KeyHash,
    /// The setting of a key that can be guessed.
    pub(super) weak_key: Option<String>,
    /// The allowed models; all if `None`, none if empty.
    pub models: Option<Vec<String>>,
    /// The allowed gateway tools; all if `None`, none if empty.
    pub tools: Option<Vec<String>>,
    /// The priority of its requests.
    pub priority: ClientPriority,
    /// The limits of its requests.
    pub limits: ClientLimits,
    /// Whether dropped parameters are refused; `None` for the default.
    pub strict: Option<bool>,
    /// The gateway tools added to its requests.
    pub offered_tools: Vec<String>,
    /// The providers whose paths it may send any request to.
    pub passthrough: Vec<String>,
    /// Whether its requests may carry a provider's key of its own.
    pub provider_keys: bool,
    /// The habits that responses are adapted to.
    pub compat: Vec<ClientCompat>,
    /// The tags under which its usage is booked.
    pub tags: Vec<String>,
}

impl ConfiguredClient {
    /// Returns the settings as TOML, with the beginning of the key's hash.
    pub(super) fn show(&self) -> Vec<(&'static str, Option<String>)> {
        let limits = &self.limits;
        let of_model =
            |(model, it): &(String, ClientLimits)| ModelLimits(model.clone(), it.clone());
        let of_models: Vec<_> = limits.models.iter().map(of_model).collect();
        vec![
            ("name", self.name.show()),
            ("key_sha256", self.key.show()),
            ("tenant", self.tenant.show()),
            ("models", self.models.show()),
            ("tools", self.tools.show()),
            ("priority", self.priority.show()),
            ("requests_per_minute", limits.requests_per_minute.show()),
            ("burst", limits.burst.show()),
            ("tokens_per_minute", limits.tokens_per_minute.show()),
            ("max_concurrent", limits.concurrent.show()),
            ("daily_budget_usd", limits.daily_budget.map(Dollars).show()),
            ("weekly_budget_usd", limits.weekly_budget.map(Dollars).show()),
            ("monthly_budget_usd", limits.monthly_budget.map(Dollars).show()),
            ("total_budget_usd", limits.total_budget.map(Dollars).show()),
            ("model_limits", of_models.show()),
            ("strict", self.strict.show()),
            ("offered_tools", self.offered_tools.show()),
            ("passthrough", self.passthrough.show()),
            ("provider_keys", self.provider_keys.show()),
            ("compat", self.compat.show()),
            ("tags", self.tags.show()),
        ]
    }
}

/// The keys of clients, by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ClientKeys(Vec<(String, KeyHash, bool)>);

impl SettingType for ClientKeys {
    fn expects() -> String {
        "a list of `name:key` or `key`, in a variable separated by commas, each key of at least 128 random bits; 8 bytes are enough for development on a loopback address".to_owned()
    }

    fn is_secret() -> bool {
        true
    }

    fn read(node: &ConfigValue) -> Option<Self> {
        let entries = Vec::<SecretString>::read(node)?;
        let pair = |entry: &SecretString| {
            let entry = entry.expose_secret();
            let (name, key) = entry.split_once(':').unwrap_or(("default", entry));
            let (name, key) = (name.trim(), key.trim());
            let complete = !name.is_empty() && key.len() >= MIN_KEY_BYTES;
            complete.then(|| (name.to_owned(), hash(key), !is_strong(key)))
        };
        entries.iter().map(pair).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> Option<String> {
        Some(super::value::REDACTED.to_owned())
    }
}

/// Reads `[[clients]]` and the keys of `[auth]`.
pub(super) fn read(
    root: &Table,
    env: &Environment,
    errors: &mut Vec<ConfigError>,
) -> Vec<ConfiguredClient> {
    let mut clients = read_entries(root, env, errors);
    let keys: AuthSection = SectionReader::read("auth".to_owned(), root.get("auth"), errors);
    for (name, key, is_weak) in keys.api_keys.into_iter().flat_map(|keys| keys.0) {
        let (tenant, models) = (name.clone(), None);
        let (tools, priority, limits) =
            (None, ClientPriority::Interactive, ClientLimits::default());
        let (strict, offered_tools, compat) = (None, Vec::new(), Vec::new());
        clients.push(ConfiguredClient {
            path: "auth.api_keys".to_owned(),
            name,
            tenant,
            key,
            weak_key: is_weak.then(|| "auth.api_keys".to_owned()),
            models,
            tools,
            priority,
            limits,
            strict,
            offered_tools,
            passthrough: Vec::new(),
            provider_keys: false,
            compat,
            tags: Vec::new(),
        });
    }
    let mut seen = std::collections::BTreeMap::new();
    for client in &clients {
        if let Some(other) = seen.insert(client.key, &client.name) {
            let names = format!("`{}` and `{}`", printable(other), printable(&client.name));
            errors.push(ConfigError::new("clients", format!("{names} have the same key")));
        }
    }
    clients
}

fn read_entries(
    root: &Table,
    env: &Environment,
    errors: &mut Vec<ConfigError>,
) -> Vec<ConfiguredClient> {
    let mut clients = Vec::new();
    for (at, item) in list_entries(root, "clients", errors).iter().enumerate() {
        let path = format!("clients[{at}]");
        let before = errors.len();
        let entry: ClientEntry = SectionReader::read(path.clone(), Some(item), errors);
        model_limits(&path, item, errors);
        match client(&path, entry, env) {
            Ok(client) => clients.push(client),
            // What is missing may be what could not be read.
            Err(_) if errors.len() > before => {}
            Err((field, message)) => {
                let error = ConfigError::new(format!("{path}.{field}"), message);
                errors.push(error.source(item.source.clone()));
            }
        }
    }
    clients
}

/// Replaces the error about the whole list of `model_limits` by errors about its entries.
fn model_limits(path: &str, item: &ConfigValue, errors: &mut Vec<ConfigError>) {
    let path = format!("{path}.model_limits");
    let ValueKind::Table(table) = &item.content else { return };
    let Some(ValueKind::List(entries)) = table.get("model_limits").map(|it| &it.content) else {
        return;
    };
    let Some(whole) = errors.iter().position(|error| error.key() == path) else { return };
    let known = errors.len();
    for (at, entry) in entries.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let before = errors.len();
        let limits: ModelLimitsEntry = SectionReader::read(path.clone(), Some(entry), errors);
        if limits.model.is_none() && errors.len() == before {
            let error = ConfigError::new(format!("{path}.model"), "is needed");
            errors.push(error.source(entry.source.clone()));
        }
    }
    if errors.len() > known {
        errors.remove(whole);
    }
}

/// The bytes that a key needs even where keys that can be guessed are accepted.
const MIN_KEY_BYTES: usize = 8;

/// Returns the hash of a key, and `field` if the key can be guessed.
fn checked_hash(
    field: &'static str,
    key: &SecretString,
) -> Result<(KeyHash, Option<&'static str>), (&'static str, String)> {
    let key = key.expose_secret();
    if key.len() < MIN_KEY_BYTES {
        return Err((field, WEAK_SECRET.to_owned()));
    }
    Ok((hash(key), (!is_strong(key)).then_some(field)))
}

/// The advice to whoever set a secret that can be guessed.
pub(super) const WEAK_SECRET: &str =
    "can be guessed: it needs at least 128 random bits, as `openssl rand -hex 32` makes them";

/// Whether a secret holds at least 128 bits, as far as its length and its characters tell.
pub(super) fn is_strong(secret: &str) -> bool {
    const BITS: f64 = 128.0;
    const MIN_DISTINCT: usize = 8;
    let size_if = |is_member: fn(&u8) -> bool, size: f64| {
        if secret.bytes().any(|byte| is_member(&byte)) { size } else { 0.0 }
    };
    let is_hex = secret.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = size_if(u8::is_ascii_digit, 10.0);
    let alphabet = if is_hex {
        digits + size_if(u8::is_ascii_alphabetic, 6.0)
    } else {
        let letters = size_if(u8::is_ascii_lowercase, 26.0) + size_if(u8::is_ascii_uppercase, 26.0);
        digits + letters + size_if(|byte| !byte.is_ascii_alphanumeric(), 2.0)
    };
    let distinct: std::collections::BTreeSet<u8> = secret.bytes().collect();
    let length = u32::try_from(secret.len()).map_or(f64::MAX, f64::from);
    distinct.len() >= MIN_DISTINCT && length * f64::log2(alphabet) >= BITS
}

fn client(
    path: &str,
    entry: ClientEntry,
    env: &Environment,
) -> Result<ConfiguredClient, (&'static str, String)> {
    let limits = entry.limits(&entry.model_limits);
    let name = entry.name.ok_or_else(|| ("name", "is needed".to_owned()))?;
    let (key, weak) = match (entry.key, entry.key_sha256, entry.key_env) {
        (Some(key), None, None) => checked_hash("key", &key)?,
        (None, Some(hash), None) => (hash, None),
        (None, None, Some(variable)) => {
            let missing =
                || ("key_env", format!("the variable {} holds no key", printable(&variable)));
            let key = env.get(&variable).and_then(secret).ok_or_else(missing)?;
            checked_hash("key_env", &key)?
        }
        _ => {
            return Err(("key", "set exactly one of `key`, `key_sha256`, `key_env`".to_owned()));
        }
    };
    let tenant = entry.tenant.unwrap_or_else(|| name.clone());
    let ClientEntry {
        models,
        tools,
        priority,
        strict,
        offered_tools,
        passthrough,
        provider_keys,
        compat,
        tags,
        ..
    } = entry;
    let mut attribution = Attribution::default();
    if let Err(error) = tags.iter().try_for_each(|tag| attribution.add_tag(tag)) {
        return Err(("tags", error.to_string()));
    }
    Ok(ConfiguredClient {
        path: path.to_owned(),
        name,
        tenant,
        key,
        weak_key: weak.map(|field| format!("{path}.{field}")),
        models,
        tools,
        priority,
        limits,
        strict,
        offered_tools,
        passthrough,
        provider_keys,
        compat,
        tags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secret: &str, expected: bool) {
        assert_eq!(is_strong(secret), expected, "{secret}");
    }

    #[test]
    fn strong_secret_has_128_bits() {
        check("0123456789abcdef0123456789abcdef", true);
        check("sk-0123456789abcdef0123456789abcdef", true);
        check("kJ8x-2_fQz71LmNvR4tYbA", true);
        check("3f9c1de0-7a55-4b0e-9a4d-0c8b6f1e2d3c", true);
        for weak in ["", "x", "secret", "0123456789abcdef", "operators-token", &"a".repeat(64)] {
            check(weak, false);
        }
        check("12345678901234567890123456789012", false);
    }
}
