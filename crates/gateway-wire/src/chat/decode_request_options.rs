//! Reads the parameters of generation.

use crate::json::{
    lazy_object::LazyObject,
    lenient::{LossyText, owned},
    path::{JsonPath, read},
};
use gateway_core::{Effort, Json, Options, ReasoningOptions, ResponseFormat, Result};
use serde::Deserialize;
use serde_json::{Number, value::RawValue};
use std::ops::RangeInclusive;

/// Reads the option called `name`. `false` means that it is none we model, or that its value is
/// of a kind that only some upstreams know: it is to be carried as it is.
pub(super) fn option(
    it: &mut Options,
    name: &str,
    raw: &RawValue,
    at: &JsonPath<'_>,
) -> Result<bool> {
    match name {
        // The new name wins, wherever it stands.
        "max_completion_tokens" => it.max_tokens = Some(count(raw, at, 1..=u64::MAX)?),
        "max_tokens" => {
            let tokens = count(raw, at, 1..=u64::MAX)?;
            it.max_tokens.get_or_insert(tokens);
        }
        "temperature" => it.temperature = Some(number(raw, at, 0.0..=2.0)?),
        "top_p" => it.top_p = Some(number(raw, at, 0.0..=1.0)?),
        "top_k" => return Ok(read_into(&mut it.top_k, raw)),
        "n" => it.n = Some(small(raw, at, 1..=128)?),
        "stop" => it.stop = texts(raw, at)?,
        "seed" => it.seed = Some(integer(raw, at)?),
        "presence_penalty" => it.presence_penalty = Some(number(raw, at, -2.0..=2.0)?),
        "frequency_penalty" => it.frequency_penalty = Some(number(raw, at, -2.0..=2.0)?),
        "logit_bias" => it.logit_bias = Some(raw.into()),
        "logprobs" => it.logprobs = Some(read(raw, at)?),
        "top_logprobs" => it.top_logprobs = Some(small(raw, at, 0..=20)?),
        "response_format" => {
            let Some(format) = response_format(raw, at)? else { return Ok(false) };
            it.response_format = Some(format);
        }
        "reasoning_effort" => {
            let Some(effort) = Effort::parse(&read::<LossyText<'_>>(raw, at)?.0) else {
                return Ok(false);
            };
            it.reasoning.get_or_insert_default().effort = Some(effort);
        }
        "reasoning" => return Ok(change(&mut it.reasoning, raw, reasoning)),
        "thinking" => return Ok(change(&mut it.reasoning, raw, thinking)),
        "verbosity" => it.verbosity = Some(text(raw, at)?),
        "user" => it.user = Some(text(raw, at)?),
        "service_tier" => it.service_tier = Some(text(raw, at)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn read_into<'a, T: Deserialize<'a>>(place: &mut Option<T>, raw: &'a RawValue) -> bool {
    *place = serde_json::from_str(raw.get()).ok();
    place.is_some()
}

fn text(raw: &RawValue, at: &JsonPath<'_>) -> Result<String> {
    Ok(read::<LossyText<'_>>(raw, at)?.into_string())
}

fn number(raw: &RawValue, at: &JsonPath<'_>, range: RangeInclusive<f64>) -> Result<Number> {
    let number: Number = read(raw, at)?;
    if number.as_f64().is_some_and(|it| range.contains(&it)) {
        return Ok(number);
    }
    let (least, most) = (range.start(), range.end());
    Err(at.invalid(format_args!("must be between {least} and {most}")))
}

fn integer(raw: &RawValue, at: &JsonPath<'_>) -> Result<Number> {
    let number: Number = read(raw, at)?;
    if number.is_f64() { Err(at.invalid("must be an integer")) } else { Ok(number) }
}

fn count(raw: &RawValue, at: &JsonPath<'_>, range: RangeInclusive<u64>) -> Result<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
    let whole = |it: f64| (it.fract() == 0.0 && (0.0..1e15).contains(&it)).then_some(it as u64);
    let number: Number = read(raw, at)?;
    let count = number.as_u64().or_else(|| number.as_f64().and_then(whole));
    if let Some(count) = count.filter(|it| range.contains(it)) {
        return Ok(count);
    }
    let least = range.start();
    Err(if *range.end() == u64::MAX {
        at.invalid(format_args!("must be an integer, and at least {least}"))
    } else {
        at.invalid(format_args!("must be an integer between {least} and {}", range.end()))
    })
}

fn small(raw: &RawValue, at: &JsonPath<'_>, range: RangeInclusive<u32>) -> Result<u32> {
    let range = u64::from(*range.start())..=u64::from(*range.end());
    count(raw, at, range).map(|it| u32::try_from(it).unwrap_or(u32::MAX))
}

/// Reads a string or a list of strings, such as `stop`.
fn texts(raw: &RawValue, at: &JsonPath<'_>) -> Result<Vec<String>> {
    if raw.get().starts_with('"') {
        return Ok(vec![text(raw, at)?]);
    }
    let items: Vec<&RawValue> =
        read(raw, at).map_err(|_| at.invalid("expected a string or a list of strings"))?;
    items.iter().enumerate().map(|(index, raw)| text(raw, &at.item(index))).collect()
}

#[derive(Deserialize)]
struct JsonSchemaFormatWire {
    name: Option<String>,
    #[serde(default, deserialize_with = "owned")]
    description: Option<String>,
    schema: Option<Json>,
    strict: Option<bool>,
}

/// `None` for formats that only some upstreams know.
fn response_format(raw: &RawValue, at: &JsonPath<'_>) -> Result<Option<ResponseFormat>> {
    const NAMELESS: &str = "response";
    let object: LazyObject<'_> = read(raw, at)?;
    let kind_at = at.member("type");
    let kind = object.text("type").ok_or_else(|| kind_at.invalid("expected a string"))?;
    Ok(match &*kind {
        "text" => Some(ResponseFormat::Text),
        // Some servers take a schema here.
        "json_object" => Some(match object.get("schema") {
            Some(schema) => ResponseFormat::JsonSchema {
                name: NAMELESS.to_owned(),
                description: None,
                schema: Some(schema.into()),
                strict: None,
            },
            None => ResponseFormat::JsonObject,
        }),
        "json_schema" => {
            let at = at.member("json_schema");
            let raw = object.get("json_schema").ok_or_else(|| at.invalid("is required"))?;
            let JsonSchemaFormatWire { name, description, schema, strict } = read(raw, &at)?;
            let name = name.unwrap_or_else(|| NAMELESS.to_owned());
            Some(ResponseFormat::JsonSchema { name, description, schema, strict })
        }
        _ => None,
    })
}

type ReasoningUpdate = fn(&mut ReasoningOptions, &RawValue) -> bool;

/// Applies `change`, which says whether it understood the value.
fn change(place: &mut Option<ReasoningOptions>, raw: &RawValue, change: ReasoningUpdate) -> bool {
    let mut changed = place.clone().unwrap_or_default();
    let understood = change(&mut changed, raw);
    if understood {
        *place = Some(changed);
    }
    understood
}

/// The `reasoning` of `OpenRouter`.
fn reasoning(it: &mut ReasoningOptions, raw: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Wire {
        effort: Option<String>,
        max_tokens: Option<u64>,
        enabled: Option<bool>,
        exclude: Option<bool>,
        summary: Option<String>,
    }
    let Ok(wire) = serde_json::from_str::<Wire>(raw.get()) else { return false };
    if let Some(word) = wire.effort {
        let Some(effort) = Effort::parse(&word) else { return false };
        it.effort = Some(effort);
    }
    it.budget = wire.max_tokens.or(it.budget);
    match wire.enabled {
        Some(false) => it.effort = Some(Effort::None),
        Some(true) if it.effort.is_none() && it.budget.is_none() => {
            it.effort = Some(Effort::Medium);
        }
        Some(true) | None => {}
    }
    it.summary = wire.summary.or(it.summary.take());
    if wire.exclude == Some(true) {
        it.summary = Some("omitted".to_owned());
    }
    true
}

/// The `thinking` of `DeepSeek` and Anthropic, which many clients also send in this dialect.
fn thinking(it: &mut ReasoningOptions, raw: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Wire {
        r#type: String,
        budget_tokens: Option<u64>,
    }
    let Ok(wire) = serde_json::from_str::<Wire>(raw.get()) else { return false };
    match wire.r#type.as_str() {
        "disabled" => it.effort = Some(Effort::None),
        "adaptive" => it.adaptive = true,
        "enabled" => {
            it.budget = wire.budget_tokens.or(it.budget);
            if it.budget.is_none() && it.effort.is_none() {
                it.effort = Some(Effort::Medium);
            }
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, json: &str, expected: &str) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let mut options = Options::default();
        let known = option(&mut options, name, raw, &JsonPath::Root.member(name)).unwrap();
        let spelled = match options.reasoning {
            Some(it) if known => format!(
                "{} {:?} {} {}",
                it.effort.map_or("-", Effort::as_str),
                it.budget,
                it.adaptive,
                it.summary.unwrap_or_default()
            ),
            _ => format!("{:?} {known}", options.response_format),
        };
        assert_eq!(spelled, expected, "{name} {json}");
    }

    #[test]
    fn reasoning_of_every_spelling_is_decoded() {
        check("reasoning_effort", r#""high""#, "high None false ");
        check("reasoning", r#"{"effort":"low","exclude":true}"#, "low None false omitted");
        check("reasoning", r#"{"max_tokens":2000}"#, "- Some(2000) false ");
        check("reasoning", r#"{"enabled":false}"#, "none None false ");
        check("reasoning", r#"{"enabled":true}"#, "medium None false ");
        check("thinking", r#"{"type":"enabled","budget_tokens":9}"#, "- Some(9) false ");
        check("thinking", r#"{"type":"adaptive"}"#, "- None true ");
        check("thinking", r#"{"type":"disabled"}"#, "none None false ");
    }

    #[test]
    fn vendor_reasoning_options_are_preserved() {
        check("reasoning_effort", r#""default""#, "None false");
        check("response_format", r#"{"type":"grammar","value":"x"}"#, "None false");
        check("top_k", r#""many""#, "None false");
    }

    #[test]
    fn response_formats_are_decoded() {
        check("response_format", r#"{"type":"json_object"}"#, "Some(JsonObject) true");
        check(
            "response_format",
            r#"{"type":"json_schema","json_schema":{"name":"a","schema":{"b" :1},"strict":true}}"#,
            r#"Some(JsonSchema { name: "a", description: None, schema: Some({"b" :1}), strict: Some(true) }) true"#,
        );
    }
}
