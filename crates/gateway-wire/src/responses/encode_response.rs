//! The response object: what was asked, and what was answered.

use crate::json::path::some;
use crate::{
    ResponseContext,
    responses::{
        encode_request_extra,
        encode_request_options::{self, TextFormatWire, TextOptionsWire},
        encode_response_items::{OutputItem, OutputItemWire},
        errors::ResponseFailureWire,
        tools::{self, ResponsesToolChoiceWire, ResponsesToolWire},
        usage::ResponsesUsageWire,
    },
};
use gateway_core::{ChatRequest, Finish, GatewayError, Json, Payload, Usage};
use serde::Serialize;
use serde_json::Number;
use std::sync::LazyLock;

/// The metadata of a response besides its items.
#[derive(Clone, Debug, Default)]
pub(super) struct ResponseFacts {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: u64,
    pub(super) completed: u64,
    pub(super) finish: Option<Finish>,
    pub(super) usage: Option<Usage>,
    pub(super) service_tier: Option<Json>,
}

/// The progress of a response.
#[derive(Clone, Copy, Debug)]
pub enum ResponseStage<'a> {
    /// It waits for its turn.
    Queued,
    /// It is being written.
    InProgress,
    /// It is there, perhaps cut short by a limit.
    Ended,
    /// It was stopped on demand.
    Cancelled,
    /// There will be none, or no more of it.
    Failed(&'a GatewayError),
}

#[derive(Serialize)]
pub(super) struct ResponseObjectWire<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    completed_at: Option<u64>,
    error: Option<ResponseFailureWire<'a>>,
    incomplete_details: Option<IncompleteOutWire>,
    model: &'a str,
    output: Vec<OutputItemWire<'a>>,
    usage: Option<ResponsesUsageWire>,
    service_tier: ServiceTierWire<'a>,
    #[serde(flatten)]
    echo: EchoedRequestWire<'a>,
}

#[derive(Serialize)]
struct IncompleteOutWire {
    reason: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ServiceTierWire<'a> {
    Told(&'a Json),
    Asked(&'a str),
}

/// The request parameters that a response object repeats.
#[derive(Serialize)]
struct EchoedRequestWire<'a> {
    background: OrDefault<'a, bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<ConversationOutWire<'a>>,
    frequency_penalty: f64,
    instructions: Option<&'a Json>,
    max_output_tokens: Option<u64>,
    max_tool_calls: Option<&'a Json>,
    metadata: OrDefault<'a, EmptyObjectWire>,
    parallel_tool_calls: bool,
    presence_penalty: f64,
    previous_response_id: Option<&'a Json>,
    prompt_cache_key: Option<&'a Json>,
    reasoning: ReasoningEchoWire<'a>,
    safety_identifier: Option<&'a Json>,
    store: OrDefault<'a, bool>,
    temperature: OrDefault<'a, f64, Number>,
    text: TextOptionsWire<'a>,
    tool_choice: ResponsesToolChoiceWire<'a>,
    tools: Vec<ResponsesToolWire<'a>>,
    top_logprobs: u32,
    top_p: OrDefault<'a, f64, Number>,
    truncation: OrDefault<'a, &'static str>,
    user: Option<&'a str>,
}

/// A value of the request, or the API's default.
#[derive(Serialize)]
#[serde(untagged)]
enum OrDefault<'a, D, T = Json> {
    Said(&'a T),
    Default(D),
}

#[derive(Serialize)]
struct EmptyObjectWire {}

#[derive(Serialize)]
struct ReasoningEchoWire<'a> {
    effort: Option<&'static str>,
    summary: Option<&'a str>,
}

