//! Requests to an upstream.

use crate::json::path::some;
use crate::{
    EncodedRequest,
    responses::{
        encode_request_extra::{self, PassedMembers, user},
        encode_request_input,
        encode_request_items::InputItemWire,
        encode_request_options::{self, ReasoningOptionsWire, TextOptionsWire},
        tools::{self, ResponsesToolChoiceWire, ResponsesToolWire},
    },
    splice,
};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, Content, Dialect, DroppedParams, GatewayError, Message, ProviderRequest,
    RawRequest, Result, Role,
};
use serde::Serialize;
use serde_json::Number;
use std::borrow::Cow;

/// The least that this API takes.
const MIN_OUTPUT_TOKENS: u64 = 16;

#[derive(Serialize)]
struct ResponsesRequestWire<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: Vec<InputItemWire<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ResponsesToolWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ResponsesToolChoiceWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextOptionsWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<ReasoningOptionsWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    stream: bool,
    #[serde(flatten)]
    extra: PassedMembers<'a>,
}

/// Writes the body of a request.
pub(super) fn encode(call: &ProviderRequest) -> Result<EncodedRequest> {
    if let Some(original) = call.original(Dialect::Responses)
        && original.envelope.stream == call.stream
    {
        return Ok(respell(original, &call.target.model));
    }
    compose(call)
}

/// The caller's bytes with another model's name, and without what is ours alone.
fn respell(original: &RawRequest, model: &str) -> EncodedRequest {
    let envelope = &original.envelope;
    let mut edits = Vec::new();
    if envelope.model != model {
        edits.push((envelope.model_span.clone(), splice::literal(model)));
    }
    if let Some((_, span)) = &envelope.session {
        edits.push((span.clone(), Bytes::new()));
    }
    EncodedRequest {
        body: splice::splice(&original.body, edits),
        dropped: DroppedParams::default(),
    }
}

fn compose(call: &ProviderRequest) -> Result<EncodedRequest> {
    let request = call.request()?;
    refuse(request)?;
    let mut dropped = DroppedParams::default();
    let theirs = request.dialect == Some(Dialect::Responses);
    let sampling = encode_request_options::sampling(call, &request.options, &mut dropped);
    let (instructions, messages) = instructions(request);
    let wire = ResponsesRequestWire {
        model: &call.target.model,
        instructions,
        input: encode_request_input::items(messages, &mut dropped)?,
        tools: tools(request, &mut dropped),
        tool_choice: choice(request),
        parallel_tool_calls: request.parallel_tool_calls,
        max_output_tokens: request.options.max_tokens.map(|most| most.max(MIN_OUTPUT_TOKENS)),
        temperature: sampling.and_then(|options| options.temperature.as_ref()),
        top_p: sampling.and_then(|options| options.top_p.as_ref()),
        top_logprobs: request.options.top_logprobs,
        text: encode_request_options::text(&request.options),
        reasoning: encode_request_options::reasoning(call, &request.options, &mut dropped),
        user: user(request),
        service_tier: request.options.service_tier.as_deref(),
        include: encode_request_extra::include(call, request, theirs),
        // Who kept nothing upstream so far does not begin now.
        store: (!theirs && request.extra.get("store").is_none()).then_some(false),
        stream: call.stream,
        extra: encode_request_extra::passed(&request.extra, theirs, &mut dropped),
    };
    encode_request_options::report_dropped(&request.options, &mut dropped);
    let body = serde_json::to_vec(&wire)
        .map_err(|error| GatewayError::invalid("input", "cannot be written").with_source(error))?;
    Ok(EncodedRequest::whole(body, dropped))
}

/// Refuses what would mean something else if it were left out.
fn refuse(request: &ChatRequest) -> Result<()> {
    let refusal = |param: &'static str, message: &'static str| {
        Err(GatewayError::invalid(param, message).with_code("unsupported_parameter"))
    };
    if request.options.n.is_some_and(|n| n > 1) {
        return refusal("n", "the model's provider supports one choice per request");
    }
    let says = |name: &str| request.extra.get(name).and_then(some);
    if says("audio").is_some() || says("modalities").is_some_and(|it| it.get().contains("audio")) {
        return refusal(
            "modalities",
            "the model's provider produces no audio in its Responses API",
        );
    }
    Ok(())
}

/// The instructions, if the caller gave them apart from the input, and the other messages.
fn instructions(request: &ChatRequest) -> (Option<&str>, &[Message]) {
    let apart = request.extra.get("instructions").and_then(|it| it.read::<String>().ok());
    if let Some(apart) = apart
        && let Some((first, rest)) = request.messages.split_first()
        && first.role == Role::System
        && let [part] = first.parts.as_slice()
        && let Content::Text(text) = &part.content
        && *text == apart
    {
        return (Some(text), rest);
    }
    (None, &request.messages)
}

fn tools<'a>(request: &'a ChatRequest, dropped: &mut DroppedParams) -> Vec<ResponsesToolWire<'a>> {
    let mut written = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        match tools::write_tool(tool) {
            Some(tool) => written.push(tool),
            None => dropped.insert(tool.name().to_owned()),
        }
    }
    written
}

fn choice(request: &ChatRequest) -> Option<ResponsesToolChoiceWire<'_>> {
    request.tool_choice.as_ref().map(|choice| tools::write_choice(choice, &request.tools))
}
