//! Writes the tools of a request, and which of them the model may call.

use super::{
    encode_request_parts::Cache,
    quirks::{Feature, Quirks},
};
use gateway_core::{
    ChatRequest, Custom, Dialect, DroppedParams, Function, Json, ToolChoice, ToolKind, ToolSpec,
};
use serde::{Serialize, Serializer};

/// A tool.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Tool<'a> {
    Known(Known<'a>),
    Raw(&'a Json),
}

#[derive(Serialize)]
pub(super) struct Known<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<CustomOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Cache>,
}

#[derive(Serialize)]
struct FunctionOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct CustomOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a Json>,
}

/// The tools that the upstream can be told of.
pub(super) fn tools<'a>(
    quirks: &Quirks,
    request: &'a ChatRequest,
    dropped: &mut DroppedParams,
) -> Vec<Tool<'a>> {
    // Where the choice cannot be narrowed, the list is.
    let offered = |tool: &&ToolSpec| match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) if !quirks.knows(Feature::CustomTools) => {
            names.iter().any(|name| name == tool.name())
        }
        _ => true,
    };
    request.tools.iter().filter(offered).filter_map(|spec| tool(quirks, spec, dropped)).collect()
}

fn tool<'a>(quirks: &Quirks, spec: &'a ToolSpec, dropped: &mut DroppedParams) -> Option<Tool<'a>> {
    let cache_control = Cache::of(spec.cache, quirks, dropped);
    match &spec.kind {
        ToolKind::Function(Function { name, description, parameters, strict }) => {
            let description = description.as_deref();
            let parameters = parameters.as_ref();
            let function = Some(FunctionOut { name, description, parameters, strict: *strict });
            Some(Tool::Known(Known { r#type: "function", function, custom: None, cache_control }))
        }
        ToolKind::Custom(Custom { name, description, format })
            if quirks.knows(Feature::CustomTools) =>
        {
            let description = description.as_deref();
            let custom = Some(CustomOut { name, description, format: format.as_ref() });
            Some(Tool::Known(Known { r#type: "custom", function: None, custom, cache_control }))
        }
        ToolKind::Custom(_) => {
            dropped.insert("tools.custom");
            None
        }
        ToolKind::Hosted(hosted) if hosted.dialect == Dialect::Chat => {
            Some(Tool::Raw(&hosted.json))
        }
        ToolKind::Hosted(hosted) => {
            dropped.insert(format!("tools.{}", hosted.kind));
            None
        }
    }
}

/// Which tools the model may call.
pub(super) struct Choice<'a> {
    quirks: &'a Quirks,
    request: &'a ChatRequest,
    wish: &'a ToolChoice,
}

pub(super) const fn choice<'a>(
    quirks: &'a Quirks,
    request: &'a ChatRequest,
    wish: &'a ToolChoice,
) -> Choice<'a> {
    Choice { quirks, request, wish }
}

#[derive(Serialize)]
struct Named<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<Name<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<Name<'a>>,
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Allowed<'a> {
    r#type: &'static str,
    allowed_tools: AllowedTools<'a>,
}

#[derive(Serialize)]
struct AllowedTools<'a> {
    mode: &'static str,
    tools: Vec<Named<'a>>,
}

impl<'a> Choice<'a> {
    fn named(&self, name: &'a str) -> Named<'a> {
        let is_custom = |tool: &ToolSpec| matches!(tool.kind, ToolKind::Custom(_));
        if self.request.tools.iter().any(|tool| tool.name() == name && is_custom(tool)) {
            Named { r#type: "custom", function: None, custom: Some(Name { name }) }
        } else {
            Named { r#type: "function", function: Some(Name { name }), custom: None }
        }
    }
}

impl Serialize for Choice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.wish {
            ToolChoice::Auto => serializer.serialize_str("auto"),
            ToolChoice::None => serializer.serialize_str("none"),
            ToolChoice::Required => serializer.serialize_str("required"),
            ToolChoice::Named(name) => self.named(name).serialize(serializer),
            ToolChoice::Allowed { names, required } => {
                let mode = if *required { "required" } else { "auto" };
                if !self.quirks.knows(Feature::CustomTools) {
                    return serializer.serialize_str(mode);
                }
                let tools = names.iter().map(|name| self.named(name)).collect();
                let allowed_tools = AllowedTools { mode, tools };
                Allowed { r#type: "allowed_tools", allowed_tools }.serialize(serializer)
            }
        }
    }
}
