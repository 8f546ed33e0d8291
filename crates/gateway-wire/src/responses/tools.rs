//! Tools and the choice among them, as Responses writes them: flat.

use crate::json::{
    lazy_object::LazyObject,
    path::{items, read_param},
};
use gateway_core::{
    Custom, Dialect, Function, GatewayError, Json, Opaque, Result, ToolChoice, ToolKind, ToolSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A tool on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ResponsesToolWire<'a> {
    Function {
        name: &'a str,
        description: Option<&'a str>,
        parameters: Option<&'a Json>,
        // An absent one would mean `true` here, and `false` everywhere else.
        strict: bool,
    },
    Custom {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Json>,
    },
    #[serde(untagged)]
    Hosted(&'a Json),
}

/// A choice among tools on the wire.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ResponsesToolChoiceWire<'a> {
    Word(&'static str),
    One(NamedToolChoiceWire<'a>),
    Allowed {
        #[serde(rename = "type")]
        kind: &'static str,
        mode: &'static str,
        tools: Vec<NamedToolChoiceWire<'a>>,
    },
}

/// A tool choice that names one tool.
#[derive(Debug, Serialize)]
pub(super) struct NamedToolChoiceWire<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// The wire's form of `tool`; of hosted tools only those that this dialect knows.
pub(super) fn write_tool(tool: &ToolSpec) -> Option<ResponsesToolWire<'_>> {
    match &tool.kind {
        ToolKind::Function(function) => Some(ResponsesToolWire::Function {
            name: &function.name,
            description: function.description.as_deref(),
            parameters: function.parameters.as_ref(),
            strict: function.strict.unwrap_or(false),
        }),
        ToolKind::Custom(custom) => Some(ResponsesToolWire::Custom {
            name: &custom.name,
            description: custom.description.as_deref(),
            format: custom.format.as_ref().map(flat_format),
        }),
        ToolKind::Hosted(hosted) => (hosted.dialect == Dialect::Responses)
            .then_some(ResponsesToolWire::Hosted(&hosted.json)),
    }
}

/// The wire's form of `choice` among `tools`.
pub(super) fn write_choice<'a>(
    choice: &'a ToolChoice,
    tools: &'a [ToolSpec],
) -> ResponsesToolChoiceWire<'a> {
    match choice {
        ToolChoice::Auto => ResponsesToolChoiceWire::Word("auto"),
        ToolChoice::None => ResponsesToolChoiceWire::Word("none"),
        ToolChoice::Required => ResponsesToolChoiceWire::Word("required"),
        ToolChoice::Named(name) => ResponsesToolChoiceWire::One(named_choice(name, tools)),
        ToolChoice::Allowed { names, required } => ResponsesToolChoiceWire::Allowed {
            kind: "allowed_tools",
            mode: if *required { "required" } else { "auto" },
            tools: names.iter().map(|name| named_choice(name, tools)).collect(),
        },
    }
}

fn named_choice<'a>(name: &'a str, tools: &[ToolSpec]) -> NamedToolChoiceWire<'a> {
    let kind = tools.iter().find(|tool| tool.name() == name).map(|tool| &tool.kind);
    match kind {
        Some(ToolKind::Hosted(_)) => NamedToolChoiceWire { kind: name, name: None },
        Some(ToolKind::Custom(_)) => NamedToolChoiceWire { kind: "custom", name: Some(name) },
        Some(ToolKind::Function(_)) | None => {
            NamedToolChoiceWire { kind: "function", name: Some(name) }
        }
    }
}

/// Reads the value of `tools`.
pub(super) fn read_tools(raw: &RawValue) -> Result<Vec<ToolSpec>> {
    let tools = items(raw, "tools")?;
    tools.iter().enumerate().map(|(at, raw)| read_tool(raw, at)).collect()
}

fn read_tool(raw: &RawValue, at: usize) -> Result<ToolSpec> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
        name: Option<String>,
        description: Option<String>,
        parameters: Option<Json>,
        strict: Option<bool>,
        format: Option<Json>,
    }
    let Wire { kind, name, description, parameters, strict, format } =
        read_param(raw, || format!("tools[{at}]"))?;
    let nameless = || GatewayError::invalid(format!("tools[{at}].name"), "a tool needs a name");
    let kind = match &*kind {
        "function" => ToolKind::Function(Function {
            name: name.ok_or_else(nameless)?,
            description,
            parameters,
            strict: Some(strict.unwrap_or(true)),
        }),
        "custom" => ToolKind::Custom(Custom {
            name: name.ok_or_else(nameless)?,
            description,
            format: format.as_ref().map(nested_format),
        }),
        _ => ToolKind::Hosted(Opaque {
            dialect: Dialect::Responses,
            kind: kind.into_owned(),
            json: raw.into(),
        }),
    };
    Ok(ToolSpec { kind, cache: None })
}

/// Reads the value of `tool_choice`; nothing if it is none that is known.
pub(super) fn read_choice(raw: &RawValue) -> Result<Option<ToolChoice>> {
    #[derive(Deserialize)]
    struct ResponsesToolChoiceInWire<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
        name: Option<String>,
        mode: Option<String>,
        #[serde(default)]
        tools: Vec<ResponsesToolChoiceInWire<'a>>,
    }
    fn name(one: ResponsesToolChoiceInWire<'_>) -> String {
        let own = matches!(&*one.kind, "function" | "custom");
        one.name.filter(|_| own).unwrap_or_else(|| one.kind.into_owned())
    }
    let param = || "tool_choice".to_owned();
    if raw.get().starts_with('"') {
        return Ok(match &*read_param::<Cow<'_, str>>(raw, param)? {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            // As Anthropic and Mistral say it.
            "required" | "any" => Some(ToolChoice::Required),
            _ => None,
        });
    }
    let mut one: ResponsesToolChoiceInWire<'_> = read_param(raw, param)?;
    if one.kind == "allowed_tools" {
        let required = one.mode.as_deref() == Some("required");
        let names = std::mem::take(&mut one.tools).into_iter().map(name).collect();
        return Ok(Some(ToolChoice::Allowed { names, required }));
    }
    Ok(Some(ToolChoice::Named(name(one))))
}

/// A grammar as Responses writes it, from either spelling.
fn flat_format(format: &Json) -> Json {
    #[derive(Deserialize)]
    struct NestedGrammarInWire<'a> {
        #[serde(borrow)]
        grammar: LazyObject<'a>,
    }
    #[derive(Serialize)]
    struct FlatGrammarWire<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(flatten)]
        grammar: LazyObject<'a>,
    }
    let Ok(NestedGrammarInWire { grammar }) = format.read() else { return format.clone() };
    Json::of(&FlatGrammarWire { kind: "grammar", grammar })
}

/// A grammar as Chat writes it, from either spelling.
fn nested_format(format: &Json) -> Json {
    #[derive(Serialize)]
    struct NestedGrammarOutWire<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        grammar: LazyObject<'a>,
    }
    let Ok(mut members) = format.read::<LazyObject<'_>>() else { return format.clone() };
    let is_grammar = members.text("type").as_deref() == Some("grammar");
    if !is_grammar || members.get("grammar").is_some() {
        return format.clone();
    }
    members.remove("type");
    Json::of(&NestedGrammarOutWire { kind: "grammar", grammar: members })
}
