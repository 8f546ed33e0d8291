//! The client of a request.

use super::{VirtualKeys, key_hash::key_hash};
use crate::{LimitAccounts, LimitPolicy, Priority, account_key, policy::ClientLimits};
use gateway_core::{
    Attribution, ErrorKind, GatewayError, Result, admits, matches_pattern,
    state::{KeyHash, Tenant},
};
use gateway_tasks::unix_time;
use std::{collections::HashMap, fmt, sync::Arc};
use tokio_util::sync::CancellationToken;

/// A client: a configured caller identity, or the anonymous one.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client's name in logs and metrics.
    pub name: Arc<str>,
    /// The tenant: part of every key of stored state.
    pub tenant: Arc<str>,
    /// The models it may ask for; all if absent, none if empty. `*` at the end stands for any rest.
    pub models: Option<Arc<[String]>>,
    /// Whether the caller sent no key.
    pub is_anonymous: bool,
    /// The gateway's tools it may use; all if absent, none if empty.
    pub tools: Option<Vec<String>>,
    /// The default priority of its requests; `x-priority` can lower it.
    pub priority: Priority,
    /// The expiry of its key, in milliseconds since 1970.
    pub expires: Option<u64>,
    /// Cancelled when its key is revoked or ends; absent if its key can only end with the
    /// configuration.
    pub revocation: Option<CancellationToken>,
    /// The client's limits; `None` if it is unlimited.
    pub(crate) limits: Option<ClientLimits>,
    /// Whether requests with dropped parameters are rejected; the engine's setting if absent.
    pub strict: Option<bool>,
    /// The providers whose paths it may send any request to; `*` at the end stands for any rest.
    pub passthrough: Vec<String>,
    /// Whether its requests may carry a provider's key of its own.
    pub provider_keys: bool,
    /// The gateway's tools that its requests to models offer.
    pub offered_tools: Vec<String>,
    /// Whether the first message of a response comes first in its output.
    pub first_message: bool,
    /// The tags under which the usage of its requests is booked.
    pub attribution: Option<Arc<Attribution>>,
}

/// The access rule of the listener.
#[derive(Clone)]
pub enum Access {
    /// Every caller is this client.
    Open(Arc<Client>),
    /// Callers need one of these keys, or a virtual key.
    Keys(HashMap<KeyHash, Arc<Client>>),
}

impl Access {
    /// Returns the client of `key`: a configured key, or a virtual one of `virtual_keys`.
    ///
    /// The key is compared by its hash, and that in constant time: the time it takes reveals
    /// nothing of the key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`] without a known key.
    pub fn identify(&self, key: Option<&[u8]>, virtual_keys: &VirtualKeys) -> Result<Arc<Client>> {
        let clients = match self {
            Self::Open(client) => return Ok(Arc::clone(client)),
            Self::Keys(clients) => clients,
        };
        let key = key
            .ok_or_else(|| unauthenticated("missing API key: send 'Authorization: Bearer KEY'"))?;
        let hash = key_hash(key);
        let known = clients.get(&hash).cloned().or_else(|| virtual_keys.find(&hash));
        // Whether a key is unknown or has ended is nobody's business.
        known.filter(|client| client.is_valid()).ok_or_else(|| unauthenticated("unknown API key"))
    }
}

impl Access {
    /// Whether the configuration has a client called `name`.
    pub fn has_client(&self, name: &str) -> bool {
        match self {
            Self::Open(client) => &*client.name == name,
            Self::Keys(clients) => clients.values().any(|client| &*client.name == name),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(client) => f.debug_tuple("Open").field(client).finish(),
            Self::Keys(clients) => f.debug_set().entries(clients.values()).finish(),
        }
    }
}

impl Client {
    /// Books the usage of its requests under `tags`, as far as they are valid.
    pub fn book_under(&mut self, tags: &[String]) {
        let mut attribution = Attribution::default();
        for tag in tags {
            // Checked where they are set; a key of an older version may hold others.
            let _ = attribution.add_tag(tag);
        }
        self.attribution = (!attribution.is_empty()).then(|| Arc::new(attribution));
    }

    /// A client that may do everything.
    pub fn new(name: &str, tenant: &str) -> Self {
        let (name, tenant) = (name.into(), tenant.into());
        Self {
            name,
            tenant,
            models: None,
            is_anonymous: false,
            tools: None,
            priority: Priority::default(),
            expires: None,
            revocation: None,
            limits: None,
            strict: None,
            passthrough: Vec::new(),
            provider_keys: false,
            offered_tools: Vec::new(),
            first_message: false,
            attribution: None,
        }
    }

    /// Returns the client of callers without a key.
    pub fn anonymous() -> Self {
        Self { is_anonymous: true, ..Self::new("anonymous", "anonymous") }
    }

    /// Returns the client with the limits of `policy`, held in `accounts`: clients of one tenant
    /// and name share them.
    #[must_use]
    pub fn limited(mut self, policy: &LimitPolicy, accounts: &LimitAccounts) -> Self {
        let tenant = Tenant::new(Arc::clone(&self.tenant)).filter(|_| policy.is_limited());
        self.limits = tenant.and_then(|tenant| {
            let account = accounts.client(account_key::of_client(&tenant, &self.name));
            ClientLimits::new(account, policy)
        });
        self
    }

    /// Ends the requests that are being served for it.
    pub(crate) fn revoke(&self) {
        if let Some(revocation) = &self.revocation {
            revocation.cancel();
        }
    }

    /// Whether its key has not ended.
    pub(crate) fn is_valid(&self) -> bool {
        self.expires.is_none_or(|at| u128::from(at) > unix_time().as_millis())
    }

    /// Whether it may use the gateway's tool `name`.
    pub fn may_use(&self, name: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.iter().any(|tool| matches_pattern(tool, name)))
    }

    /// Fails unless this client may ask for `model`, which is also known by `names`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] if no pattern of the client admits any of the names.
    pub fn check_model<'a>(&self, model: &str, names: impl FnOnce() -> &'a [String]) -> Result<()> {
        let Some(allowed) = &self.models else { return Ok(()) };
        let is_admitted = |name: &str| admits(allowed, &[name]);
        if is_admitted(model) || names().iter().any(|name| is_admitted(name)) {
            return Ok(());
        }
        Err(GatewayError::new(ErrorKind::Forbidden, "this API key may not use the model")
            .with_code("model_not_allowed")
            .with_param("model"))
    }
}

fn unauthenticated(message: &'static str) -> GatewayError {
    GatewayError::new(ErrorKind::Unauthenticated, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(models: Option<&[&str]>) -> Client {
        let models = models.map(|it| it.iter().map(ToString::to_string).collect());
        Client { models, ..Client::new("app", "t") }
    }

    #[test]
    fn client_is_limited_to_its_models() {
        let client = client(Some(&["gpt-5", "fake/*"]));
        assert!(client.check_model("GPT-5", || &[]).is_ok());
        assert!(client.check_model("fake/echo", || &[]).is_ok());
        let (own, others) = (["gpt-5".to_owned()], ["lab/gpt-5".to_owned()]);
        assert!(client.check_model("best", || &own).is_ok());
        let error = client.check_model("claude-x", || &others).unwrap_err();
        assert_eq!(error.code(), "model_not_allowed");
    }

    #[test]
    fn empty_list_allows_nothing() {
        assert!(client(Some(&[])).check_model("gpt-5", || &[]).is_err());
        assert!(client(None).check_model("gpt-5", || &[]).is_ok());
        let client = Client { tools: Some(Vec::new()), ..Client::new("app", "t") };
        assert!(!client.may_use("echo"));
    }
}
