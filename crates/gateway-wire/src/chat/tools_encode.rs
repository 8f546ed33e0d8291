//! Writes the tools of a request, and which of them the model may call.

use super::{
    encode_request_parts::CacheMarkWire,
    quirks::{ChatFeature, Quirks},
};
use gateway_core::{
    ChatRequest, Custom, Dialect, DroppedParams, Function, Json, ToolChoice, ToolKind, ToolSpec,
};
use serde::{Serialize, Serializer};

/// A tool definition as this dialect writes it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ChatToolWire<'a> {
    Known(TaggedToolWire<'a>),
    Raw(&'a Json),
}

#[derive(Serialize)]
pub(super) struct TaggedToolWire<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionToolWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<CustomToolWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheMarkWire>,
}

#[derive(Serialize)]
struct FunctionToolWire<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct CustomToolWire<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a Json>,
}

/// Encodes the tools that the upstream supports.
pub(super) fn tools<'a>(
    quirks: &Quirks,
    request: &'a ChatRequest,
    dropped: &mut DroppedParams,
) -> Vec<ChatToolWire<'a>> {
    // Where the choice cannot be narrowed, the list is.
    let offered = |tool: &&ToolSpec| match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) if !quirks.knows(ChatFeature::CustomTools) => {
            names.iter().any(|name| name == tool.name())
        }
        _ => true,
    };
    request.tools.iter().filter(offered).filter_map(|spec| tool(quirks, spec, dropped)).collect()
}

fn tool<'a>(
    quirks: &Quirks,
    spec: &'a ToolSpec,
    dropped: &mut DroppedParams,
) -> Option<ChatToolWire<'a>> {
    let cache_control = CacheMarkWire::of(spec.cache, quirks, dropped);
    match &spec.kind {
        ToolKind::Function(Function { name, description, parameters, strict }) => {
            let description = description.as_deref();
            let parameters = parameters.as_ref();
            let function =
                Some(FunctionToolWire { name, description, parameters, strict: *strict });
            Some(ChatToolWire::Known(TaggedToolWire {
                r#type: "function",
                function,
                custom: None,
                cache_control,
            }))
        }
        ToolKind::Custom(Custom { name, description, format })
            if quirks.knows(ChatFeature::CustomTools) =>
        {
            let description = description.as_deref();
            let custom = Some(CustomToolWire { name, description, format: format.as_ref() });
            Some(ChatToolWire::Known(TaggedToolWire {
                r#type: "custom",
                function: None,
                custom,
                cache_control,
            }))
        }
        ToolKind::Custom(_) => {
            dropped.insert("tools.custom");
            None
        }
        ToolKind::Hosted(hosted) if hosted.dialect == Dialect::Chat => {
            Some(ChatToolWire::Raw(&hosted.json))
        }
        ToolKind::Hosted(hosted) => {
            dropped.insert(format!("tools.{}", hosted.kind));
            None
        }
    }
}

/// The `tool_choice` of a request to an upstream.
pub(super) struct ChatToolChoiceWire<'a> {
    quirks: &'a Quirks,
    request: &'a ChatRequest,
    wish: &'a ToolChoice,
}

pub(super) const fn choice<'a>(
    quirks: &'a Quirks,
    request: &'a ChatRequest,
    wish: &'a ToolChoice,
) -> ChatToolChoiceWire<'a> {
    ChatToolChoiceWire { quirks, request, wish }
}

#[derive(Serialize)]
struct NamedToolWire<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<ToolNameWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<ToolNameWire<'a>>,
}

#[derive(Serialize)]
struct ToolNameWire<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct AllowedToolsWire<'a> {
    r#type: &'static str,
    allowed_tools: AllowedToolListWire<'a>,
}

#[derive(Serialize)]
struct AllowedToolListWire<'a> {
    mode: &'static str,
    tools: Vec<NamedToolWire<'a>>,
}

impl<'a> ChatToolChoiceWire<'a> {
    fn named_tool(&self, name: &'a str) -> NamedToolWire<'a> {
        let is_custom = |tool: &ToolSpec| matches!(tool.kind, ToolKind::Custom(_));
        if self.request.tools.iter().any(|tool| tool.name() == name && is_custom(tool)) {
            NamedToolWire { r#type: "custom", function: None, custom: Some(ToolNameWire { name }) }
        } else {
            NamedToolWire {
                r#type: "function",
                function: Some(ToolNameWire { name }),
                custom: None,
            }
        }
    }
}

impl Serialize for ChatToolChoiceWire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.wish {
            ToolChoice::Auto => serializer.serialize_str("auto"),
            ToolChoice::None => serializer.serialize_str("none"),
            ToolChoice::Required => serializer.serialize_str("required"),
            ToolChoice::Named(name) => self.named_tool(name).serialize(serializer),
            ToolChoice::Allowed { names, required } => {
                let mode = if *required { "required" } else { "auto" };
                if !self.quirks.knows(ChatFeature::CustomTools) {
                    return serializer.serialize_str(mode);
                }
                let tools = names.iter().map(|name| self.named_tool(name)).collect();
                let allowed_tools = AllowedToolListWire { mode, tools };
                AllowedToolsWire { r#type: "allowed_tools", allowed_tools }.serialize(serializer)
            }
        }
    }
}
