//! Encodes requests to `generateContent`.

use super::{
    encode_request_contents::{GeminiTurn, TextPartWire, contents},
    encode_request_thinking::{self, ThinkingConfigWire},
    tools::{self, GeminiToolWire, ToolConfigWire},
};
use crate::translation_losses::report_extra;
use gateway_core::{
    ChatRequest, DroppedParams, ErrorKind, GatewayError, Json, Options, ResponseFormat, Result,
    Target,
};
use serde::Serialize;
use serde_json::Number;
use std::{borrow::Cow, collections::BTreeMap};

/// The largest number of stop sequences that Gemini accepts.
const MAX_STOP_SEQUENCES: usize = 5;

/// Parameters that callers borrow from Gemini, and what they are called there.
const BORROWED: [(&str, &str); 6] = [
    ("safety_settings", "safetySettings"),
    ("safetySettings", "safetySettings"),
    ("cached_content", "cachedContent"),
    ("cachedContent", "cachedContent"),
    ("continuation_token", "continuationToken"),
    ("continuationToken", "continuationToken"),
];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GeminiRequestWire<'a> {
    /// Said only where the address does not say it of this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Cow<'a, str>>,
    contents: Vec<GeminiTurn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<SystemInstructionWire<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<GeminiToolWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfigWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_settings: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation_token: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    generation_config: GenerationConfigWire<'a>,
}

#[derive(Debug, Serialize)]
struct SystemInstructionWire<'a> {
    parts: Vec<TextPartWire<'a>>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfigWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfigWire>,
}

/// Writes `request` for the model that `target` names.
///
/// # Errors
///
/// If it holds something without which it would mean something else.
pub(super) fn encode(
    request: &ChatRequest,
    target: &Target,
    dropped: &mut DroppedParams,
) -> Result<Vec<u8>> {
    bytes(&body(request, target, dropped)?)
}

/// Writes `request` as one whose tokens are to be counted.
///
/// # Errors
///
/// As [`encode`].
pub(super) fn encode_count(
    request: &ChatRequest,
    target: &Target,
    dropped: &mut DroppedParams,
) -> Result<Vec<u8>> {
    let model = Some(super::resource(&target.model));
    let counted = GeminiRequestWire { model, ..body(request, target, dropped)? };
    bytes(&BTreeMap::from([("generateContentRequest", counted)]))
}

fn bytes(body: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(|error| {
        GatewayError::new(ErrorKind::Internal, "the request cannot be encoded").with_source(error)
    })
}

fn body<'a>(
    request: &'a ChatRequest,
    target: &Target,
    dropped: &mut DroppedParams,
) -> Result<GeminiRequestWire<'a>> {
    let told =
        contents(&request.messages, encode_request_thinking::needs_signatures(target), dropped)?;
    let (mut contents, mut system) = (told.turns, told.system);
    if encode_request_thinking::lacks_instructions(target) {
        instruct_in_person(&mut contents, &mut system);
    }
    if contents.is_empty() {
        // There must be a turn, and its text must not be empty.
        contents.push(GeminiTurn::user(&[TextPartWire { text: " " }]));
    }
    let tools = tools::entries(&request.tools, request.tool_choice.as_ref())?;
    let choice = request.tool_choice.as_ref().filter(|_| !tools.is_empty());
    let no_parallel = request.parallel_tool_calls == Some(false) && !tools.is_empty();
    dropped.insert_if(no_parallel, "parallel_tool_calls");
    let body = GeminiRequestWire {
        model: None,
        contents,
        system_instruction: (!system.is_empty()).then_some(SystemInstructionWire { parts: system }),
        tools,
        tool_config: choice.map(tools::config),
        safety_settings: borrowed(request, "safetySettings"),
        cached_content: borrowed(request, "cachedContent"),
        continuation_token: borrowed(request, "continuationToken"),
        service_tier: service_tier(&request.options, dropped),
        generation_config: generation_config(&request.options, target, dropped),
    };
    report_dropped(request, dropped);
    Ok(body)
}

/// Has the user say what cannot be said as instructions.
fn instruct_in_person<'a>(contents: &mut Vec<GeminiTurn<'a>>, system: &mut Vec<TextPartWire<'a>>) {
    let said = std::mem::take(system);
    match contents.first_mut() {
        _ if said.is_empty() => {}
        Some(first) if first.is_users() => first.say_first(&said),
        _ => contents.insert(0, GeminiTurn::user(&said)),
    }
}

/// Gemini's word for the service tier. Without one a request is served in the standard tier.
fn service_tier(options: &Options, dropped: &mut DroppedParams) -> Option<&'static str> {
    match options.service_tier.as_deref()? {
        "auto" | "default" | "standard" => None,
        "flex" => Some("flex"),
        "priority" | "fast" => Some("priority"),
        _ => {
            dropped.insert("service_tier");
            None
        }
    }
}

fn borrowed<'a>(request: &'a ChatRequest, ours: &str) -> Option<&'a Json> {
    let mut names = BORROWED.iter().filter(|(_, wire)| *wire == ours);
    names.find_map(|(name, _)| request.extra.get(name))
}

fn generation_config<'a>(
    options: &'a Options,
    target: &Target,
    dropped: &mut DroppedParams,
) -> GenerationConfigWire<'a> {
    let (response_mime_type, response_json_schema) = match &options.response_format {
        None | Some(ResponseFormat::Text) => (None, None),
        Some(ResponseFormat::JsonObject) => (Some("application/json"), None),
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            (Some("application/json"), schema.as_ref())
        }
    };
    dropped.insert_if(options.stop.len() > MAX_STOP_SEQUENCES, "stop");
    let stop = options.stop.get(..MAX_STOP_SEQUENCES).unwrap_or(&options.stop);
    GenerationConfigWire {
        temperature: options.temperature.as_ref(),
        top_p: options.top_p.as_ref(),
        top_k: options.top_k,
        max_output_tokens: options.max_tokens,
        candidate_count: options.n,
        stop_sequences: Some(stop).filter(|stop| !stop.is_empty()),
        seed: options.seed.as_ref(),
        presence_penalty: options.presence_penalty.as_ref(),
        frequency_penalty: options.frequency_penalty.as_ref(),
        response_mime_type,
        response_json_schema,
        response_logprobs: options.logprobs,
        logprobs: options.top_logprobs.filter(|_| options.logprobs == Some(true)),
        thinking_config: encode_request_thinking::config(target, options, dropped),
    }
}

/// Names what the caller asked for and Gemini has no word for.
fn report_dropped(request: &ChatRequest, dropped: &mut DroppedParams) {
    let options = &request.options;
    dropped.insert_if(options.logit_bias.is_some(), "logit_bias");
    dropped.insert_if(options.verbosity.is_some(), "verbosity");
    dropped.insert_if(options.user.is_some(), "user");
    report_extra(request, &BORROWED.map(|(known, _)| known), dropped);
}
