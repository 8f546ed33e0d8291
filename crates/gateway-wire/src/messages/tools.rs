//! Tools and tool choices: decoding those of callers, encoding those for the provider.

use super::{
    cache_control::{self, CacheControlOutWire},
    decode_request::wrong,
    json_schema,
};
use gateway_core::{
    CacheControl, ChatRequest, Dialect, Function, GatewayError, Json, Opaque, Result, ToolChoice,
    ToolKind, ToolSpec,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct ToolTagWire<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolInWire {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    input_schema: Option<Json>,
    #[serde(default)]
    strict: Option<bool>,
}

/// Decodes the `tools` of a request.
pub(super) fn decode_tools(value: &RawValue) -> Result<Vec<ToolSpec>> {
    let tools: Vec<&RawValue> =
        serde_json::from_str(value.get()).map_err(|error| wrong("tools", error))?;
    tools.into_iter().enumerate().map(|(index, tool)| decode_tool(tool, index)).collect()
}

/// A tool is the caller's own unless its type says otherwise.
fn decode_tool(tool: &RawValue, index: usize) -> Result<ToolSpec> {
    let wrong = |error| wrong(format!("tools.{index}"), error);
    let tag: ToolTagWire<'_> = serde_json::from_str(tool.get()).map_err(wrong)?;
    let kind = match tag.kind.as_deref() {
        None | Some("custom") => {
            let it: ToolInWire = serde_json::from_str(tool.get()).map_err(wrong)?;
            ToolKind::Function(Function {
                name: it.name,
                description: it.description,
                parameters: it.input_schema,
                strict: it.strict,
            })
        }
        Some(kind) => ToolKind::Hosted(Opaque {
            dialect: Dialect::Messages,
            kind: kind.to_owned(),
            json: Json::from(tool),
        }),
    };
    Ok(ToolSpec { kind, cache: tag.cache_control.and_then(cache_control::read) })
}

/// The `tool_choice` of a request.
#[derive(Deserialize)]
pub(super) struct ToolChoiceInWire {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    disable_parallel_tool_use: Option<bool>,
}

impl ToolChoiceInWire {
    /// Splits into the tool choice and the parallel-calls flag; nothing for a kind of choice that is
    /// not known.
    pub(super) fn split(self) -> Result<Option<(ToolChoice, Option<bool>)>> {
        let choice = match (&*self.kind, self.name) {
            ("auto", _) => ToolChoice::Auto,
            ("any", _) => ToolChoice::Required,
            ("none", _) => ToolChoice::None,
            ("tool", Some(name)) => ToolChoice::Named(name),
            ("tool", None) => {
                return Err(GatewayError::invalid("tool_choice.name", "the tool has no name"));
            }
            _ => return Ok(None),
        };
        Ok(Some((choice, self.disable_parallel_tool_use.map(|disable| !disable))))
    }
}

/// A tool definition for the provider.
#[derive(Debug)]
pub(super) struct OfferedTool<'a> {
    tool: MessagesToolWire<'a>,
    pub(super) cache: Option<CacheControl>,
}

#[derive(Debug)]
enum MessagesToolWire<'a> {
    Function { it: &'a Function, input_schema: Json },
    Hosted(&'a Json),
}

/// The tools of `request` that the model may call.
///
/// # Errors
///
/// If one of them is of a kind that only another provider has; the error names it.
pub(super) fn encode_tools(request: &ChatRequest) -> Result<Vec<OfferedTool<'_>>> {
    let is_allowed = |tool: &&ToolSpec| match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => names.iter().any(|name| name == tool.name()),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Named(_))
        | None => true,
    };
    request.tools.iter().filter(is_allowed).map(encode_tool).collect()
}

fn encode_tool(spec: &ToolSpec) -> Result<OfferedTool<'_>> {
    let tool = match &spec.kind {
        ToolKind::Function(it) => {
            let input_schema = json_schema::of_arguments(it.parameters.as_ref());
            let is_strict = it.strict == Some(true);
            let input_schema =
                if is_strict { json_schema::compilable(&input_schema) } else { input_schema };
            MessagesToolWire::Function { it, input_schema }
        }
        ToolKind::Hosted(it) if it.dialect == Dialect::Messages => {
            MessagesToolWire::Hosted(&it.json)
        }
        ToolKind::Hosted(_) | ToolKind::Custom(_) => return Err(unsayable(spec.name())),
    };
    // What a hosted tool says of the cache stands in its own words already.
    let cache = spec.cache.filter(|_| matches!(tool, MessagesToolWire::Function { .. }));
    Ok(OfferedTool { tool, cache })
}

impl<'a> OfferedTool<'a> {
    /// The tool in its own words, if it is not in ours.
    pub(super) const fn raw(&self) -> Option<&'a Json> {
        match self.tool {
            MessagesToolWire::Hosted(json) => Some(json),
            MessagesToolWire::Function { .. } => None,
        }
    }
}

fn unsayable(name: &str) -> GatewayError {
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    GatewayError::invalid("tools", format!("the model's provider has no tool like '{name}'"))
}

impl Serialize for OfferedTool<'_> {
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
            cache_control: Option<CacheControlOutWire>,
        }
        match &self.tool {
            MessagesToolWire::Hosted(json) => json.serialize(serializer),
            MessagesToolWire::Function { it, input_schema } => Wire {
                name: &it.name,
                description: it.description.as_deref().filter(|text| !text.is_empty()),
                input_schema,
                strict: it.strict.filter(|strict| *strict),
                cache_control: self.cache.map(CacheControlOutWire::from),
            }
            .serialize(serializer),
        }
    }
}

/// `tool_choice` on the wire.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToolChoiceOutWire<'a> {
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

/// Encodes the tool choice; `None` for the default.
pub(super) fn encode_choice(request: &ChatRequest) -> Option<ToolChoiceOutWire<'_>> {
    let disable_parallel_tool_use = request.parallel_tool_calls == Some(false);
    match &request.tool_choice {
        None if !disable_parallel_tool_use => None,
        None | Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => {
            Some(ToolChoiceOutWire::Auto { disable_parallel_tool_use })
        }
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => {
            Some(ToolChoiceOutWire::Any { disable_parallel_tool_use })
        }
        Some(ToolChoice::Named(name)) => {
            Some(ToolChoiceOutWire::Tool { name, disable_parallel_tool_use })
        }
        Some(ToolChoice::None) => Some(ToolChoiceOutWire::None),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
