//! Who may call. Keys are kept only as hashes.

use super::{
    Environment,
    limits::{Allowance, Dollars, ModelLimits},
    node::{Content, Node, Table},
    problem::Problem,
    providers::printable,
    section::{Reader, section},
    value::{Value, choice, secret},
};
use gateway_core::state::KeyHash;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// What `key` hashes to.
pub(super) fn hash(key: &str) -> KeyHash {
    KeyHash::new(Sha256::digest(key.as_bytes()).into())
}

impl Value for KeyHash {
    fn expects() -> String {
        "64 hexadecimal digits".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
        Self::parse(node.text()?)
    }

    fn show(&self) -> Option<String> {
        Some(format!("\"{self:?}...\""))
    }
}

choice! {
    /// How urgent requests are.
    Urgency {
        /// Somebody waits for them.
        Interactive = "interactive";
        /// They may as well be done later.
        Batch = "batch";
    }
}

section! {
    /// A caller with a key, at `[[clients]]`.
    /// Two entries with the same name are one client with two keys.
    pub(super) Entry {
        /// Who it is; a label in logs and metrics.
        name: Option<String> = None;
        /// Its key; only its hash is kept.
        key: Option<SecretString> = None;
        /// The SHA-256 hash of its key, instead of `key`.
        key_sha256: Option<KeyHash> = None;
        /// The variable that holds its key, instead of `key`.
        key_env: Option<String> = None;
        /// Whose sessions, limits and cache it shares; its name if it is not said.
        tenant: Option<String> = None;
        /// The models it may ask for, such as `gpt-*`; all if there are none.
        models: Vec<String> = Vec::new();
        /// The gateway's tools it may use, such as `search_*`; all if it is not said.
        tools: Option<Vec<String>> = None;
        /// How urgent its requests are.
        priority: Urgency = Urgency::Interactive;
        /// How many requests it may make in a minute; as many as it likes if it is not said, as with all limits.
        requests_per_minute: Option<u64> = None;
        /// How many of them at once; as many as in a minute if it is not said.
        burst: Option<u64> = None;
        /// How many tokens, read and written, its requests may take in a minute.
        tokens_per_minute: Option<u64> = None;
        /// How many of its requests to models and runs of tools there may be at one time.
        max_concurrent: Option<u64> = None;
        /// How much its requests may cost in a day (UTC).
        daily_budget_usd: Option<Dollars> = None;
        /// How much its requests may cost in a month (UTC).
        monthly_budget_usd: Option<Dollars> = None;
        /// What it may take of some models besides; the first that fits counts.
        model_limits: Vec<ModelLimits> = Vec::new();
        /// Whether what a translation cannot carry is refused (`true`) or left behind and told (`false`).
        /// If it is not said: as `routing.strict`.
        strict: Option<bool> = None;
        /// The gateway's tools that its requests to models offer, besides those of `tool_calls.offered`.
        offered_tools: Vec<String> = Vec::new();
    }
}

section! {
    /// Keys of callers, where a variable is easier to set than a file.
    pub(super) Keys {
        /// Keys of callers, each `name:key`, or only a key for the client `default`.
        api_keys: Option<ClientKeys> = None, prefixed ["API_KEYS"];
    }
}

/// A caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Client {
    /// Who it is.
    pub name: String,
    /// Whose sessions, limits and cache it shares.
    pub tenant: String,
    /// What its key hashes to.
    pub key: KeyHash,
    /// The models it may ask for; all if there are none.
    pub models: Vec<String>,
    /// The gateway's tools it may use; all if it is not said.
    pub tools: Option<Vec<String>>,
    /// How urgent its requests are.
    pub priority: Urgency,
    /// How much it may take.
    pub allowance: Allowance,
    /// Whether what a translation cannot carry is refused; if it is not said, as for all.
    pub strict: Option<bool>,
    /// The tools that its requests offer.
    pub offered_tools: Vec<String>,
}

impl Client {
    /// As it could be written, with the beginning of the hash.
    pub(super) fn show(&self) -> Vec<(&'static str, Option<String>)> {
        let limits = &self.allowance;
        let of_model = |(model, it): &(String, Allowance)| ModelLimits(model.clone(), it.clone());
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
            ("monthly_budget_usd", limits.monthly_budget.map(Dollars).show()),
            ("model_limits", of_models.show()),
            ("strict", self.strict.show()),
            ("offered_tools", self.offered_tools.show()),
        ]
    }
}

