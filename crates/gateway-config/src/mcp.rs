//! Servers of tools that speak the Model Context Protocol.

use super::{
    network::{Header, Url},
    node::{Content, Table},
    problem::Problem,
    providers::{is_header, is_name, printable},
    section::{Reader, section},
    server::Size,
};
use std::{collections::BTreeMap, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

section! {
    /// A server of tools that speaks the Model Context Protocol over HTTP, at `[mcp.NAME]`.
    pub Mcp {
        /// Where it answers.
        url: Option<Url> = None;
        /// Headers sent with every request, such as its key.
        headers: BTreeMap<String, Header> = BTreeMap::new();
        /// What stands before the names of its tools.
        /// If it is not said: its name and `_`.
        prefix: Option<String> = None;
        /// The tools that are taken, by the server's own names; `*` at the end stands for any rest.
        /// All if there are none.
        tools: Vec<String> = Vec::new();
        /// How long a call may take.
        timeout: Duration = Duration::from_secs(30), within SECOND..=LONGEST;
        /// Whether doing any of them twice does no harm.
        idempotent: bool = false;
        /// The largest result that is taken.
        max_response_bytes: Size = Size(1 << 20), within Size(1 << 10)..=Size(32 << 20);
    }
}

impl Mcp {
    /// What stands before the names of its tools.
    pub fn prefix(&self, name: &str) -> String {
        self.prefix.clone().unwrap_or_else(|| format!("{name}_"))
    }
}

/// Reads `[mcp.NAME]`.
pub(super) fn read(root: &Table, problems: &mut Vec<Problem>) -> BTreeMap<String, Mcp> {
    let Some(node) = root.get("mcp") else { return BTreeMap::new() };
    let Content::Table(table) = &node.content else {
        let message = format!("expected a table, found {}", node.kind());
        problems.push(Problem::new("mcp", message).source(node.source.clone()));
        return BTreeMap::new();
    };
    let mut servers = BTreeMap::new();
    for (name, node) in table {
        let path = format!("mcp.{}", printable(name));
        let before = problems.len();
        let server: Mcp = Reader::read(path.clone(), Some(node), problems);
        let mut wrong = |field: &str, message: String| {
            let problem = Problem::new(format!("{path}{field}"), message);
            problems.push(problem.source(node.source.clone()));
        };
        if !is_name(name) {
            wrong("", "a name is made of letters, digits, `-`, `_` and `.`".to_owned());
        }
        if let Some(header) = server.headers.keys().find(|name| !is_header(name)) {
            wrong(".headers", format!("`{}` is not the name of a header", printable(header)));
        }
        if server.url.is_none() && problems.len() == before {
            let problem = Problem::new(format!("{path}.url"), "is needed");
            problems.push(problem.source(node.source.clone()));
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
    fn a_server_is_an_address() {
        check("[mcp.lab]\nurl = \"http://lab/mcp\"", "[mcp.\"lab\"]\nurl = \"http://lab/mcp\"");
        check("[mcp.lab]\ntools = [\"a\"]", "mcp.lab.url");
        check("[mcp.lab]\nurl = \"http://lab\"\nurls = 1", "mcp.lab.urls");
        check("[mcp.\"a b\"]\nurl = \"http://lab\"", "a name is made of");
        check("mcp = 1", "expected a table");
    }

    #[test]
    fn its_key_is_not_shown() {
        let text = "[mcp.lab]\nurl = \"http://lab/mcp\"\nheaders = { Authorization = \"canary\" }";
        let config = Config::parse(Some(("a.toml", text)), &Environment::default()).unwrap();
        assert!(!config.show().contains("canary"));
        assert!(!format!("{config:?}").contains("canary"));
    }
}
