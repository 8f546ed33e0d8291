//! The limits of tenants, above those of their clients.

use super::{
    entries::list_entries,
    error::ConfigError,
    limits::{ClientLimits, ModelLimits, limited_section},
    printable::printable,
    raw_value::Table,
    section::{DisplayedSetting, Section as _, SectionReader, section},
};

limited_section! {
    /// The limits of all clients of a tenant together, above the limits of each.
    pub(super) TenantEntry {
        /// Name of the tenant, as in `tenant` of its clients.
        name: Option<String> = None;
    } {
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
        self.entry.limits(&self.entry.model_limits)
    }
}

/// Reads `[[tenants]]`.
pub(super) fn read(root: &Table, errors: &mut Vec<ConfigError>) -> Vec<ConfiguredTenant> {
    let mut tenants: Vec<ConfiguredTenant> = Vec::new();
    for (at, item) in list_entries(root, "tenants", errors).iter().enumerate() {
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
