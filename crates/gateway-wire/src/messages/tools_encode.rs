//! Tools, and which of them the model may call.

use super::{cache_control::Mark, json_schema};
use gateway_core::{
    CacheControl, ChatRequest, Dialect, Function, GatewayError, Json, Result, ToolChoice, ToolKind,
    ToolSpec,
};
use serde::{Serialize, Serializer};

/// A tool that is to be offered.
#[derive(Debug)]
pub(super) struct Offer<'a> {
    tool: Tool<'a>,
    pub(super) cache: Option<CacheControl>,
}

#[derive(Debug)]
enum Tool<'a> {
    Function { it: &'a Function, input_schema: Json },
    Hosted(&'a Json),
}

/// The tools of `request` that the model may call.
///
/// # Errors
///
/// If one of them is of a kind that only another provider has; the error names it.
pub(super) fn offers(request: &ChatRequest) -> Result<Vec<Offer<'_>>> {
    let is_allowed = |tool: &&ToolSpec| match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => names.iter().any(|name| name == tool.name()),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Named(_))
        | None => true,
    };
    request.tools.iter().filter(is_allowed).map(offer).collect()
}

fn offer(spec: &ToolSpec) -> Result<Offer<'_>> {
    let tool = match &spec.kind {
        ToolKind::Function(it) => {
            let input_schema = json_schema::of_arguments(it.parameters.as_ref());
            let is_strict = it.strict == Some(true);
            let input_schema =
                if is_strict { json_schema::compilable(&input_schema) } else { input_schema };
            Tool::Function { it, input_schema }
        }
        ToolKind::Hosted(it) if it.dialect == Dialect::Messages => Tool::Hosted(&it.json),
        ToolKind::Hosted(_) | ToolKind::Custom(_) => return Err(unsayable(spec.name())),
    };
    // What a hosted tool says of the cache stands in its own words already.
    let cache = spec.cache.filter(|_| matches!(tool, Tool::Function { .. }));
    Ok(Offer { tool, cache })
}

impl<'a> Offer<'a> {
    /// The tool in its own words, if it is not in ours.
    pub(super) const fn raw(&self) -> Option<&'a Json> {
        match self.tool {
            Tool::Hosted(json) => Some(json),
            Tool::Function { .. } => None,
        }
    }
}

fn unsayable(name: &str) -> GatewayError {
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    GatewayError::invalid("tools", format!("the model's provider has no tool like '{name}'"))
}

impl Serialize for Offer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            description: Option<&'a str>,
            input_schema: &'a Json,
            #[serde(skip_serializing_if = "Option::is_none")]
            strict: Option<bool>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cache_control: Option<Mark>,
        }
        match &self.tool {
            Tool::Hosted(json) => json.serialize(serializer),
            Tool::Function { it, input_schema } => Wire {
                name: &it.name,
                description: it.description.as_deref().filter(|text| !text.is_empty()),
                input_schema,
                strict: it.strict.filter(|strict| *strict),
                cache_control: self.cache.map(Mark::from),
            }
            .serialize(serializer),
        }
    }
}

/// `tool_choice` on the wire.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Choice<'a> {
    Auto {
        #[serde(skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    Any {
        #[serde(skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    Tool {
        name: &'a str,
        #[serde(skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    None,
}

/// Which of the tools the model may or must call; nothing if that goes without saying.
pub(super) fn choice(request: &ChatRequest) -> Option<Choice<'_>> {
    let disable_parallel_tool_use = request.parallel_tool_calls == Some(false);
    match &request.tool_choice {
        None if !disable_parallel_tool_use => None,
        None | Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => {
            Some(Choice::Auto { disable_parallel_tool_use })
        }
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => {
            Some(Choice::Any { disable_parallel_tool_use })
        }
        Some(ToolChoice::Named(name)) => Some(Choice::Tool { name, disable_parallel_tool_use }),
        Some(ToolChoice::None) => Some(Choice::None),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
