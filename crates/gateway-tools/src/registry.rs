//! The tool registry: tools and their policies.

use crate::{schema::ArgumentSchema, tool_config_error::ToolConfigError};
use gateway_core::{Function, Tool, ToolKind, ToolSpec};
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

/// The policy of a tool: timeout, service, repetition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ToolPolicy {
    /// Timeout of a call.
    pub timeout: Duration,
    /// Running it twice does no harm.
    pub idempotent: bool,
    /// The service that it depends on, whose troubles it shares with other tools.
    pub service: Option<String>,
    /// The largest result that is taken.
    pub max_bytes: usize,
    /// Whether callers often have a tool of this name: a definition with another description is a
    /// different tool, of the caller's own.
    pub common: bool,
}

impl Default for ToolPolicy {
    /// The policy of a tool without a service.
    fn default() -> Self {
        Self {
            timeout: crate::tool_row::TIMEOUT,
            idempotent: true,
            service: None,
            max_bytes: crate::tool_row::MAX_BYTES,
            common: false,
        }
    }
}

/// Tools by their names, in the order in which they came.
#[derive(Clone, Default)]
pub struct ToolRegistry {
    tools: Vec<Arc<RegisteredTool>>,
    by_name: HashMap<String, usize>,
}

/// A tool that may be called.
pub(crate) struct RegisteredTool {
    pub(crate) tool: Arc<dyn Tool>,
    pub(crate) spec: Arc<ToolSpec>,
    pub(crate) schema: ArgumentSchema,
    pub(crate) policy: ToolPolicy,
}

impl RegisteredTool {
    /// Whether `described`, which has its name, is this tool.
    pub(crate) fn recognizes(&self, described: &ToolSpec) -> bool {
        described.may_describe(&self.spec)
            && (!self.policy.common || words(described) == words(&self.spec))
    }
}

impl ToolRegistry {
    /// Adds a tool. One of the same name is replaced: configuration comes after what is built in.
    ///
    /// # Errors
    ///
    /// If it is no function, has a name that models cannot call, or a schema that cannot be read.
    pub fn add(&mut self, tool: Arc<dyn Tool>, policy: ToolPolicy) -> Result<(), ToolConfigError> {
        let spec = Arc::new(tool.spec().clone());
        let name = spec.name().to_owned();
        if !is_name(&name) {
            return Err(ToolConfigError::InvalidName(name));
        }
        let ToolKind::Function(Function { parameters, .. }) = &spec.kind else {
            return Err(ToolConfigError::NotAFunction(name));
        };
        let schema = parameters.as_ref().map_or("true", |schema| schema.get());
        let schema = ArgumentSchema::parse(schema)
            .map_err(|source| ToolConfigError::InvalidSchema { tool: name.clone(), source })?;
        let registered = Arc::new(RegisteredTool { tool, spec, schema, policy });
        if let Some(known) = self.by_name.get(&name).and_then(|at| self.tools.get_mut(*at)) {
            *known = registered;
        } else {
            self.by_name.insert(name, self.tools.len());
            self.tools.push(registered);
        }
        Ok(())
    }

    /// Whether there is a tool called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Returns a copy in which the tools of `service` are replaced by `tools`. Those with a taken
    /// name or an invalid schema are skipped and logged.
    pub(crate) fn with_service(
        &self,
        service: &str,
        tools: &[(Arc<dyn Tool>, ToolPolicy)],
    ) -> Self {
        let mut all = Self::default();
        let others = self.tools.iter().filter(|it| it.policy.service.as_deref() != Some(service));
        for other in others {
            all.by_name.insert(other.spec.name().to_owned(), all.tools.len());
            all.tools.push(Arc::clone(other));
        }
        for (tool, policy) in tools {
            let name = tool.spec().name();
            let added = if all.contains(name) {
                Err(ToolConfigError::DuplicateName(name.to_owned()))
            } else {
                all.add(Arc::clone(tool), policy.clone())
            };
            if let Err(why) = added {
                tracing::warn!(target: "gateway::tool", service, "skipping a tool: {why}");
            }
        }
        all
    }

    /// Returns the names of all tools.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().map(|it| it.spec.name())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<RegisteredTool>> {
        self.tools.get(*self.by_name.get(name)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &RegisteredTool> {
        self.tools.iter().map(AsRef::as_ref)
    }
}

/// Returns the description of a function tool.
fn words(spec: &ToolSpec) -> Option<&str> {
    match &spec.kind {
        ToolKind::Function(function) => function.description.as_deref(),
        ToolKind::Custom(_) | ToolKind::Hosted(_) => None,
    }
}

/// Returns whether every provider accepts `name` as a function name.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl fmt::Debug for ToolRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.tools.iter().map(|it| it.spec.name())).finish()
    }
}
