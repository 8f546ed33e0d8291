//! Settings of an MCP server.

use super::oauth::OAuthSettings;
use http::{HeaderName, HeaderValue};
use std::{fmt, sync::Arc, time::Duration};

/// A server of tools.
#[derive(Clone)]
pub struct McpSettings {
    /// Name of the server.
    pub name: Arc<str>,
    /// URL of the server.
    pub url: String,
    /// Headers for every request to it; values that are secret are marked so.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The gateway as an OAuth client of the server, if it is one.
    pub oauth: Option<OAuthSettings>,
    /// Prefix of its tool names.
    pub prefix: String,
    /// Allowed tools, by the server's names; a trailing `*` matches any suffix. Empty allows
    /// all.
    pub allowed: Vec<String>,
    /// Timeout of a call, including initialization.
    pub timeout: Duration,
    /// Doing any of them twice does no harm.
    pub idempotent: bool,
    /// The largest result that is taken.
    pub max_bytes: usize,
}

impl McpSettings {
    /// Whether `name` matches one of the configured patterns, which may end in `*`; without patterns,
    /// all names match.
    pub(super) fn allows(&self, name: &str) -> bool {
        self.allowed.is_empty() || gateway_core::admits(&self.allowed, &[name])
    }

    /// Returns the tool's local name: models allow fewer characters.
    pub(super) fn local_name(&self, name: &str) -> String {
        let fits = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
        let name = name.chars().map(|char| if fits(char) { char } else { '_' });
        self.prefix.chars().chain(name).collect()
    }
}

impl fmt::Debug for McpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpSettings").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allowed: &[&str], name: &str, local: Option<&str>) {
        let settings = McpSettings {
            name: "lab".into(),
            url: String::new(),
            headers: Vec::new(),
            oauth: None,
            prefix: "lab_".to_owned(),
            allowed: allowed.iter().map(ToString::to_string).collect(),
            timeout: Duration::ZERO,
            idempotent: false,
            max_bytes: 0,
        };
        let taken = settings.allows(name).then(|| settings.local_name(name));
        assert_eq!(taken.as_deref(), local, "{name}");
    }

    #[test]
    fn allowed_mcp_tools_get_valid_names() {
        check(&[], "find.book", Some("lab_find_book"));
        check(&["find*"], "find_book", Some("lab_find_book"));
        check(&["find"], "find", Some("lab_find"));
        check(&["find"], "find_book", None);
        check(&["list*", "get"], "find", None);
    }
}
