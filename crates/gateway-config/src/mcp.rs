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
use secrecy::SecretString;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

section! {
    /// An MCP server (Model Context Protocol over HTTP) whose tools the gateway offers.
    pub McpEntry {
        /// URL of the server.
        url: Option<ServiceUrl> = None;
        /// Headers of every request, such as an API key.
        headers: BTreeMap<String, UpstreamHeader> = BTreeMap::new();
        /// Id of the gateway as an OAuth client of the server, registered beforehand: tokens come
        /// by the grant `client_credentials`.
        oauth_client_id: Option<String> = None;
        /// Secret of the OAuth client.
        oauth_client_secret: Option<SecretString> = None;
        /// File with the private key of the OAuth client, in PEM, instead of a secret: RSA, or on
        /// the curve P-256.
        oauth_private_key_file: Option<PathBuf> = None;
        /// Scopes to ask for, besides those that the server asks for.
        oauth_scopes: Vec<String> = Vec::new();
        /// Authorization server that gets the credentials.
        /// Default: that of the server's metadata, if it is at the origin of the server.
        oauth_issuer: Option<ServiceUrl> = None;
        /// Endpoint of tokens.
        /// Default: that of the metadata of the authorization server.
        oauth_token_url: Option<ServiceUrl> = None;
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
        if let Some((field, message)) = oauth_mistake(&server) {
            wrong(field, message.to_owned());
        }
        if server.url.is_none() && errors.len() == before {
            let error = ConfigError::new(format!("{path}.url"), "is needed");
            errors.push(error.source(node.source.clone()));
        }
        servers.insert(name.clone(), server);
    }
    servers
}

/// Returns a setting of the OAuth client that does not fit the others.
fn oauth_mistake(server: &McpEntry) -> Option<(&'static str, &'static str)> {
    let McpEntry { oauth_client_secret, oauth_private_key_file, .. } = server;
    let has_authorization =
        server.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
    let is_used = oauth_client_secret.is_some()
        || oauth_private_key_file.is_some()
        || !server.oauth_scopes.is_empty()
        || server.oauth_issuer.is_some()
        || server.oauth_token_url.is_some();
    match (&server.oauth_client_id, oauth_client_secret, oauth_private_key_file) {
        (None, ..) if is_used => {
            Some((".oauth_client_id", "is needed by the other OAuth settings"))
        }
        (Some(_), None, None) => {
            Some((".oauth_client_secret", "is needed, or `oauth_private_key_file`"))
        }
        (Some(_), Some(_), Some(_)) => {
            Some((".oauth_client_secret", "and `oauth_private_key_file` exclude each other"))
        }
        (Some(_), ..) if has_authorization => {
            Some((".headers", "`Authorization` and an OAuth client exclude each other"))
        }
        (None | Some(_), ..) => None,
    }
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
    fn oauth_client_of_mcp_server_is_complete() {
        let lab = |rest: &str| format!("[mcp.lab]\nurl = \"http://lab/mcp\"\n{rest}");
        let id = "oauth_client_id = \"a\"\n";
        check(&lab("oauth_scopes = [\"a\"]"), "mcp.lab.oauth_client_id");
        check(&lab(id), "mcp.lab.oauth_client_secret");
        let secret = format!("{id}oauth_client_secret = \"canary\"\n");
        check(&lab(&secret), "oauth_client_id = \"a\"");
        let both = format!("{secret}oauth_private_key_file = \"a.pem\"");
        check(&lab(&both), "exclude each other");
        let header = format!("{secret}headers = {{ authorization = \"a\" }}");
        check(&lab(&header), "mcp.lab.headers");
        let config = Config::parse(Some(("a.toml", &*lab(&secret))), &Environment::default());
        assert!(!config.unwrap().show().contains("canary"));
    }

    #[test]
    fn mcp_header_is_hidden() {
        let text = "[mcp.lab]\nurl = \"http://lab/mcp\"\nheaders = { Authorization = \"canary\" }";
        let config = Config::parse(Some(("a.toml", text)), &Environment::default()).unwrap();
        assert!(!config.show().contains("canary"));
        assert!(!format!("{config:?}").contains("canary"));
    }
}
