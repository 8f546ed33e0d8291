//! What goes on when a new configuration is taken up.

use crate::config::Change;
use gateway_http::{App, Backend};

/// The gateway of the configuration before: what did not change of it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// What answers requests so far.
    pub app: &'a App,
    /// What the new configuration changes.
    pub changes: &'a [Change],
}

/// Sections that no provider is made of.
const ELSEWHERE: [&str; 13] = [
    "admin",
    "aliases",
    "clients",
    "console",
    "fallbacks",
    "lifecycle",
    "limits",
    "log",
    "metrics",
    "models",
    "routes",
    "routing",
    "sessions",
];

impl Before<'_> {
    /// The provider as it was, with its breakers, if nothing that it is made of has changed.
    pub(crate) fn provider(&self, id: &str) -> Option<Backend> {
        let own = format!("providers.{id}");
        let elsewhere = |change: &Change| {
            ELSEWHERE.iter().any(|section| change.is_within(section))
                || (change.is_within("providers") && !change.is_within(&own))
        };
        if self.changes.iter().all(elsewhere) { self.app.providers.get(id).cloned() } else { None }
    }
}
