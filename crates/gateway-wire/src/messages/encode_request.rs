//! The body of a request.

use super::{
    cache_control,
    encode_request_blocks::{Blocks, Body as Said, Plainly},
    encode_request_sampling::{Sampling, note_losses, service_tier, stop_sequences},
    encode_request_thinking::{Plan, Wire},
    encode_request_turns::{Turn, Turns},
    json_schema,
    tools_encode::{Choice, Offer, choice, offers},
};
use crate::Encoded;
use gateway_core::{
    ChatRequest, Dialect, DroppedParams, Extra, GatewayError, Json, ModelCard, ProviderRequest,
    ResponseFormat, Result,
};
use serde::Serialize;
use serde_json::Number;

/// What a body is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// To be answered.
    Answer,
    /// To have its tokens counted: nothing is said of how to answer.
    Count,
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Turn<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<Plainly<'a, 'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: &'a [Offer<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Wire>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig,
    #[serde(flatten)]
    answer: Option<Answer<'a>>,
    #[serde(flatten)]
    extra: Extra,
}

/// How the answer is to be given.
#[derive(Debug, Serialize)]
struct Answer<'a> {
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
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

#[derive(Debug, Default, Serialize)]
struct OutputConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(flatten)]
    rest: Extra,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    JsonSchema { schema: Json },
}

impl OutputConfig {
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
pub(super) fn encode(call: &ProviderRequest, purpose: Purpose) -> Result<Encoded> {
    let request = call.request()?;
    let card = call.target.card.as_deref();
    let mut dropped = DroppedParams::default();
    let foreign = request.dialect.is_some_and(|it| it != Dialect::Messages);
    if request.options.n.is_some_and(|n| n > 1) {
        return Err(GatewayError::invalid("n", "the model's provider gives one answer at a time"));
    }
    let blocks = Blocks { dropped: &mut dropped, foreign };
    let mut turns = Turns::new(&request.messages, is_ours(request), blocks)?;
    let plan = Plan::new(request, card, &turns, &mut dropped);
    let mut tools = offers(request)?;
    let mut extra = extra(request, &mut dropped);
    let rest = extra.remove("output_config").and_then(|it| it.read().ok()).unwrap_or_default();
    mark(&mut tools, &mut turns, &extra);
    let format = format(request, card, &mut dropped);
    let body = Body {
        model: &call.target.model,
        messages: &turns.turns,
        system: (!turns.system.is_empty()).then_some(Plainly(&turns.system)),
        tool_choice: choice(request).filter(|_| !tools.is_empty()),
        tools: &tools,
        thinking: plan.wire(),
        output_config: OutputConfig { effort: plan.effort, format, rest },
        answer: (purpose == Purpose::Answer).then(|| answer(call, request, &plan, &mut dropped)),
        extra,
    };
    let body = serde_json::to_vec(&body).map_err(|error| {
        GatewayError::new(gateway_core::ErrorKind::Internal, "the request cannot be written")
            .with_source(error)
    })?;
    Ok(Encoded::whole(body, dropped))
}

fn answer<'a>(
    call: &ProviderRequest,
    request: &'a ChatRequest,
    plan: &Plan,
    dropped: &mut DroppedParams,
) -> Answer<'a> {
    let options = &request.options;
    let card = call.target.card.as_deref();
    let Sampling { temperature, top_p, top_k } =
        Sampling::new(options, plan.mode.is_on(), card, dropped);
    note_losses(options, dropped);
    Answer {
        max_tokens: plan.max_tokens,
        temperature,
        top_p,
        top_k,
        stop_sequences: stop_sequences(options, dropped),
        metadata: options.user.as_deref().map(|user_id| Metadata { user_id }),
        service_tier: service_tier(options, dropped),
        stream: call.stream,
    }
}

/// The shape of the answer. Some JSON object, whatever it holds, cannot be asked for.
fn format(
    request: &ChatRequest,
    card: Option<&ModelCard>,
    dropped: &mut DroppedParams,
) -> Option<Format> {
    let is_unable = card.is_some_and(|card| card.capabilities.json_schema == Some(false));
    match &request.options.response_format {
        None | Some(ResponseFormat::Text) => None,
        Some(ResponseFormat::JsonSchema { schema: Some(schema), .. }) if !is_unable => {
            Some(Format::JsonSchema { schema: json_schema::compilable(schema) })
        }
        Some(ResponseFormat::JsonSchema { .. } | ResponseFormat::JsonObject) => {
            dropped.insert("response_format");
            None
        }
    }
}

/// What a caller of this dialect said beyond what we model. What others said has no place here.
fn extra(request: &ChatRequest, dropped: &mut DroppedParams) -> Extra {
    if is_ours(request) {
        return request.extra.clone();
    }
    for (name, _) in request.extra.iter() {
        dropped.insert(name.to_owned());
    }
    Extra::default()
}

/// The caller speaks this dialect.
fn is_ours(request: &ChatRequest) -> bool {
    request.dialect == Some(Dialect::Messages)
}

/// Keeps the breakpoints of the prompt cache within what the provider takes.
fn mark(tools: &mut [Offer<'_>], turns: &mut Turns<'_>, extra: &Extra) {
    let mut blocks: Vec<_> = turns.system.iter_mut().collect();
    blocks.extend(turns.turns.iter_mut().flat_map(|turn| &mut turn.blocks));
    let is_raw_mark =
        |json: &Json| json.read::<Extra>().is_ok_and(|it| it.get("cache_control").is_some());
    let raw = blocks.iter().filter(|it| matches!(it.body, Said::Raw(json) if is_raw_mark(json)));
    let hosted = tools.iter().filter_map(Offer::raw).filter(|json| is_raw_mark(json));
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
    cache_control::limit(marks.into_iter(), fixed);
}
