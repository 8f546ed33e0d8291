//! Tools: specifications, calls, and the port to their implementation.

use crate::{CacheControl, Json, Opaque, Seal, ToolContext, ToolError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tool, as described to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Kind and definition of the tool.
    pub kind: ToolKind,
    /// The caller's wish that the prompt be cached up to here.
    pub cache: Option<CacheControl>,
}

/// The kinds of tools.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind {
    /// Takes JSON that fits a schema.
    Function(Function),
    /// Takes free text, perhaps of a grammar: OpenAI's `custom` tools.
    Custom(Custom),
    /// Runs at the provider: web search and the like.
    Hosted(Opaque),
}

/// A function that a model may call with JSON arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Function {
    /// Unique within a request.
    pub name: String,
    /// Description for the model.
    pub description: Option<String>,
    /// JSON Schema of the arguments; absent for a function without any.
    pub parameters: Option<Json>,
    /// The arguments must fit the schema exactly.
    pub strict: Option<bool>,
}

/// A tool that takes free text.
#[derive(Clone, Debug, PartialEq)]
pub struct Custom {
    /// Unique within a request.
    pub name: String,
    /// Description for the model.
    pub description: Option<String>,
    /// The grammar of the text, as OpenAI writes it.
    pub format: Option<Json>,
}

/// A request, by the model, to run a tool.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ToolCall {
    /// Unique within a conversation; echoed in the result.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// For a function JSON exactly as the model wrote it, possibly invalid; else free text.
    pub arguments: String,
    /// The tool takes free text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub custom: bool,
    /// The provider's proof that its model made this call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// The tool choice: tools the model may, must or must not call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ToolChoice {
    /// The model decides whether to call a tool.
    Auto,
    /// The model calls no tool.
    None,
    /// The model calls at least one tool.
    Required,
    /// The model calls the tool of this name.
    Named(String),
    /// Only these; at least one of them if `required`.
    Allowed {
        /// The tools that may be called.
        names: Vec<String>,
        /// Whether one must be.
        required: bool,
    },
}

impl ToolSpec {
    /// Creates the specification of a function tool.
    pub fn function(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Json,
    ) -> Self {
        Self {
            kind: ToolKind::Function(Function {
                name: name.into(),
                description: Some(description.into()),
                parameters: Some(parameters),
                strict: None,
            }),
            cache: None,
        }
    }

    /// The name by which the model calls it; of a hosted tool, its kind.
    pub fn name(&self) -> &str {
        match &self.kind {
            ToolKind::Function(function) => &function.name,
            ToolKind::Custom(custom) => &custom.name,
            ToolKind::Hosted(hosted) => &hosted.kind,
        }
    }

    /// Whether this may be a description of `tool`, in other words: both are functions, and this one
    /// has a parameter for each argument without which that one cannot be called. A description
    /// without parameters leaves that open. Names are not looked at.
    pub fn may_describe(&self, tool: &Self) -> bool {
        let (ToolKind::Function(described), ToolKind::Function(known)) = (&self.kind, &tool.kind)
        else {
            return false;
        };
        let Parameters { properties, .. } = Parameters::of(described);
        let needed = Parameters::of(known).required;
        properties.is_empty() || needed.iter().all(|name| properties.contains_key(name))
    }
}

/// The members of a schema that list its arguments. Other keywords are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    properties: BTreeMap<String, Json>,
    required: Vec<String>,
}

impl Parameters {
    fn of(function: &Function) -> Self {
        let schema = function.parameters.as_ref();
        schema.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
    }
}

/// Something a model may call and the gateway runs.
///
/// ```
/// use async_trait::async_trait;
/// use gateway_core::{Json, Tool, ToolContext, ToolError, ToolSpec};
///
/// struct Clock(ToolSpec);
///
/// #[async_trait]
/// impl Tool for Clock {
///     fn spec(&self) -> &ToolSpec {
///         &self.0
///     }
///
///     async fn call(&self, _: &str, _: &ToolContext) -> Result<Json, ToolError> {
///         Ok(Json::of(&"noon"))
///     }
/// }
/// ```
#[cfg_attr(feature = "test-support", mockall::automock)]
#[async_trait]
pub trait Tool: Send + Sync {
    /// Returns the specification that is sent to the model.
    fn spec(&self) -> &ToolSpec;

    /// Runs the tool with the model's arguments, which may not be valid JSON.
    ///
    /// Dropping the future cancels the work.
    async fn call(&self, arguments: &str, context: &ToolContext) -> Result<Json, ToolError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[track_caller]
    fn check(described: &str, known: &str, expected: bool) {
        let spec = |schema: &str| {
            ToolSpec::function("f", "", Json::of(&serde_json::from_str::<Value>(schema).unwrap()))
        };
        assert_eq!(spec(described).may_describe(&spec(known)), expected, "{described} {known}");
    }

    #[test]
    fn tool_is_recognized_by_required_parameters() {
        let sum = r#"{"properties":{"a":{},"b":{},"operation":{}},"required":["a","b"]}"#;
        check(sum, sum, true);
        check(r#"{"properties":{"a":{},"b":{},"more":{}}}"#, sum, true);
        check(r#"{"properties":{"a":{"type":"string"}}}"#, sum, false);
        check(r#"{"properties":{"expression":{}},"required":["expression"]}"#, sum, false);
        check(r#"{"type":"object"}"#, sum, true);
        check(r#"{"properties":{"x":{}}}"#, r#"{"properties":{"y":{}}}"#, true);
        check(r#"{"properties":[]}"#, sum, true);
    }
}