/// Keys of callers, by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ClientKeys(Vec<(String, KeyHash)>);

impl Value for ClientKeys {
    fn expects() -> String {
        "a list of `name:key` or `key`, in a variable separated by commas".to_owned()
    }

    fn read(node: &Node) -> Option<Self> {
        let entries = Vec::<SecretString>::read(node)?;
        let pair = |entry: &SecretString| {
            let entry = entry.expose_secret();
            let (name, key) = entry.split_once(':').unwrap_or(("default", entry));
            let (name, key) = (name.trim(), key.trim());
            let complete = !name.is_empty() && !key.is_empty();
            complete.then(|| (name.to_owned(), hash(key)))
        };
        entries.iter().map(pair).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> Option<String> {
        Some(super::value::REDACTED.to_owned())
    }
}

/// Reads `[[clients]]` and the keys of callers without a file.
pub(super) fn read(root: &Table, env: &Environment, problems: &mut Vec<Problem>) -> Vec<Client> {
    let mut clients = listed(root, env, problems);
    let keys: Keys = Reader::read("auth".to_owned(), root.get("auth"), problems);
    for (name, key) in keys.api_keys.into_iter().flat_map(|keys| keys.0) {
        let (tenant, models) = (name.clone(), Vec::new());
        let (tools, priority, allowance) = (None, Urgency::Interactive, Allowance::default());
        let (strict, offered_tools) = (None, Vec::new());
        clients.push(Client {
            name,
            tenant,
            key,
            models,
            tools,
            priority,
            allowance,
            strict,
            offered_tools,
        });
    }
    let mut seen = std::collections::BTreeMap::new();
    for client in &clients {
        if let Some(other) = seen.insert(client.key, &client.name) {
            let names = format!("`{}` and `{}`", printable(other), printable(&client.name));
            problems.push(Problem::new("clients", format!("{names} have the same key")));
        }
    }
    clients
}

fn listed(root: &Table, env: &Environment, problems: &mut Vec<Problem>) -> Vec<Client> {
    let Some(node) = root.get("clients") else { return Vec::new() };
    let Content::List(items) = &node.content else {
        let message = format!("expected a list of tables, found {}", node.kind());
        problems.push(Problem::new("clients", message).source(node.source.clone()));
        return Vec::new();
    };
    let mut clients = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("clients[{at}]");
        let before = problems.len();
        let entry: Entry = Reader::read(path.clone(), Some(item), problems);
        match client(entry, env) {
            Ok(client) => clients.push(client),
            // What is missing may be what could not be read.
            Err(_) if problems.len() > before => {}
            Err((field, message)) => {
                let problem = Problem::new(format!("{path}.{field}"), message);
                problems.push(problem.source(item.source.clone()));
            }
        }
    }
    clients
}

fn client(entry: Entry, env: &Environment) -> Result<Client, (&'static str, String)> {
    let name = entry.name.ok_or_else(|| ("name", "is needed".to_owned()))?;
    let key = match (entry.key, entry.key_sha256, entry.key_env) {
        (Some(key), None, None) => hash(key.expose_secret()),
        (None, Some(hash), None) => hash,
        (None, None, Some(variable)) => {
            let missing =
                || ("key_env", format!("the variable {} holds no key", printable(&variable)));
            let key = env.get(&variable).and_then(secret).ok_or_else(missing)?;
            hash(key.expose_secret())
        }
        _ => {
            return Err(("key", "say exactly one of `key`, `key_sha256`, `key_env`".to_owned()));
        }
    };
    let tenant = entry.tenant.unwrap_or_else(|| name.clone());
    let allowance = Allowance {
        requests_per_minute: entry.requests_per_minute,
        burst: entry.burst,
        tokens_per_minute: entry.tokens_per_minute,
        concurrent: entry.max_concurrent,
        daily_budget: entry.daily_budget_usd.map(|it| it.0),
        monthly_budget: entry.monthly_budget_usd.map(|it| it.0),
        models: entry.model_limits.into_iter().map(|ModelLimits(model, it)| (model, it)).collect(),
    };
    let Entry { models, tools, priority, strict, offered_tools, .. } = entry;
    Ok(Client { name, tenant, key, models, tools, priority, allowance, strict, offered_tools })
}
