//! The limits of tenants, above those of their clients.

use super::{
    error::ConfigError,
    limits::{AT_LEAST_ONE, ClientLimits, Dollars, ModelLimits},
    printable::printable,
    raw_value::{Table, ValueKind},
    section::{DisplayedSetting, Section as _, SectionReader, section},
};

section! {
    /// The limits of all clients of a tenant together, above the limits of each.
    pub(super) TenantEntry {
        /// Name of the tenant, as in `tenant` of its clients.
        name: Option<String> = None;
        /// Rate limit in requests per minute. Default: no limit, as for all limits.
        requests_per_minute: Option<u64> = None, within AT_LEAST_ONE;
        /// Burst size in requests. Default: `requests_per_minute`.
        burst: Option<u64> = None, within AT_LEAST_ONE;
        /// Rate limit in input and output tokens per minute.
        tokens_per_minute: Option<u64> = None, within AT_LEAST_ONE;
        /// Maximum number of concurrent model requests and tool calls.
        max_concurrent: Option<u64> = None, within AT_LEAST_ONE;
        /// Budget per day (UTC) in US dollars.
        daily_budget_usd: Option<Dollars> = None;
        /// Budget per week (UTC, from Monday) in US dollars.
        weekly_budget_usd: Option<Dollars> = None;
        /// Budget per month (UTC) in US dollars.
        monthly_budget_usd: Option<Dollars> = None;
        /// Budget in all in US dollars, until it is reset.
        total_budget_usd: Option<Dollars> = None;
        /// Additional limits per model; the first entry that matches applies.
        model_limits: Vec<ModelLimits> = Vec::new();
    }
}

/// A tenant with its limits.
#[derive(Clone, Debug)]
pub struct ConfiguredTenant {
    entry: TenantEntry,
}

impl ConfiguredTenant {
    /// Returns the name of the tenant.
    pub fn name(&self) -> &str {
        self.entry.name.as_deref().unwrap_or_default()
    }

    /// Returns the settings for display.
    pub(super) fn show(&self) -> Vec<DisplayedSetting> {
        self.entry.show()
    }

    /// Returns the limits of the tenant.
    pub fn limits(&self) -> ClientLimits {
        let it = &self.entry;
        let of_model = |ModelLimits(model, limits): &ModelLimits| (model.clone(), limits.clone());
        ClientLimits {
            requests_per_minute: it.requests_per_minute,
            burst: it.burst,
            tokens_per_minute: it.tokens_per_minute,
            concurrent: it.max_concurrent,
            daily_budget: it.daily_budget_usd.map(|usd| usd.0),
            weekly_budget: it.weekly_budget_usd.map(|usd| usd.0),
            monthly_budget: it.monthly_budget_usd.map(|usd| usd.0),
            total_budget: it.total_budget_usd.map(|usd| usd.0),
            models: it.model_limits.iter().map(of_model).collect(),
        }
    }
}

/// Reads `[[tenants]]`.
pub(super) fn read(root: &Table, errors: &mut Vec<ConfigError>) -> Vec<ConfiguredTenant> {
    let Some(node) = root.get("tenants") else { return Vec::new() };
    let ValueKind::List(items) = &node.content else {
        let message = format!("expected a list of tables, found {}", node.kind());
        errors.push(ConfigError::new("tenants", message).source(node.source.clone()));
        return Vec::new();
    };
    let mut tenants: Vec<ConfiguredTenant> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("tenants[{at}]");
        let before = errors.len();
        let tenant: TenantEntry = SectionReader::read(path.clone(), Some(item), errors);
        let problem = match tenant.name.as_deref() {
            None => Some("is needed".to_owned()),
            Some(name) if tenants.iter().any(|it| it.name() == name) => {
                Some(format!("`{}` is there twice; write one entry", printable(name)))
            }
            Some(_) => None,
        };
        if let Some(problem) = problem.filter(|_| errors.len() == before) {
            let error = ConfigError::new(format!("{path}.name"), problem);
            errors.push(error.source(item.source.clone()));
        }
        tenants.push(ConfiguredTenant { entry: tenant });
    }
    tenants
}
