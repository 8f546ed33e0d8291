//! The tools that every platform has.

mod agents;
mod search;
mod text;

use crate::{
    local::{Calculator, Echo},
    registry::Policy,
    row::{Endpoint, Row},
    settings::ServicesSettings,
};
use gateway_core::Tool;
use serde_json::{Value, json};
use std::sync::Arc;

/// Those that need nobody.
pub(crate) fn local() -> [(Arc<dyn Tool>, Policy); 2] {
    let common = Policy { common: true, ..Policy::default() };
    [(Arc::new(Echo::new()), common), (Arc::new(Calculator::new()), Policy::default())]
}

/// Those that services run, in the order in which they are shown.
///
/// # Errors
///
/// If a path of the settings is none.
pub(crate) fn rows(services: &ServicesSettings) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    rows.extend(search::rows(services)?);
    rows.extend(text::rows(services)?);
    rows.extend(agents::rows(services)?);
    for row in &mut rows {
        row.max_bytes = services.max_bytes;
    }
    Ok(rows)
}

/// What is said of a built-in tool in one line.
struct Line<'a> {
    name: &'a str,
    description: &'a str,
    service: &'a str,
    path: &'a str,
}

impl Line<'_> {
    /// The row, at its usual path or at that of `services`.
    fn row(&self, services: &ServicesSettings) -> Result<Row, String> {
        let path = services.paths.get(self.name).map_or(self.path, String::as_str);
        let endpoint = Endpoint::new(path).map_err(|why| format!("'{}': {why}", self.name))?;
        Ok(Row::new(self.name, self.description, self.service, endpoint))
    }

    /// The place where it may be instead, unless a place is configured.
    fn elsewhere(
        &self,
        services: &ServicesSettings,
        path: &str,
    ) -> Result<Option<Endpoint>, String> {
        let configured = services.paths.contains_key(self.name);
        (!configured).then(|| Endpoint::new(path)).transpose()
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
