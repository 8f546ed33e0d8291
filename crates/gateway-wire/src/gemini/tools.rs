//! Tools, and which of them may be called.

use crate::json::lazy_object::LazyObject;
use gateway_core::{Dialect, Function, GatewayError, Json, Result, ToolChoice, ToolKind, ToolSpec};
use serde::Serialize;

/// An entry of `tools`: all functions together, or something that runs at the provider.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum GeminiToolWire<'a> {
    Functions {
        #[serde(rename = "functionDeclarations")]
        declarations: Vec<FunctionDeclarationWire<'a>>,
    },
    Hosted(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionDeclarationWire<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a Json>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfigWire<'a> {
    function_calling_config: FunctionCallingWire<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCallingWire<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<Vec<&'a str>>,
}

/// Describes those of `tools` that may be called.
///
/// # Errors
///
/// If one of them is of a kind that only other providers have.
pub(super) fn entries<'a>(
    tools: &'a [ToolSpec],
    choice: Option<&ToolChoice>,
) -> Result<Vec<GeminiToolWire<'a>>> {
    let mut declarations = Vec::new();
    let mut entries = Vec::new();
    for tool in tools {
        match &tool.kind {
            ToolKind::Function(function) if may_be_called(function, choice) => {
                declarations.push(declaration(function));
            }
            ToolKind::Function(_) => {}
            ToolKind::Hosted(hosted) if hosted.dialect == Dialect::Gemini => {
                entries.push(GeminiToolWire::Hosted(&hosted.json));
            }
            ToolKind::Hosted(_) | ToolKind::Custom(_) => {
                return Err(GatewayError::invalid(
                    "tools",
                    format!("the model's provider does not support the tool {}", tool.name()),
                ));
            }
        }
    }
    if !declarations.is_empty() {
        entries.insert(0, GeminiToolWire::Functions { declarations });
    }
    Ok(entries)
}

/// Gemini can name the functions that may be called only where one must be.
fn may_be_called(function: &Function, choice: Option<&ToolChoice>) -> bool {
    if let Some(ToolChoice::Allowed { names, required: false }) = choice {
        return names.contains(&function.name);
    }
    true
}

fn declaration(function: &Function) -> FunctionDeclarationWire<'_> {
    FunctionDeclarationWire {
        name: &function.name,
        description: function.description.as_deref(),
        parameters_json_schema: function.parameters.as_ref().filter(|schema| says_more(schema)),
    }
}

/// Returns whether `schema` says more than that there are no arguments, which Gemini wants left
/// unsaid.
fn says_more(schema: &Json) -> bool {
    let Ok(members) = schema.read::<LazyObject<'_>>() else { return true };
    members.into_iter().any(|(name, value)| match &*name {
        "title" | "$schema" => false,
        "type" => value.get() != r#""object""#,
        "properties" | "required" => !is_empty(value.get()),
        "additionalProperties" => value.get() != "false",
        _ => true,
    })
}

fn is_empty(collection: &str) -> bool {
    collection.bytes().all(|b| matches!(b, b'{' | b'}' | b'[' | b']') || b.is_ascii_whitespace())
}

