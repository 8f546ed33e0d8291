//! The body of a request.

use super::{
    cache_control,
    encode_request_blocks::{BlockBody as Said, BlockEncoder, PlainTextBlocks},
    encode_request_sampling::{SamplingParams, report_dropped, service_tier, stop_sequences},
    encode_request_thinking::{ThinkingOutWire, ThinkingPlan},
    encode_request_turns::{MessageTurn, MessageTurns},
    json_schema,
    tools::{OfferedTool, ToolChoiceOutWire, encode_choice, encode_tools},
};
use crate::{EncodedRequest, translation_losses::report_extra};
use gateway_core::{
    ChatRequest, Dialect, DroppedParams, Extra, GatewayError, Json, ModelCard, ProviderRequest,
    ResponseFormat, Result, StrictSchemas,
};
use serde::Serialize;
use serde_json::Number;

/// The endpoint that a request body is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RequestPurpose {
    /// The body of a generation request.
    Answer,
    /// The body of a token-counting request, without generation options.
    Count,
}

#[derive(Debug, Serialize)]
struct MessagesRequestWire<'a> {
    model: &'a str,
    messages: &'a [MessageTurn<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<PlainTextBlocks<'a, 'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: &'a [OfferedTool<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoiceOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<ThinkingOutWire>,
    #[serde(skip_serializing_if = "OutputConfigOutWire::is_empty")]
    output_config: OutputConfigOutWire,
    #[serde(flatten)]
    answer: Option<GenerationOptionsWire<'a>>,
    #[serde(flatten)]
    extra: Extra,
}

/// The generation options of a request.
#[derive(Debug, Serialize)]
struct GenerationOptionsWire<'a> {
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<MetadataOutWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Debug, Serialize)]
struct MetadataOutWire<'a> {
    user_id: &'a str,
}

#[derive(Debug, Default, Serialize)]
struct OutputConfigOutWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormatOutWire>,
    #[serde(flatten)]
    rest: Extra,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutputFormatOutWire {
    JsonSchema { schema: Json },
}

impl OutputConfigOutWire {
    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none() && self.rest.is_empty()
    }
}

/// Writes the body for `call` from its request, decoded.
///
/// # Errors
///
/// If the request cannot be decoded, or holds something that cannot be said here and without which
/// it would mean something else.
pub(super) fn encode(call: &ProviderRequest, purpose: RequestPurpose) -> Result<EncodedRequest> {
    let request = call.request()?;
    let card = call.target.card.as_deref();
    let mut dropped = DroppedParams::default();
    let foreign = request.dialect.is_some_and(|it| it != Dialect::Messages);
    if request.options.n.is_some_and(|n| n > 1) {
        return Err(GatewayError::invalid(
            "n",
            "the model's provider supports one choice per request",
        ));
    }
    let blocks = BlockEncoder { dropped: &mut dropped, foreign };
    let knows_system = is_ours(request) || takes_system_turns(&call.target.model);
    let mut turns = MessageTurns::new(&request.messages, knows_system, blocks)?;
    let plan = ThinkingPlan::new(request, card, &turns, &mut dropped);
    let mut tools = encode_tools(request)?;
    let mut extra = extra(request, &mut dropped);
    let rest = extra.remove("output_config").and_then(|it| it.read().ok()).unwrap_or_default();
    dropped.insert_if(mark(&mut tools, &mut turns, &extra), "cache_control");
    let format = format(request, card, &mut dropped);
    let body = MessagesRequestWire {
        model: &call.target.model,
        messages: &turns.turns,
        system: (!turns.system.is_empty()).then_some(PlainTextBlocks(&turns.system)),
        tool_choice: encode_choice(request).filter(|_| !tools.is_empty()),
        tools: &tools,
        thinking: plan.wire(),
        output_config: OutputConfigOutWire { effort: plan.effort, format, rest },
        answer: (purpose == RequestPurpose::Answer)
            .then(|| answer(call, request, &plan, &mut dropped)),
        extra,
    };
    let body = serde_json::to_vec(&body).map_err(|error| {
        GatewayError::new(gateway_core::ErrorKind::Internal, "the request cannot be encoded")
            .with_source(error)
    })?;
    Ok(EncodedRequest::whole(body, dropped))
}

