//! Decodes requests of callers of `generateContent`.

use super::{decode_request_config, decode_request_contents, decode_request_tools, request_shape};
use crate::{json::lazy_object::LazyObject, request_shape::members_without_place};
use gateway_core::{ChatRequest, Dialect, Extra, GatewayError, Json, Message, Options, Result};
use serde_json::value::RawValue;

/// Reads a request.
///
/// # Errors
///
/// Says what is wrong with it, and names the parameter.
pub(super) fn decode(body: &[u8]) -> Result<ChatRequest> {
    let mut fields: LazyObject<'_> = serde_json::from_slice(body).map_err(|error| {
        GatewayError::invalid("body", "the request is not a JSON object").with_source(error)
    })?;
    let model = fields.take("model")?.ok_or_else(|| missing("model"))?;
    let stream = fields.take("stream")?.unwrap_or(false);
    let contents = fields.remove("contents").ok_or_else(|| missing("contents"))?;
    let system = either(&mut fields, "systemInstruction", "system_instruction");
    let mut messages: Vec<Message> = decode_request_contents::system(system)?.into_iter().collect();
    messages.extend(decode_request_contents::messages(contents)?);
    let tools = decode_request_tools::tools(fields.remove("tools"))?;
    let config = either(&mut fields, "toolConfig", "tool_config");
    let tool_choice = decode_request_tools::choice(config)?;
    let mut extra = Extra::default();
    let mut options = match either(&mut fields, "generationConfig", "generation_config") {
        Some(raw) => decode_request_config::options(raw, &mut extra)?,
        None => Options::default(),
    };
    options.service_tier = either(&mut fields, "serviceTier", "service_tier")
        .map(|raw| Json::from(raw).read::<String>())
        .transpose()
        .map_err(|error| {
            GatewayError::invalid("serviceTier", "serviceTier must be a string").with_source(error)
        })?
        .map(|tier| service_tier(&tier));
    for (name, value) in fields {
        extra.push(name, value.into());
    }
    Ok(ChatRequest {
        model,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: None,
        options,
        stream,
        // Streams of this dialect always have the counts.
        stream_usage: stream,
        legacy_functions: false,
        extra,
        unmodelled: members_without_place(request_shape::MEMBERS, body),
        dialect: Some(Dialect::Gemini),
        completion: None,
    })
}

/// Removes a member that may be in either spelling, as all of this API's may.
fn either<'a>(fields: &mut LazyObject<'a>, camel: &str, snake: &str) -> Option<&'a RawValue> {
    fields.remove(camel).or_else(|| fields.remove(snake))
}

/// The word of other dialects for a service tier.
pub(super) fn service_tier(tier: &str) -> String {
    match tier.to_ascii_lowercase().trim_start_matches("service_tier_") {
        "standard" | "unspecified" => "default".to_owned(),
        other => other.to_owned(),
    }
}

fn missing(name: &'static str) -> GatewayError {
    GatewayError::invalid(name, format!("{name} is missing"))
}