/// The conversation as an object, even if the request named it by id alone.
#[derive(Serialize)]
#[serde(untagged)]
enum ConversationOutWire<'a> {
    Id { id: &'a Json },
    Whole(&'a Json),
}

/// The request that is answered; an empty one if it could not be decoded.
pub(super) fn request(reply: &ResponseContext) -> &ChatRequest {
    static NONE: LazyLock<ChatRequest> = LazyLock::new(ChatRequest::default);
    match &reply.payload {
        Payload::Raw(original) => original.decoded().unwrap_or(&NONE),
        Payload::Parsed(request) => request,
        Payload::Relayed(_) => &NONE,
    }
}

/// Builds the response object around `items`.
pub(super) fn object<'a>(
    about: &'a ResponseFacts,
    request: &'a ChatRequest,
    items: &'a [OutputItem],
    stage: ResponseStage<'a>,
) -> ResponseObjectWire<'a> {
    let ended = matches!(stage, ResponseStage::Ended);
    let cut = about.cut().filter(|_| ended);
    let tier = request.options.service_tier.as_deref().filter(|tier| *tier != "auto");
    ResponseObjectWire {
        id: &about.id,
        object: "response",
        created_at: about.created,
        status: match (stage, cut) {
            (ResponseStage::Queued, _) => "queued",
            (ResponseStage::InProgress, _) => "in_progress",
            (ResponseStage::Cancelled, _) => "cancelled",
            (ResponseStage::Ended, None) => "completed",
            (ResponseStage::Ended, Some(_)) => "incomplete",
            (ResponseStage::Failed(_), _) => "failed",
        },
        completed_at: (ended && cut.is_none()).then_some(about.completed.max(about.created)),
        error: if let ResponseStage::Failed(error) = stage {
            Some(ResponseFailureWire::from(error))
        } else {
            None
        },
        incomplete_details: cut.map(|reason| IncompleteOutWire { reason }),
        model: &about.model,
        output: items.iter().map(OutputItem::wire).collect(),
        usage: about.usage.as_ref().map(ResponsesUsageWire::from),
        service_tier: about
            .service_tier
            .as_ref()
            .and_then(some)
            .map_or(ServiceTierWire::Asked(tier.unwrap_or("default")), ServiceTierWire::Told),
        echo: echo(request),
    }
}

fn echo(request: &ChatRequest) -> EchoedRequestWire<'_> {
    let options = &request.options;
    let extra = |name: &str| request.extra.get(name).and_then(some);
    let choice = request.tool_choice.as_ref();
    let reasoning = options.reasoning.as_ref();
    EchoedRequestWire {
        background: or(extra("background"), false),
        conversation: extra("conversation").map(|conversation| {
            if conversation.get().starts_with('"') {
                ConversationOutWire::Id { id: conversation }
            } else {
                ConversationOutWire::Whole(conversation)
            }
        }),
        frequency_penalty: 0.0,
        instructions: extra("instructions"),
        max_output_tokens: options.max_tokens,
        max_tool_calls: extra("max_tool_calls"),
        metadata: or(extra("metadata"), EmptyObjectWire {}),
        parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
        presence_penalty: 0.0,
        previous_response_id: extra("previous_response_id"),
        prompt_cache_key: extra("prompt_cache_key"),
        reasoning: ReasoningEchoWire {
            effort: reasoning.and_then(|it| it.effort).map(gateway_core::Effort::as_str),
            summary: reasoning.and_then(|it| it.summary.as_deref()),
        },
        safety_identifier: extra("safety_identifier"),
        store: or(extra("store"), true),
        temperature: or(options.temperature.as_ref(), 1.0),
        text: encode_request_options::text(options)
            .unwrap_or(TextOptionsWire { format: TextFormatWire::Text, verbosity: None }),
        tool_choice: choice.map_or(ResponsesToolChoiceWire::Word("auto"), |choice| {
            tools::write_choice(choice, &request.tools)
        }),
        tools: request.tools.iter().filter_map(tools::write_tool).collect(),
        top_logprobs: options.top_logprobs.unwrap_or_default(),
        top_p: or(options.top_p.as_ref(), 1.0),
        truncation: or(extra("truncation"), "disabled"),
        user: encode_request_extra::user(request),
    }
}

fn or<D, T>(said: Option<&T>, default: D) -> OrDefault<'_, D, T> {
    said.map_or(OrDefault::Default(default), OrDefault::Said)
}
