//! The tools that every platform has.

mod agents;
mod search;
mod text;

use crate::{
    local::{CalculatorTool, EchoTool},
    registry::ToolPolicy,
    settings::ServicesSettings,
    tool_config_error::{PathTemplateError, ToolConfigError},
    tool_row::{ToolEndpoint, ToolRow},
};
use gateway_core::Tool;
use serde_json::{Value, json};
use std::sync::Arc;

/// Returns the tools that need no service.
pub(crate) fn local() -> [(Arc<dyn Tool>, ToolPolicy); 2] {
    let common = ToolPolicy { common: true, ..ToolPolicy::default() };
    [(Arc::new(EchoTool::new()), common), (Arc::new(CalculatorTool::new()), ToolPolicy::default())]
}

/// Returns the tools that platform services run, in display order.
///
/// # Errors
///
/// If a path in the settings is invalid.
pub(crate) fn rows(services: &ServicesSettings) -> Result<Vec<ToolRow>, ToolConfigError> {
    let mut rows = Vec::new();
    rows.extend(search::rows(services)?);
    rows.extend(text::rows(services)?);
    rows.extend(agents::rows(services)?);
    for row in &mut rows {
        row.max_bytes = services.max_bytes;
    }
    Ok(rows)
}

/// The description of a built-in tool.
struct BuiltinTool<'a> {
    name: &'a str,
    description: &'a str,
    service: &'a str,
    path: &'a str,
}

impl BuiltinTool<'_> {
    /// The row, at its usual path or at that of `services`.
    fn row(&self, services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
        let path = services.paths.get(self.name).map_or(self.path, String::as_str);
        let endpoint = ToolEndpoint::new(path).map_err(|source| self.invalid_path(source))?;
        Ok(ToolRow::new(self.name, self.description, self.service, endpoint))
    }

    /// The place where it may be instead, unless a place is configured.
    fn elsewhere(
        &self,
        services: &ServicesSettings,
        path: &str,
    ) -> Result<Option<ToolEndpoint>, ToolConfigError> {
        let configured = services.paths.contains_key(self.name);
        let endpoint = (!configured).then(|| ToolEndpoint::new(path)).transpose();
        endpoint.map_err(|source| self.invalid_path(source))
    }

    fn invalid_path(&self, source: PathTemplateError) -> ToolConfigError {
        ToolConfigError::InvalidPath { tool: self.name.to_owned(), source }
    }
}

/// The schema of an object.
fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn texts(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": description })
}

fn whole(least: u32, most: u32, description: &str) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": description })
}

fn wholes(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "integer" }, "description": description })
}

fn share(description: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 1, "description": description })
}

fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}
