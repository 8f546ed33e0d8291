//! Tool definitions of requests.

use gateway_core::{
    ChatRequest, DroppedParams, GatewayError, Json, Result, ToolChoice, ToolKind, ToolSpec,
};
use serde::Serialize;

/// A tool definition as Ollama reads it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "function", rename_all = "lowercase")]
pub(super) enum OllamaToolWire<'a> {
    Function(OllamaFunctionWire<'a>),
}

#[derive(Debug, Serialize)]
pub(super) struct OllamaFunctionWire<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: OllamaParametersWire<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum OllamaParametersWire<'a> {
    Schema(&'a Json),
    None { r#type: &'static str, properties: EmptySchemaWire },
}

#[derive(Debug, Serialize)]
pub(super) struct EmptySchemaWire {}

/// Encodes the tools that the model may call. Ollama cannot force a call, which is reported.
pub(super) fn tools<'a>(
    request: &'a ChatRequest,
    dropped: &mut DroppedParams,
) -> Result<Vec<OllamaToolWire<'a>>> {
    let may_be_called = |tool: &&ToolSpec| match &request.tool_choice {
        Some(ToolChoice::None) => false,
        Some(ToolChoice::Allowed { names, .. }) => names.iter().any(|name| name == tool.name()),
        Some(ToolChoice::Auto | ToolChoice::Required | ToolChoice::Named(_)) | None => true,
    };
    let must = match &request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_)) => true,
        Some(ToolChoice::Allowed { required, .. }) => *required,
        Some(ToolChoice::Auto | ToolChoice::None) | None => false,
    };
    dropped.insert_if(must && !request.tools.is_empty(), "tool_choice");
    request.tools.iter().filter(may_be_called).map(tool).collect()
}

fn tool(tool: &ToolSpec) -> Result<OllamaToolWire<'_>> {
    let ToolKind::Function(function) = &tool.kind else {
        return Err(GatewayError::invalid(
            "tools",
            format!("the model's provider does not support the tool {}", tool.name()),
        ));
    };
    Ok(OllamaToolWire::Function(OllamaFunctionWire {
        name: &function.name,
        description: function.description.as_deref(),
        parameters: match &function.parameters {
            Some(schema) => OllamaParametersWire::Schema(schema),
            None => OllamaParametersWire::None { r#type: "object", properties: EmptySchemaWire {} },
        },
    }))
}
