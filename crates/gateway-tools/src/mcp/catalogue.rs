//! The lists of a server, as they were last read: its tools, prompts, resources and templates.

use super::{
    connection::{Connection, McpQuestion},
    message::ToolMessage,
};
use gateway_core::{
    Json, JsonObject, McpList, McpListEntry, ToolContext, ToolError, ToolErrorCode,
};
use std::sync::Arc;

/// More entries than clients can choose from.
pub(super) const MAX_ENTRIES: usize = 512;
/// More pages than such a list has.
const MAX_PAGES: usize = 64;

/// The lists of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct McpCatalogue {
    tools: Vec<McpListEntry>,
    prompts: Vec<McpListEntry>,
    resources: Vec<McpListEntry>,
    templates: Vec<McpListEntry>,
}

/// The words of a list: its method, the member of its result, and that by which an entry is known.
struct ListWords {
    method: &'static str,
    member: &'static str,
    key: &'static str,
}

const fn words(list: McpList) -> ListWords {
    let (method, member, key) = match list {
        McpList::Tools => ("tools/list", "tools", "name"),
        McpList::Prompts => ("prompts/list", "prompts", "name"),
        McpList::Resources => ("resources/list", "resources", "uri"),
        McpList::ResourceTemplates => {
            ("resources/templates/list", "resourceTemplates", "uriTemplate")
        }
    };
    ListWords { method, member, key }
}

impl McpCatalogue {
    /// Returns the lists with `tools` as that of tools.
    pub(super) fn with_tools(&self, tools: Vec<McpListEntry>) -> Self {
        Self { tools, ..self.clone() }
    }

    /// Returns the lists with all others but that of tools from `lists`.
    pub(super) fn with_lists(&self, lists: Self) -> Self {
        Self { tools: self.tools.clone(), ..lists }
    }

    /// Returns the lists that are others than those of `before`; resources and their templates are
    /// one.
    pub(super) fn changes(&self, before: &Self) -> Vec<McpList> {
        let mut changes = Vec::new();
        let mut compare = |list, is_same: bool| changes.extend((!is_same).then_some(list));
        compare(McpList::Tools, self.tools == before.tools);
        compare(McpList::Prompts, self.prompts == before.prompts);
        let is_same = self.resources == before.resources && self.templates == before.templates;
        compare(McpList::Resources, is_same);
        changes
    }

    /// Returns the entries of `list`.
    pub(super) fn entries(&self, list: McpList) -> &[McpListEntry] {
        match list {
            McpList::Tools => &self.tools,
            McpList::Prompts => &self.prompts,
            McpList::Resources => &self.resources,
            McpList::ResourceTemplates => &self.templates,
        }
    }
}

impl Connection {
    /// Reads the lists of prompts and resources. A list that the server does not have is empty.
    pub(super) async fn lists(&self) -> McpCatalogue {
        let listed = async |list| self.entries(list).await.unwrap_or_default();
        McpCatalogue {
            tools: Vec::new(),
            prompts: listed(McpList::Prompts).await,
            resources: listed(McpList::Resources).await,
            templates: listed(McpList::ResourceTemplates).await,
        }
    }

    /// Returns the entries of those of `tools` that are allowed.
    pub(super) fn tool_entries(&self, tools: &[ToolMessage]) -> Vec<McpListEntry> {
        let tools = tools.iter().filter(|tool| self.settings.allows(&tool.name));
        tools.take(MAX_ENTRIES).filter_map(|tool| self.tool_entry(tool)).collect()
    }

    async fn entries(&self, list: McpList) -> Result<Vec<McpListEntry>, ToolError> {
        let listed = self.list(list).await?;
        Ok(listed.iter().take(MAX_ENTRIES).filter_map(|json| self.entry(list, json)).collect())
    }

    fn tool_entry(&self, tool: &ToolMessage) -> Option<McpListEntry> {
        let name = self.settings.local_name(&tool.name);
        self.named(&tool.listed, name, tool.name.clone())
    }

    /// Returns the entry of `json` in the gateway's lists.
    fn entry(&self, list: McpList, json: &Json) -> Option<McpListEntry> {
        let members: JsonObject = json.read().ok()?;
        let text = |name: &str| members.get(name)?.read::<String>().ok();
        let remote = text(words(list).key)?;
        let name = [&*self.settings.prefix, &*text("name")?].concat();
        match list {
            McpList::Tools | McpList::Prompts => self.named(json, name, remote),
            // Resources are known by their URIs.
            McpList::Resources | McpList::ResourceTemplates => {
                let server = Arc::clone(&self.settings.name);
                Some(McpListEntry { server, name, remote, json: json.clone() })
            }
        }
    }

    fn named(&self, json: &Json, name: String, remote: String) -> Option<McpListEntry> {
        let mut members: JsonObject = json.read().ok()?;
        members.insert("name".to_owned(), Json::of(&name));
        let server = Arc::clone(&self.settings.name);
        Some(McpListEntry { server, name, remote, json: Json::of(&members) })
    }

    /// Reads a list, page by page.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or what it writes is no list.
    pub(super) async fn list(&self, list: McpList) -> Result<Vec<Json>, ToolError> {
        let ListWords { method, member, .. } = words(list);
        let (mut entries, mut cursor) = (Vec::new(), None::<Json>);
        for _ in 0..MAX_PAGES {
            let params = cursor.take().map(|cursor| ("cursor".to_owned(), cursor));
            let question = McpQuestion {
                method,
                params: params.into_iter().collect(),
                name: None,
                mirrored: Vec::new(),
                relay: None,
            };
            let page = self.ask(&question, &ToolContext::default()).await?;
            let mut page: JsonObject = page.read().map_err(|_| no_list())?;
            let more: Vec<Json> = match page.remove(member) {
                Some(more) => more.read().map_err(|_| no_list())?,
                None => Vec::new(),
            };
            entries.extend(more);
            cursor = page.remove("nextCursor").filter(|cursor| cursor.get() != "null");
            if cursor.is_none() || entries.len() > MAX_ENTRIES {
                break;
            }
        }
        Ok(entries)
    }
}

fn no_list() -> ToolError {
    ToolError::new(ToolErrorCode::UpstreamInvalid, "the server's list is no list")
}
