//! Decodes requests of callers of the Responses API.

use crate::json::{lazy_object::LazyObject, path::read_param};
use crate::request_shape::members_without_place;
use crate::responses::{decode_request_input, request_shape, tools};
use gateway_core::{
    ChatRequest, Content, Dialect, Effort, Extra, GatewayError, Json, Message, Options,
    ReasoningOptions, ResponseFormat, Result, Role,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Decodes a request.
pub(super) fn decode(body: &[u8]) -> Result<ChatRequest> {
    let mut members: LazyObject<'_> = serde_json::from_slice(body).map_err(|error| {
        GatewayError::invalid("body", "the body is not a JSON object").with_source(error)
    })?;
    let model = members.take("model")?;
    let model = model.ok_or_else(|| GatewayError::invalid("model", "model is required"))?;
    let mut request = ChatRequest {
        model,
        stream_usage: true,
        dialect: Some(Dialect::Responses),
        ..ChatRequest::default()
    };
    request.stream = members.take("stream")?.unwrap_or_default();
    read_instructions(&mut members, &mut request)?;
    read_input(&mut members, &mut request)?;
    if let Some(tools) = members.remove("tools") {
        request.tools = tools::read_tools(tools)?;
    }
    if let Some(raw) = members.remove("tool_choice") {
        request.tool_choice = tools::read_choice(raw)?;
        if request.tool_choice.is_none() {
            request.extra.push("tool_choice", raw.into());
        }
    }
    request.parallel_tool_calls = members.take("parallel_tool_calls")?;
    request.options = options(&mut members, &mut request.extra)?;
    // The gateway's own; no upstream knows it.
    members.remove("session_id");
    for (name, value) in members {
        request.extra.push(name, value.into());
    }
    request.unmodelled = members_without_place(request_shape::MEMBERS, body);
    Ok(request)
}

/// Instructions are a message to every upstream, and apart from the input in the response.
fn read_instructions(members: &mut LazyObject<'_>, request: &mut ChatRequest) -> Result<()> {
    if let Some(raw) = members.remove("instructions") {
        let text: String = read_param(raw, || "instructions".to_owned())?;
        request.messages.push(Message::new(Role::System, [Content::Text(text)]));
        request.extra.push("instructions", Json::from(raw));
    }
    Ok(())
}

fn read_input(members: &mut LazyObject<'_>, request: &mut ChatRequest) -> Result<()> {
    let Some(input) = members.remove("input") else {
        let elsewhere = ["previous_response_id", "conversation", "prompt"];
        return if elsewhere.iter().any(|name| members.get(name).is_some()) {
            Ok(())
        } else {
            Err(GatewayError::invalid("input", "input is required"))
        };
    };
    request.messages.extend(decode_request_input::messages(input)?);
    Ok(())
}

/// Reads the options; those with a value that is not known are put into `extra`.
fn options(members: &mut LazyObject<'_>, extra: &mut Extra) -> Result<Options> {
    let (response_format, verbosity) = match members.remove("text") {
        Some(text) => read_text(text)?.unwrap_or_else(|| {
            extra.push("text", text.into());
            (None, None)
        }),
        None => (None, None),
    };
    let reasoning = match members.remove("reasoning") {
        Some(raw) => read_reasoning(raw)?.or_else(|| {
            extra.push("reasoning", raw.into());
            None
        }),
        None => None,
    };
    let asks_logprobs = |include: &RawValue| include.get().contains("output_text.logprobs");
    Ok(Options {
        max_tokens: members.take("max_output_tokens")?,
        temperature: members.take("temperature")?,
        top_p: members.take("top_p")?,
        logprobs: members.get("include").is_some_and(asks_logprobs).then_some(true),
        top_logprobs: members.take("top_logprobs")?,
        response_format,
        verbosity,
        reasoning,
        user: match members.take("user")? {
            Some(user) => Some(user),
            // Stays where it is, too: upstreams of this dialect know it by that name.
            None => members.text("safety_identifier").map(Cow::into_owned),
        },
        service_tier: members.take("service_tier")?,
        ..Options::default()
    })
}

/// The format and the verbosity of the text.
type TextOptions = (Option<ResponseFormat>, Option<String>);

/// Reads `text`; nothing if its format is none that is known.
fn read_text(raw: &RawValue) -> Result<Option<TextOptions>> {
    #[derive(Deserialize)]
    struct Wire {
        format: Option<Format>,
        verbosity: Option<String>,
    }
    #[derive(Deserialize)]
    struct Format {
        #[serde(rename = "type")]
        kind: String,
        name: Option<String>,
        description: Option<String>,
        schema: Option<Json>,
        strict: Option<bool>,
    }
    let Wire { format, verbosity } = read_param(raw, || "text".to_owned())?;
    let Some(Format { kind, name, description, schema, strict }) = format else {
        return Ok(Some((None, verbosity)));
    };
    let format = match kind.as_str() {
        "text" => ResponseFormat::Text,
        "json_object" => ResponseFormat::JsonObject,
        "json_schema" => {
            let name = name.unwrap_or_else(|| "answer".to_owned());
            ResponseFormat::JsonSchema { name, description, schema, strict }
        }
        _ => return Ok(None),
    };
    Ok(Some((Some(format), verbosity)))
}

/// Reads `reasoning`; nothing if its effort is none that is known.
fn read_reasoning(raw: &RawValue) -> Result<Option<ReasoningOptions>> {
    #[derive(Deserialize)]
    struct Wire {
        effort: Option<String>,
        summary: Option<String>,
        generate_summary: Option<String>,
    }
    let Wire { effort, summary, generate_summary } = read_param(raw, || "reasoning".to_owned())?;
    let known = effort.as_deref().map(Effort::parse);
    if known == Some(None) {
        return Ok(None);
    }
    let (effort, summary) = (known.flatten(), summary.or(generate_summary));
    Ok(Some(ReasoningOptions { effort, summary, ..ReasoningOptions::default() }))
}
