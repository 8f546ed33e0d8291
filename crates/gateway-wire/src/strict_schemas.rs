//! JSON schemas to which a model is held strictly, in the form that its provider compiles.
//!
//! | [`StrictSchemas`] | a strict schema of a caller of another dialect |
//! |---|---|
//! | `AllRequired` | every object is closed; one with optional members, or of a form that is not compiled, is sent without `strict` |
//! | `Closed` | as it is; the encoder of the Messages API closes every object |
//! | `Never` | tools are sent without `strict` |
//! | `Unknown` | as it is |
//!
//! What is sent without `strict` is reported. A caller of the provider's own dialect knows its forms; but
//! in the Responses API an absent `strict` means: strictly where the schema has the form for it.

use gateway_core::{
    ChatRequest, Dialect, DroppedParams, Extra, Function, Json, ResponseFormat, StrictSchemas,
    ToolKind,
};
use std::borrow::Cow;

/// Keywords that are not compiled where every member is required.
const UNCOMPILED: [&str; 9] = [
    "allOf",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "oneOf",
    "patternProperties",
    "then",
];

/// Returns `request` with its strict schemas in the form that a model takes over `dialect`; nothing
/// if they have it.
pub fn conform_schemas(
    request: &ChatRequest,
    schemas: StrictSchemas,
    dialect: Dialect,
    dropped: &mut DroppedParams,
) -> Option<ChatRequest> {
    let is_own = request.dialect == Some(dialect) && dialect != Dialect::Responses;
    let (requires_all, takes_none) = match schemas {
        StrictSchemas::AllRequired => (true, false),
        StrictSchemas::Never => (false, true),
        StrictSchemas::Unknown | StrictSchemas::Closed => return None,
    };
    if is_own || !is_strict(request) {
        return None;
    }
    let mut edited = request.clone();
    for tool in &mut edited.tools {
        if let ToolKind::Function(function) = &mut tool.kind {
            conform_function(function, takes_none, dropped);
        }
    }
    if let Some(ResponseFormat::JsonSchema { schema: Some(schema), strict, .. }) =
        &mut edited.options.response_format
        && *strict == Some(true)
        && requires_all
    {
        if let Some(form) = closed_form(schema).map(Cow::into_owned) {
            *schema = form;
        } else {
            *strict = Some(false);
            dropped.insert("response_format.strict");
        }
    }
    (edited != *request).then_some(edited)
}

/// Whether the model would be held to any schema.
fn is_strict(request: &ChatRequest) -> bool {
    let of_tools = request.tools.iter().any(
        |tool| matches!(&tool.kind, ToolKind::Function(function) if function.strict == Some(true)),
    );
    let format = &request.options.response_format;
    of_tools || matches!(format, Some(ResponseFormat::JsonSchema { strict: Some(true), .. }))
}

fn conform_function(function: &mut Function, takes_none: bool, dropped: &mut DroppedParams) {
    if function.strict != Some(true) {
        return;
    }
    let form = function.parameters.as_ref().and_then(closed_form).filter(|_| !takes_none);
    if let Some(form) = form.map(Cow::into_owned) {
        function.parameters = Some(form);
    } else {
        function.strict = None;
        dropped.insert("tools.strict");
    }
}

/// Returns `schema` with every object closed; nothing if it has optional members, or cannot be
/// compiled.
fn closed_form(schema: &Json) -> Option<Cow<'_, Json>> {
    let members: Extra = schema.read().ok()?;
    let is_object = members.get("type").is_some_and(|it| it.get() == "\"object\"");
    (is_object && members.get("anyOf").is_none()).then(|| closed(schema))?
}

/// Returns a part of a schema with every object closed.
fn closed(schema: &Json) -> Option<Cow<'_, Json>> {
    let Ok(members) = schema.read::<Extra>() else { return Some(Cow::Borrowed(schema)) };
    let mut out = Extra::default();
    let mut is_changed = false;
    for (name, value) in members.iter() {
        if UNCOMPILED.contains(&name) {
            return None;
        }
        let value = match name {
            "properties" | "$defs" | "definitions" => each_member(value)?,
            "items" => closed(value)?,
            "anyOf" => each_item(value)?,
            _ => Cow::Borrowed(value),
        };
        is_changed |= matches!(value, Cow::Owned(_));
        out.push(name, value.into_owned());
    }
    if is_object(&members) {
        match members.get("additionalProperties").map(Json::get) {
            Some("false") => {}
            None => {
                out.push("additionalProperties", Json::of(&false));
                is_changed = true;
            }
            Some(_) => return None,
        }
        if !requires_all(&members) {
            return None;
        }
    }
    Some(if is_changed { Cow::Owned(Json::of(&out)) } else { Cow::Borrowed(schema) })
}

fn is_object(members: &Extra) -> bool {
    let kind = members.get("type").map(Json::get);
    kind.map_or_else(|| members.get("properties").is_some(), |kind| kind.contains("\"object\""))
}

