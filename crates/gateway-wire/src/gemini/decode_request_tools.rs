//! Decodes tools and the choice among them.

use super::schema::json_schema;
use crate::json::{
    lazy_object::first_byte,
    path::{JsonPath, read},
};
use gateway_core::{
    Dialect, Function, GatewayError, Json, Opaque, Result, ToolChoice, ToolKind, ToolSpec,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionInWire {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Json>,
    #[serde(default, alias = "parameters_json_schema")]
    parameters_json_schema: Option<Json>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ToolConfigInWire {
    #[serde(alias = "function_calling_config")]
    function_calling_config: Option<FunctionCallingInWire>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FunctionCallingInWire {
    mode: Option<String>,
    #[serde(alias = "allowed_function_names")]
    allowed_function_names: Option<Vec<String>>,
}

/// Reads `tools`: lists of functions, and what runs at the provider.
pub(super) fn tools(raw: Option<&RawValue>) -> Result<Vec<ToolSpec>> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let root = JsonPath::Root;
    let at = root.member("tools");
    // Clients may shorten a list of one.
    let entries: Vec<BTreeMap<String, &RawValue>> =
        if first_byte(raw) == b'{' { vec![read(raw, &at)?] } else { read(raw, &at)? };
    let mut tools = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let at = at.item(index);
        for (kind, value) in entry {
            if matches!(&*kind, "functionDeclarations" | "function_declarations") {
                let functions: Option<Vec<FunctionInWire>> = read(value, &at.member(&kind))?;
                tools.extend(functions.unwrap_or_default().into_iter().map(function));
            } else if value.get() != "null" {
                let json = Json::of(&BTreeMap::from([(&kind, value)]));
                let hosted = ToolKind::Hosted(Opaque { dialect: Dialect::Gemini, kind, json });
                tools.push(ToolSpec { kind: hosted, cache: None });
            }
        }
    }
    Ok(tools)
}

fn function(it: FunctionInWire) -> ToolSpec {
    let older = it.parameters.as_ref().map(json_schema);
    let kind = ToolKind::Function(Function {
        name: it.name,
        description: it.description,
        parameters: it.parameters_json_schema.or(older),
        strict: None,
    });
    ToolSpec { kind, cache: None }
}

/// Reads `toolConfig`.
pub(super) fn choice(raw: Option<&RawValue>) -> Result<Option<ToolChoice>> {
    let Some(raw) = raw else { return Ok(None) };
    let root = JsonPath::Root;
    let config: ToolConfigInWire = read(raw, &root.member("toolConfig"))?;
    let Some(calling) = config.function_calling_config else { return Ok(None) };
    let names = calling.allowed_function_names.unwrap_or_default();
    Ok(match calling.mode.as_deref() {
        Some("ANY" | "any") => Some(match <[String; 1]>::try_from(names) {
            Ok([name]) => ToolChoice::Named(name),
            Err(names) if names.is_empty() => ToolChoice::Required,
            Err(names) => ToolChoice::Allowed { names, required: true },
        }),
        Some("NONE" | "none") => Some(ToolChoice::None),
        Some("AUTO" | "auto" | "VALIDATED") => Some(if names.is_empty() {
            ToolChoice::Auto
        } else {
            ToolChoice::Allowed { names, required: false }
        }),
        Some("MODE_UNSPECIFIED") | None => None,
        Some(other) => {
            const PARAM: &str = "toolConfig.functionCallingConfig.mode";
            let message =
                format!("{PARAM} is '{other}': only a provider of the same API can be sent it");
            return Err(GatewayError::invalid(PARAM, message).with_code("unsupported_value"));
        }
    })
}
