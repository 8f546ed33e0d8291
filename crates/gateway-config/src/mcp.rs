//! Servers of tools that speak the Model Context Protocol.

use super::{
    entries::named_entries,
    error::ConfigError,
    network::{ServiceUrl, UpstreamHeader},
    printable::printable,
    providers::{is_header, is_name},
    raw_value::Table,
    section::{SectionReader, section},
    server::ByteSize,
};
use std::{collections::BTreeMap, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

section! {
    /// An MCP server (Model Context Protocol over HTTP) whose tools the gateway offers.
    pub McpEntry {
        /// URL of the server.
        url: Option<ServiceUrl> = None;
        /// Headers of every request, such as an API key.
        headers: BTreeMap<String, UpstreamHeader> = BTreeMap::new();
        /// Prefix of its tool names.
        /// Default: `NAME_`.
        prefix: Option<String> = None;
        /// Whether its tools and prompts keep their names, without the prefix.
        bare_names: bool = false;
        /// Allowed tools, by the server's names; `*` at the end matches any rest.
        /// Default: all.
        tools: Vec<String> = Vec::new();
        /// Timeout of a call.
        timeout: Duration = Duration::from_secs(30), within SECOND..=LONGEST;
        /// Whether its tools are idempotent and may be retried.
        idempotent: bool = false;
        /// Maximum size of a result.
        max_response_bytes: ByteSize = ByteSize(1 << 20), within ByteSize(1 << 10)..=ByteSize(32 << 20);
    }
}

impl McpEntry {
    /// Returns the prefix of its tool names.
    pub fn prefix(&self, name: &str) -> String {
        if self.bare_names {
            return String::new();
        }
        self.prefix.clone().unwrap_or_else(|| format!("{name}_"))
    }
}

/// Reads the tables `[mcp.NAME]`.
pub(super) fn read(root: &Table, errors: &mut Vec<ConfigError>) -> BTreeMap<String, McpEntry> {
    let mut servers = BTreeMap::new();
    for (name, node) in named_entries(root, "mcp", errors) {
        let path = format!("mcp.{}", printable(name));
        let before = errors.len();
        let server: McpEntry = SectionReader::read(path.clone(), Some(node), errors);
        let mut wrong = |field: &str, message: String| {
            let error = ConfigError::new(format!("{path}{field}"), message);
            errors.push(error.source(node.source.clone()));
        };
        if !is_name(name) {
            wrong("", "a name is made of letters, digits, `-`, `_` and `.`".to_owned());
        }
        if let Some(header) = server.headers.keys().find(|name| !is_header(name)) {
            wrong(".headers", format!("`{}` is not the name of a header", printable(header)));
        }
        if server.url.is_none() && errors.len() == before {
            let error = ConfigError::new(format!("{path}.url"), "is needed");
            errors.push(error.source(node.source.clone()));
        }
        servers.insert(name.clone(), server);
    }
    servers
}

#[cfg(test)]
mod tests {
    use crate::{Config, Environment};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let told = Config::parse(Some(("a.toml", text)), &Environment::default());
        let told = told.map_or_else(|it| it.to_string(), |it| it.show());
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn mcp_server_needs_url() {
        check("[mcp.lab]\nurl = \"http://lab/mcp\"", "[mcp.\"lab\"]\nurl = \"http://lab/mcp\"");
        check("[mcp.lab]\ntools = [\"a\"]", "mcp.lab.url");
        check("[mcp.lab]\nurl = \"http://lab\"\nurls = 1", "mcp.lab.urls");
        check("[mcp.\"a b\"]\nurl = \"http://lab\"", "a name is made of");
        check("mcp = 1", "expected a table");
    }

    #[test]
    fn mcp_header_is_hidden() {
        let text = "[mcp.lab]\nurl = \"http://lab/mcp\"\nheaders = { Authorization = \"canary\" }";
        let config = Config::parse(Some(("a.toml", text)), &Environment::default()).unwrap();
        assert!(!config.show().contains("canary"));
        assert!(!format!("{config:?}").contains("canary"));
    }
}