/// Whether each member of an object is required.
fn requires_all(members: &Extra) -> bool {
    let Some(properties) = members.get("properties") else { return true };
    let Ok(properties) = properties.read::<Extra>() else { return false };
    let required: Vec<String> =
        members.get("required").and_then(|it| it.read().ok()).unwrap_or_default();
    properties.iter().all(|(name, _)| required.iter().any(|it| it == name))
}

fn each_member(schemas: &Json) -> Option<Cow<'_, Json>> {
    let Ok(members) = schemas.read::<Extra>() else { return Some(Cow::Borrowed(schemas)) };
    let mut out = Extra::default();
    let mut is_changed = false;
    for (name, schema) in members.iter() {
        let schema = closed(schema)?;
        is_changed |= matches!(schema, Cow::Owned(_));
        out.push(name, schema.into_owned());
    }
    Some(if is_changed { Cow::Owned(Json::of(&out)) } else { Cow::Borrowed(schemas) })
}

fn each_item(schemas: &Json) -> Option<Cow<'_, Json>> {
    let Ok(items) = schemas.read::<Vec<Json>>() else { return Some(Cow::Borrowed(schemas)) };
    let closed: Vec<_> = items.iter().map(closed).collect::<Option<_>>()?;
    let is_changed = closed.iter().any(|it| matches!(it, Cow::Owned(_)));
    Some(if is_changed { Cow::Owned(Json::of(&closed)) } else { Cow::Borrowed(schemas) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::ToolSpec;

    const OPTIONAL: &str = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    const OPEN: &str = r#"{"type":"object","properties":{"a":{"type":"object","properties":{}}},"required":["a"]}"#;
    const CLOSED: &str = r#"{"type":"object","properties":{"a":{"type":"object","properties":{},"additionalProperties":false}},"required":["a"],"additionalProperties":false}"#;

    /// What is sent of a strict schema as a format and as a tool, and what is reported.
    fn sent(schema: &str, rule: StrictSchemas) -> (String, String) {
        let schema = Json::parse(schema).unwrap();
        let mut request = ChatRequest::user("m", "Hi");
        request.dialect = Some(Dialect::Messages);
        request.options.response_format = Some(ResponseFormat::JsonSchema {
            name: "n".to_owned(),
            description: None,
            schema: Some(schema.clone()),
            strict: Some(true),
        });
        let mut tool = ToolSpec::function("f", "d", schema);
        if let ToolKind::Function(function) = &mut tool.kind {
            function.strict = Some(true);
        }
        request.tools.push(tool);
        let mut dropped = DroppedParams::default();
        let edited = conform_schemas(&request, rule, Dialect::Chat, &mut dropped);
        let edited = edited.unwrap_or(request);
        let format = match &edited.options.response_format {
            Some(ResponseFormat::JsonSchema { schema: Some(schema), strict, .. }) => {
                format!("{strict:?} {}", schema.get())
            }
            other => panic!("{other:?}"),
        };
        let tool = match edited.tools.first().map(|tool| &tool.kind) {
            Some(ToolKind::Function(it)) => {
                format!("{:?} {}", it.strict, it.parameters.as_ref().unwrap().get())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(format.split_once(' ').unwrap().1, tool.split_once(' ').unwrap().1);
        let reported = dropped.iter().collect::<Vec<_>>().join(",");
        (tool, format!("{} {reported}", format.split_once(' ').unwrap().0))
    }

    #[track_caller]
    fn check(schema: &str, rule: StrictSchemas, tool: &str, format: &str) {
        assert_eq!(sent(schema, rule), (tool.to_owned(), format.to_owned()), "{schema} {rule:?}");
    }

    #[test]
    fn schema_is_closed_where_every_member_is_required() {
        let closed = format!("Some(true) {CLOSED}");
        check(OPEN, StrictSchemas::AllRequired, &closed, "Some(true) ");
        check(CLOSED, StrictSchemas::AllRequired, &closed, "Some(true) ");
    }

    #[test]
    fn schema_of_another_form_is_sent_without_strict() {
        let reported = "Some(false) tools.strict,response_format.strict";
        for schema in [
            OPTIONAL,
            r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
            r#"{"type":"object","properties":{"a":{"oneOf":[{}]}},"required":["a"]}"#,
            r#"{"type":"object","properties":{"a":{"items":{"properties":{"b":{}}}}},"required":["a"]}"#,
            r#"{"type":"array","items":{}}"#,
            r#"{"type":"object","anyOf":[{"type":"object"}]}"#,
        ] {
            check(schema, StrictSchemas::AllRequired, &format!("None {schema}"), reported);
        }
    }

    #[test]
    fn tools_are_sent_without_strict_where_there_is_no_word_for_it() {
        check(CLOSED, StrictSchemas::Never, &format!("None {CLOSED}"), "Some(true) tools.strict");
    }

    #[test]
    fn schemas_of_other_models_are_unchanged() {
        for rule in [StrictSchemas::Unknown, StrictSchemas::Closed] {
            check(OPTIONAL, rule, &format!("Some(true) {OPTIONAL}"), "Some(true) ");
        }
    }
}