fn answer<'a>(
    call: &ProviderRequest,
    request: &'a ChatRequest,
    plan: &ThinkingPlan,
    dropped: &mut DroppedParams,
) -> GenerationOptionsWire<'a> {
    let options = &request.options;
    let card = call.target.card.as_deref();
    let SamplingParams { temperature, top_p, top_k } =
        SamplingParams::new(options, plan.mode.is_on(), card, dropped);
    report_dropped(options, dropped);
    GenerationOptionsWire {
        max_tokens: plan.max_tokens,
        temperature,
        top_p,
        top_k,
        stop_sequences: stop_sequences(options, dropped),
        metadata: options.user.as_deref().map(|user_id| MetadataOutWire { user_id }),
        service_tier: service_tier(options, dropped),
        stream: call.stream,
    }
}

/// The shape of the response. Some JSON object, whatever it holds, cannot be asked for.
fn format(
    request: &ChatRequest,
    card: Option<&ModelCard>,
    dropped: &mut DroppedParams,
) -> Option<OutputFormatOutWire> {
    let is_unable = card.is_some_and(|card| {
        card.capabilities.json_schema == Some(false)
            || card.rules.strict_schemas == StrictSchemas::Never
    });
    match &request.options.response_format {
        None | Some(ResponseFormat::Text) => None,
        Some(ResponseFormat::JsonSchema { schema: Some(schema), .. }) if !is_unable => {
            Some(OutputFormatOutWire::JsonSchema { schema: json_schema::compilable(schema) })
        }
        Some(ResponseFormat::JsonSchema { .. } | ResponseFormat::JsonObject) => {
            dropped.insert("response_format");
            None
        }
    }
}

/// The unmodelled members of a request from a caller of this dialect; those of other dialects are
/// dropped.
fn extra(request: &ChatRequest, dropped: &mut DroppedParams) -> Extra {
    if is_ours(request) {
        return request.extra.clone();
    }
    report_extra(request, &[], dropped);
    Extra::default()
}

/// Returns whether the model called `name` takes turns of the system within a conversation: Claude
/// does from 4.8 on.
fn takes_system_turns(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("claude-") else { return false };
    let mut numbers = rest.split('-').skip_while(|word| word.parse::<u32>().is_err());
    let mut number = || numbers.next().and_then(|word| word.parse::<u32>().ok());
    // What follows a release may be its date.
    let release = (number().unwrap_or(0), number().filter(|it| *it < 100).unwrap_or(0));
    release >= (4, 8)
}

/// The caller speaks this dialect.
fn is_ours(request: &ChatRequest) -> bool {
    request.dialect == Some(Dialect::Messages)
}

/// Keeps the breakpoints of the prompt cache within what the provider takes. Returns whether some
/// were left out.
fn mark(tools: &mut [OfferedTool<'_>], turns: &mut MessageTurns<'_>, extra: &Extra) -> bool {
    let mut blocks: Vec<_> = turns.system.iter_mut().collect();
    blocks.extend(turns.turns.iter_mut().flat_map(|turn| &mut turn.blocks));
    let is_raw_mark =
        |json: &Json| json.read::<Extra>().is_ok_and(|it| it.get("cache_control").is_some());
    let raw = blocks.iter().filter(|it| matches!(it.body, Said::Raw(json) if is_raw_mark(json)));
    let hosted = tools.iter().filter_map(OfferedTool::raw).filter(|json| is_raw_mark(json));
    let automatic = usize::from(extra.get("cache_control").is_some());
    let fixed = raw.count() + hosted.count() + automatic;
    let tools = tools.iter_mut().map(|tool| &mut tool.cache);
    let mut marks: Vec<_> = tools.collect();
    for block in blocks {
        if let Said::ToolResult { content, .. } = &mut block.body {
            marks.extend(content.iter_mut().map(|inner| &mut inner.cache));
        }
        marks.push(&mut block.cache);
    }
    cache_control::limit(marks.into_iter(), fixed)
}
