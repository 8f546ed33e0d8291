//! Tools that services run, as data.

use crate::{path::PathTemplate, schema::ArgumentSchema, tool_config_error::PathTemplateError};
use http::Method;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

/// A tool that a service of the platform runs.
#[derive(Clone, Debug)]
pub struct ToolRow {
    /// The name by which models call it.
    pub name: String,
    /// Description for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: Value,
    /// Service that runs the tool.
    pub service: String,
    /// HTTP method. `GET` and `DELETE` carry arguments in the query, others in a body.
    pub method: Method,
    /// Path and argument mapping.
    pub endpoint: ToolEndpoint,
    /// Fallback endpoint, used if the first is not found.
    pub fallback: Option<ToolEndpoint>,
    /// Timeout of a call.
    pub timeout: Duration,
    /// Doing it twice does no harm.
    pub idempotent: bool,
    /// The largest answer that is taken.
    pub max_bytes: usize,
    /// The argument that the user's taxonomy is given in, if the model does not give one.
    pub taxonomy: Option<String>,
    /// The argument that the session's tiers are given in, if the model does not give any.
    pub tier_filter: Option<String>,
    /// Members of the payload that a service may not know: if it says so, it is asked without them.
    pub droppable: Vec<String>,
}

/// A path template and the mapping of its other arguments.
#[derive(Clone, Debug)]
pub struct ToolEndpoint {
    /// The path, with places for arguments.
    pub path: PathTemplate,
    /// Position of arguments in the payload, if not their own name: `source.book`.
    pub places: BTreeMap<String, String>,
}

/// Default timeout of a tool.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is taken unless a row says otherwise.
pub(crate) const MAX_BYTES: usize = 1 << 20;

impl ToolRow {
    /// A tool that is asked with `POST`, and does no harm if it is asked twice.
    pub fn new(name: &str, description: &str, service: &str, endpoint: ToolEndpoint) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            schema: Value::Object(Map::new()),
            service: service.to_owned(),
            method: Method::POST,
            endpoint,
            fallback: None,
            timeout: TIMEOUT,
            idempotent: true,
            max_bytes: MAX_BYTES,
            taxonomy: None,
            tier_filter: None,
            droppable: Vec::new(),
        }
    }
}

impl ToolEndpoint {
    /// Creates an endpoint at `path`, with arguments under their own names.
    ///
    /// # Errors
    ///
    /// If the path is invalid.
    pub fn new(path: &str) -> Result<Self, PathTemplateError> {
        Ok(Self { path: PathTemplate::parse(path)?, places: BTreeMap::new() })
    }

    /// Puts an argument elsewhere.
    #[must_use]
    pub fn put(mut self, argument: &str, place: &str) -> Self {
        self.places.insert(argument.to_owned(), place.to_owned());
        self
    }

    /// Builds the payload from the `arguments` that `schema` names.
    pub(crate) fn payload(
        &self,
        arguments: Map<String, Value>,
        schema: &ArgumentSchema,
    ) -> Map<String, Value> {
        let mut payload = Map::new();
        for (name, value) in arguments.into_iter().filter(|(name, _)| schema.names(name)) {
            match self.places.get(&name) {
                Some(place) => insert(&mut payload, place, value),
                None => drop(payload.insert(name, value)),
            }
        }
        payload
    }
}

fn insert(object: &mut Map<String, Value>, place: &str, value: Value) {
    let Some((outer, inner)) = place.split_once('.') else {
        object.insert(place.to_owned(), value);
        return;
    };
    let member = object.entry(outer).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(member) = member {
        insert(member, inner, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(arguments: Value, expected: Value) {
        let endpoint = ToolEndpoint::new("/x")
            .unwrap()
            .put("top_k", "limit")
            .put("book", "source.book")
            .put("title", "source.title")
            .put("deep", "a.b.c");
        let names = ["q", "top_k", "book", "title", "deep"];
        let properties: Map<_, _> =
            names.map(|name| (name.to_owned(), json!({}))).into_iter().collect();
        let schema =
            ArgumentSchema::parse(&json!({ "properties": properties }).to_string()).unwrap();
        let Value::Object(arguments) = arguments else { panic!("an object") };
        assert_eq!([Value::Object(endpoint.payload(arguments, &schema))], [expected]);
    }

    #[test]
    fn arguments_are_mapped_to_path_query_and_body() {
        check(json!({ "q": "x", "top_k": 5 }), json!({ "q": "x", "limit": 5 }));
        check(
            json!({ "book": "b", "title": "t", "deep": 1 }),
            json!({ "source": { "book": "b", "title": "t" }, "a": { "b": { "c": 1 } } }),
        );
    }

    #[test]
    fn unset_argument_is_not_sent() {
        check(json!({}), json!({}));
    }

    #[test]
    fn unknown_argument_is_not_sent() {
        check(json!({ "q": 1, "admin": true }), json!({ "q": 1 }));
    }
}
