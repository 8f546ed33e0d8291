//! Tools that callers offer.

use super::{cache_control, decode_request::wrong};
use gateway_core::{
    Dialect, Function, GatewayError, Json, Opaque, Result, ToolChoice, ToolKind, ToolSpec,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Wire {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    input_schema: Option<Json>,
    #[serde(default)]
    strict: Option<bool>,
}

/// Reads `tools`.
pub(super) fn tools(value: &Json) -> Result<Vec<ToolSpec>> {
    let tools: Vec<&RawValue> = value.read().map_err(|error| wrong("tools", error))?;
    tools.into_iter().enumerate().map(|(index, tool)| read(tool, index)).collect()
}

/// A tool is the caller's own unless its type says otherwise.
fn read(tool: &RawValue, index: usize) -> Result<ToolSpec> {
    let wrong = |error| wrong(format!("tools.{index}"), error);
    let tag: Tag<'_> = serde_json::from_str(tool.get()).map_err(wrong)?;
    let kind = match tag.kind.as_deref() {
        None | Some("custom") => {
            let it: Wire = serde_json::from_str(tool.get()).map_err(wrong)?;
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

/// `tool_choice`.
#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    disable_parallel_tool_use: Option<bool>,
}

impl Choice {
    /// Which tools to call, and whether several at once.
    pub(super) fn split(self) -> Result<(ToolChoice, Option<bool>)> {
        let choice = match (&*self.kind, self.name) {
            ("auto", _) => ToolChoice::Auto,
            ("any", _) => ToolChoice::Required,
            ("none", _) => ToolChoice::None,
            ("tool", Some(name)) => ToolChoice::Named(name),
            ("tool", None) => {
                return Err(GatewayError::invalid("tool_choice.name", "the tool has no name"));
            }
            _ => {
                let message = "a choice is auto, any, tool or none";
                return Err(GatewayError::invalid("tool_choice.type", message));
            }
        };
        Ok((choice, self.disable_parallel_tool_use.map(|disable| !disable)))
    }
}
