//! The configuration in the making.

use crate::report::Report;
use std::collections::BTreeMap;

/// A configuration of the gateway, as far as it was imported.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) providers: BTreeMap<String, ProviderDraft>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) models: BTreeMap<(String, String), ModelDraft>,
    pub(crate) routes: BTreeMap<String, RouteDraft>,
    pub(crate) clients: Vec<ClientDraft>,
    pub(crate) tenants: BTreeMap<String, LimitsDraft>,
    /// Other settings, as TOML writes them, by section and key.
    pub(crate) settings: BTreeMap<(&'static str, &'static str), String>,
    pub(crate) report: Report,
}

/// A provider that differs from the one that is known by its name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ProviderDraft {
    pub(crate) kind: Option<&'static str>,
    pub(crate) base_url: Option<String>,
    pub(crate) keys: Vec<KeyReference>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) organization: Option<String>,
}

/// A key, or the variable that has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum KeyReference {
    Variable(String),
    Literal(String),
}

/// The known facts about a model.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ModelDraft {
    /// Members of its entry, as TOML writes them.
    pub(crate) facts: BTreeMap<&'static str, String>,
}

/// A name that several targets serve.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RouteDraft {
    /// The targets with their shares of the requests.
    pub(crate) targets: Vec<(String, f64)>,
    /// Whether the requests are shared out, rather than sent to the first.
    pub(crate) is_balanced: bool,
    /// The targets after a failure, in order.
    pub(crate) fallbacks: Vec<String>,
    /// Whether a refusal of the content filter leads to a fallback.
    pub(crate) on_content_filter: bool,
}

/// A caller with its key and its limits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ClientDraft {
    pub(crate) name: String,
    pub(crate) key: Option<ClientKeyDraft>,
    pub(crate) tenant: Option<String>,
    pub(crate) models: Vec<String>,
    pub(crate) limits: LimitsDraft,
}

/// The key of a caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ClientKeyDraft {
    Variable(String),
    Hash(String),
    Literal(String),
}

/// The limits of a caller or of a tenant: settings and values.
pub(crate) type LimitsDraft = BTreeMap<&'static str, String>;

impl Draft {
    /// Sets `key` of `[section]` to a value as TOML writes it.
    pub(crate) fn set(&mut self, section: &'static str, key: &'static str, value: &impl ToString) {
        self.settings.insert((section, key), value.to_string());
    }

    /// Sets the time-outs `totals`, and shortens the defaults of those that may not be longer.
    pub(crate) fn set_timeouts(&mut self, seconds: u64, totals: &[&'static str]) {
        let seconds = seconds.min(86_400);
        let streams = totals.contains(&"stream_total");
        let inner = [("connect", 3), ("first_byte", 60), ("idle", 90)];
        let inner = inner.iter().filter(|(name, _)| streams || *name != "idle");
        let shorter = inner.filter(|(_, usual)| seconds < *usual).map(|(name, _)| name);
        for name in totals.iter().chain(shorter) {
            self.set("timeouts", name, &quoted(&format!("{seconds}s")));
        }
    }

    /// The models behind a name: of a route, without its fallbacks, or of an alias.
    pub(crate) fn targets_of(&self, name: &str) -> Vec<String> {
        match (self.routes.get(name), self.aliases.get(name)) {
            (Some(route), _) => route.targets.iter().map(|(target, _)| target.clone()).collect(),
            (None, Some(target)) => vec![target.clone()],
            (None, None) => Vec::new(),
        }
    }
}

impl KeyReference {
    /// Reads `os.environ/NAME`, `env.NAME`, or the key itself.
    pub(crate) fn read(text: &str) -> Self {
        match variable(text) {
            Some(name) => Self::Variable(name.to_owned()),
            None => Self::Literal(text.to_owned()),
        }
    }
}

/// The variable that `text` refers to.
pub(crate) fn variable(text: &str) -> Option<&str> {
    let text = text.trim();
    let braced = || text.strip_prefix("${")?.strip_suffix('}');
    let name =
        text.strip_prefix("os.environ/").or_else(|| text.strip_prefix("env.")).or_else(braced)?;
    (!name.is_empty()).then_some(name)
}

/// A text as TOML writes it, which is as JSON does.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
