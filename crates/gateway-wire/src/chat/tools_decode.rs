//! Reads the tools of a request, and which of them the model may call.

use super::decode_request_parts::ChatCacheControlWire;
use crate::json::{
    lazy_object::LazyObject,
    lenient::owned,
    path::{JsonPath, read},
};
use gateway_core::{
    Custom, Dialect, Function, Json, Opaque, Result, ToolChoice, ToolKind, ToolSpec,
};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct FunctionToolInWire {
    #[serde(default, deserialize_with = "owned")]
    name: Option<String>,
    #[serde(default, deserialize_with = "owned")]
    description: Option<String>,
    parameters: Option<Json>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct CustomToolInWire {
    #[serde(default, deserialize_with = "owned")]
    name: Option<String>,
    #[serde(default, deserialize_with = "owned")]
    description: Option<String>,
    format: Option<Json>,
}

/// Reads the `tools` of a request.
pub(super) fn tools(raw: &RawValue, at: &JsonPath<'_>) -> Result<Vec<ToolSpec>> {
    let items: Vec<&RawValue> = read(raw, at)?;
    items.iter().enumerate().map(|(index, raw)| tool(raw, &at.item(index))).collect()
}

/// Reads `functions`, the legacy spelling.
pub(super) fn functions(raw: &RawValue, at: &JsonPath<'_>) -> Result<Vec<ToolSpec>> {
    let items: Vec<&RawValue> = read(raw, at)?;
    let spec = |(index, raw): (usize, &&RawValue)| {
        let kind = ToolKind::Function(function(raw, &at.item(index))?);
        Ok(ToolSpec { kind, cache: None })
    };
    items.iter().enumerate().map(spec).collect()
}

fn tool(raw: &RawValue, at: &JsonPath<'_>) -> Result<ToolSpec> {
    let object: LazyObject<'_> = read(raw, at)?;
    // Some clients leave it out where it is plain.
    let plain = object.get("function").map(|_| "function".into());
    let kind = object.text("type").or(plain);
    let kind = kind.ok_or_else(|| at.member("type").invalid("is required"))?;
    let inner = |name: &'static str| object.get(name).unwrap_or(raw);
    let kind = match &*kind {
        "function" => ToolKind::Function(function(inner("function"), &at.member("function"))?),
        "custom" => ToolKind::Custom(custom(inner("custom"), &at.member("custom"))?),
        _ => ToolKind::Hosted(Opaque {
            dialect: Dialect::Chat,
            kind: kind.clone().into_owned(),
            json: raw.into(),
        }),
    };
    let cache = object.get("cache_control");
    let cache = cache.and_then(|raw| serde_json::from_str::<ChatCacheControlWire>(raw.get()).ok());
    Ok(ToolSpec { kind, cache: cache.and_then(ChatCacheControlWire::read) })
}

fn function(raw: &RawValue, at: &JsonPath<'_>) -> Result<Function> {
    let FunctionToolInWire { name, description, parameters, strict } = read(raw, at)?;
    let name = required_name(name, at)?;
    Ok(Function { name, description, parameters, strict })
}

fn custom(raw: &RawValue, at: &JsonPath<'_>) -> Result<Custom> {
    let CustomToolInWire { name, description, format } = read(raw, at)?;
    let name = required_name(name, at)?;
    Ok(Custom { name, description, format })
}

fn required_name(name: Option<String>, at: &JsonPath<'_>) -> Result<String> {
    let name = name.filter(|name| !name.is_empty());
    name.ok_or_else(|| at.member("name").invalid("is required"))
}

/// Reads the `tool_choice` of a request; nothing if its value is none that is known.
pub(super) fn choice(raw: &RawValue, at: &JsonPath<'_>) -> Result<Option<ToolChoice>> {
    if raw.get().starts_with('"') {
        return Ok(word(&read::<String>(raw, at)?));
    }
    let object: LazyObject<'_> = read(raw, at)?;
    let kind = object.text("type").ok_or_else(|| at.member("type").invalid("is required"))?;
    match &*kind {
        "function" | "custom" | "tool" => {
            let at = at.member(if kind == "custom" { "custom" } else { "function" });
            let name = tool_name(&object).ok_or_else(|| at.member("name").invalid("is required"));
            name.map(ToolChoice::Named).map(Some)
        }
        "allowed_tools" => allowed(&object, at).map(Some),
        kind => Ok(word(kind)),
    }
}

fn word(word: &str) -> Option<ToolChoice> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" | "any" => Some(ToolChoice::Required),
        _ => None,
    }
}