/// Says what `choice` says, if there are tools to choose from.
pub(super) fn config(choice: &ToolChoice) -> ToolConfigWire<'_> {
    let (mode, allowed_function_names) = match choice {
        ToolChoice::Auto | ToolChoice::Allowed { required: false, .. } => ("AUTO", None),
        ToolChoice::None => ("NONE", None),
        ToolChoice::Required => ("ANY", None),
        ToolChoice::Named(name) => ("ANY", Some(vec![name.as_str()])),
        ToolChoice::Allowed { names, required: true } => {
            ("ANY", Some(names.iter().map(String::as_str).collect()))
        }
    };
    ToolConfigWire { function_calling_config: FunctionCallingWire { mode, allowed_function_names } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Custom, Opaque};

    fn tool(name: &str, schema: &str) -> ToolSpec {
        ToolSpec::function(name, "d", Json::parse(schema).unwrap())
    }

    #[track_caller]
    fn check(tools: &[ToolSpec], choice: &ToolChoice, expected: &str) {
        let entries = entries(tools, Some(choice)).unwrap();
        let written = serde_json::to_string(&(entries, config(choice))).unwrap();
        assert_eq!(written, expected);
    }

    #[test]
    fn schema_is_unchanged() {
        let schema = r##"{"properties":{"z": {"const":1.0},"a":{"$ref":"#/$defs/a"}}}"##;
        let expected = r#"[[{"functionDeclarations":[{"name":"f","description":"d","#.to_owned()
            + r#""parametersJsonSchema":"#
            + schema
            + r#"}]}],{"functionCallingConfig":{"mode":"AUTO"}}]"#;
        check(&[tool("f", schema)], &ToolChoice::Auto, &expected);
    }

    #[test]
    fn schema_without_content_is_omitted() {
        let says = |schema: &str| says_more(&Json::parse(schema).unwrap());
        assert!(!says(r#"{"type":"object"}"#));
        assert!(!says(r#"{"type":"object","properties":{ },"required":[]}"#));
        assert!(!says(r#"{"additionalProperties":false,"type":"object","properties":{}}"#));
        assert!(says(r#"{"type":"string"}"#));
        assert!(says(r#"{"type":"object","additionalProperties":true}"#));
        assert!(says(r#"{"anyOf":[{"type":"object"}]}"#));
        assert!(says(r#"{"type":"object","properties":{"a":{}}}"#));
    }

    #[test]
    fn tool_choice_maps_to_mode() {
        let check = |choice: ToolChoice, expected: &str| {
            assert_eq!(
                serde_json::to_string(&config(&choice).function_calling_config).unwrap(),
                expected
            );
        };
        let names = || vec!["a".to_owned(), "b".to_owned()];
        check(ToolChoice::Auto, r#"{"mode":"AUTO"}"#);
        check(ToolChoice::None, r#"{"mode":"NONE"}"#);
        check(ToolChoice::Required, r#"{"mode":"ANY"}"#);
        check(ToolChoice::Named("a".into()), r#"{"mode":"ANY","allowedFunctionNames":["a"]}"#);
        check(
            ToolChoice::Allowed { names: names(), required: true },
            r#"{"mode":"ANY","allowedFunctionNames":["a","b"]}"#,
        );
    }

    #[test]
    fn allowed_tools_limit_declarations_in_auto_mode() {
        let choice = ToolChoice::Allowed { names: vec!["b".to_owned()], required: false };
        let expected = r#"[[{"functionDeclarations":[{"name":"b","description":"d"}]}],"#
            .to_owned()
            + r#"{"functionCallingConfig":{"mode":"AUTO"}}]"#;
        check(&[tool("a", "{}"), tool("b", "{}")], &choice, &expected);
    }

    #[test]
    fn hosted_tool_of_other_provider_is_rejected_by_name() {
        let refused = |kind| {
            let error = entries(&[ToolSpec { kind, cache: None }], None).unwrap_err();
            assert_eq!(error.param(), Some("tools"));
            error.message().to_owned()
        };
        let hosted = |dialect| Opaque {
            dialect,
            kind: "web_search".to_owned(),
            json: Json::parse(r#"{"googleSearch":{}}"#).unwrap(),
        };
        let custom = Custom { name: "sql".to_owned(), description: None, format: None };
        assert!(refused(ToolKind::Hosted(hosted(Dialect::Responses))).ends_with("web_search"));
        assert!(refused(ToolKind::Custom(custom)).ends_with("sql"));
        let ours = ToolSpec { kind: ToolKind::Hosted(hosted(Dialect::Gemini)), cache: None };
        check(
            &[ours],
            &ToolChoice::Auto,
            r#"[[{"googleSearch":{}}],{"functionCallingConfig":{"mode":"AUTO"}}]"#,
        );
    }
}
