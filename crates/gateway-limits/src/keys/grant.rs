//! The permissions of a virtual key.

use crate::{Client, LimitAccounts, LimitPolicy, Priority};
use gateway_core::{Attribution, ErrorKind, GatewayError, NanoDollars, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The owner and the permissions of a virtual key, as administrators write it and as it is stored.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct KeyGrant {
    /// The client's name in logs and metrics.
    pub client: String,
    /// The tenant; the client's name if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The models it may ask for; all if absent, none if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The gateway's tools it may use; all if absent, none if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// The default priority of its requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[serde(flatten)]
    limits: GrantLimits,
    /// Additional limits for some models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    model_limits: Vec<ModelGrant>,
    /// Labels of the operators' own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
}

/// Limits; absent ones do not limit.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct GrantLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_concurrent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_budget_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekly_budget_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly_budget_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_budget_usd: Option<f64>,
}

/// Limits of some models.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct ModelGrant {
    model: String,
    #[serde(flatten)]
    limits: GrantLimits,
}

/// Maximum length of a name, in bytes.
const NAME: usize = 128;

/// The largest number of tags.
const MAX_TAGS: usize = 32;

impl KeyGrant {
    /// Says what is wrong with it.
    pub fn check(&self) -> Result<()> {
        let is_name = |name: &str| {
            !name.is_empty() && name.len() <= NAME && !name.chars().any(char::is_control)
        };
        let wrong = |param: &'static str, message: &'static str| {
            Err(GatewayError::new(ErrorKind::Unprocessable, message).with_param(param))
        };
        if !is_name(&self.client) {
            return wrong("client", "a client has a name of at most 128 characters");
        }
        if self.tenant.as_deref().is_some_and(|tenant| !is_name(tenant)) {
            return wrong("tenant", "a tenant has a name of at most 128 characters");
        }
        let names = self.models.iter().chain(&self.tools).flatten();
        let of_models = self.model_limits.iter().map(|it| &it.model);
        if !names.chain(of_models).all(|name| is_name(name)) {
            return wrong("models", "models and tools have names of at most 128 characters");
        }
        let are_tags = self.tags.iter().all(|(name, value)| is_name(name) && value.len() <= NAME);
        if self.tags.len() > MAX_TAGS || !are_tags {
            return wrong("tags", "there are at most 32 tags, of at most 128 characters");
        }
        let mut attribution = Attribution::default();
        if self.booked_tags().any(|tag| attribution.add_tag(&tag).is_err()) {
            return wrong(
                "tags",
                "tags have at most 256 bytes, and neither commas nor control characters",
            );
        }
        let all =
            std::iter::once(&self.limits).chain(self.model_limits.iter().map(|it| &it.limits));
        if !all.flat_map(GrantLimits::money).flatten().all(|dollars| (0.0..=1e9).contains(&dollars))
        {
            return wrong("daily_budget_usd", "a budget must not be negative");
        }
        Ok(())
    }

    /// The tags as they are booked: `name=value`.
    fn booked_tags(&self) -> impl Iterator<Item = String> {
        self.tags.iter().map(|(name, value)| format!("{name}={value}"))
    }

    /// The tenant whose data it sees.
    pub fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or(&self.client)
    }

    /// The client that it describes, with limits kept in `accounts`: its own, and those of `defaults`
    /// of which it has none.
    pub fn client(&self, accounts: &LimitAccounts, defaults: &LimitPolicy) -> Client {
        let mut client = Client::new(&self.client, self.tenant());
        client.models = self.models.as_deref().map(Into::into);
        client.tools.clone_from(&self.tools);
        client.book_under(&self.booked_tags().collect::<Vec<_>>());
        client.priority = self.priority.unwrap_or_default();
        let models = self.model_limits.iter();
        let models = models.map(|it| (it.model.clone(), it.limits.policy())).collect();
        let own = LimitPolicy { models, ..self.limits.policy() };
        client.limited(&own.or(defaults), accounts)
    }
}

impl GrantLimits {
    fn money(&self) -> [Option<f64>; 4] {
        [
            self.daily_budget_usd,
            self.weekly_budget_usd,
            self.monthly_budget_usd,
            self.total_budget_usd,
        ]
    }

    fn policy(&self) -> LimitPolicy {
        LimitPolicy {
            requests_per_minute: self.requests_per_minute,
            burst: self.burst,
            tokens_per_minute: self.tokens_per_minute,
            concurrent: self.max_concurrent,
            daily_budget: self.daily_budget_usd.map(nano),
            weekly_budget: self.weekly_budget_usd.map(nano),
            monthly_budget: self.monthly_budget_usd.map(nano),
            total_budget: self.total_budget_usd.map(nano),
            models: Vec::new(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked")]
fn nano(dollars: f64) -> NanoDollars {
    NanoDollars((dollars * 1e9).round() as u64)
}