/// The name of a tool, in the nested spelling or in the flat one.
fn tool_name(tool: &LazyObject<'_>) -> Option<String> {
    let nested = ["function", "custom"].into_iter().find_map(|name| {
        let inner: LazyObject<'_> = serde_json::from_str(tool.get(name)?.get()).ok()?;
        Some(inner.text("name")?.into_owned())
    });
    nested.or_else(|| Some(tool.text("name")?.into_owned())).filter(|name| !name.is_empty())
}

/// Only some tools, in the nested spelling or in the flat one.
fn allowed(object: &LazyObject<'_>, at: &JsonPath<'_>) -> Result<ToolChoice> {
    let nested_at = at.member("allowed_tools");
    let nested: Option<LazyObject<'_>> =
        object.get("allowed_tools").map(|raw| read(raw, &nested_at)).transpose()?;
    let at = if nested.is_some() { &nested_at } else { at };
    let object = nested.as_ref().unwrap_or(object);
    let tools_at = at.member("tools");
    let tools = object.get("tools").ok_or_else(|| tools_at.invalid("is required"))?;
    let tools: Vec<LazyObject<'_>> = read(tools, &tools_at)?;
    let names = tools.iter().filter_map(tool_name).collect();
    Ok(ToolChoice::Allowed { names, required: object.is("mode", "required") })
}

/// Reads `function_call`, the legacy spelling of `tool_choice`.
pub(super) fn function_call(raw: &RawValue, at: &JsonPath<'_>) -> Result<Option<ToolChoice>> {
    if raw.get().starts_with('"') {
        let choice = word(&read::<String>(raw, at)?);
        return choice.map(Some).ok_or_else(|| at.invalid("must be auto, none or a function"));
    }
    let object: LazyObject<'_> = read(raw, at)?;
    let name = tool_name(&object).ok_or_else(|| at.member("name").invalid("is required"))?;
    Ok(Some(ToolChoice::Named(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &ToolChoice) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        assert_eq!(
            choice(raw, &JsonPath::Root.member("tool_choice")).unwrap().as_ref(),
            Some(expected),
            "{json}"
        );
    }

    fn required_name(name: &str) -> ToolChoice {
        ToolChoice::Named(name.to_owned())
    }

    #[test]
    fn tool_choices_are_decoded() {
        check(r#""auto""#, &ToolChoice::Auto);
        check(r#""none""#, &ToolChoice::None);
        check(r#""any""#, &ToolChoice::Required);
        check(r#"{"type":"required"}"#, &ToolChoice::Required);
        check(r#"{"type":"function","function":{"name":"f"}}"#, &required_name("f"));
        check(r#"{"type":"function","name":"f"}"#, &required_name("f"));
        check(r#"{"type":"custom","custom":{"name":"f"}}"#, &required_name("f"));
    }

    #[test]
    fn allowed_tools_decode_flat_or_nested() {
        let names = vec!["f".to_owned(), "g".to_owned()];
        check(
            r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"g"}}]}}"#,
            &ToolChoice::Allowed { names: names.clone(), required: true },
        );
        check(
            r#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]}"#,
            &ToolChoice::Allowed { names, required: false },
        );
    }

    #[test]
    fn tools_of_every_kind_are_decoded() {
        let json = r#"[{"type":"function","function":{"name":"f","parameters":{"b" : 1,"a":1.0}},"cache_control":{"type":"ephemeral"}},
            {"type":"custom","custom":{"name":"g","format":{"type":"text"}}},{"type":"web_search","x":1}]"#;
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let tools = tools(raw, &JsonPath::Root.member("tools")).unwrap();
        assert!(tools[0].cache.is_some());
        let ToolKind::Function(function) = &tools[0].kind else { panic!("{:?}", tools[0]) };
        assert_eq!(function.parameters.as_ref().unwrap().get(), r#"{"b" : 1,"a":1.0}"#);
        assert!(matches!(&tools[1].kind, ToolKind::Custom(custom) if custom.name == "g"));
        assert!(
            matches!(&tools[2].kind, ToolKind::Hosted(it) if it.json.get() == r#"{"type":"web_search","x":1}"#)
        );
    }
}
