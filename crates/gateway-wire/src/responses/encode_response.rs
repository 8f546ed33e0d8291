//! The response object: what was asked, and what was answered.

use crate::{
    Reply,
    responses::{
        body::some,
        encode_request_extra,
        encode_request_options::{self, WireFormat, WireText},
        encode_response_items::{OutItem, WireItem},
        errors::Failure,
        tools::{self, WireChoice, WireTool},
        usage::WireUsage,
    },
};
use gateway_core::{ChatRequest, Finish, FinishReason, GatewayError, Json, Payload, Usage};
use serde::Serialize;
use serde_json::Number;
use std::sync::LazyLock;

/// What is known of an answer beside its items.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: u64,
    pub(super) completed: u64,
    pub(super) finish: Option<Finish>,
    pub(super) usage: Option<Usage>,
    pub(super) service_tier: Option<Json>,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug)]
pub enum Stage<'a> {
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
pub(super) struct Answer<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    completed_at: Option<u64>,
    error: Option<Failure<'a>>,
    incomplete_details: Option<Incomplete>,
    model: &'a str,
    output: Vec<WireItem<'a>>,
    usage: Option<WireUsage>,
    service_tier: ServiceTier<'a>,
    #[serde(flatten)]
    echo: Echo<'a>,
}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ServiceTier<'a> {
    Told(&'a Json),
    Asked(&'a str),
}

/// What is told again of the request.
#[derive(Serialize)]
struct Echo<'a> {
    background: Or<'a, bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<Conversation<'a>>,
    frequency_penalty: f64,
    instructions: Option<&'a Json>,
    max_output_tokens: Option<u64>,
    max_tool_calls: Option<&'a Json>,
    metadata: Or<'a, Empty>,
    parallel_tool_calls: bool,
    presence_penalty: f64,
    previous_response_id: Option<&'a Json>,
    prompt_cache_key: Option<&'a Json>,
    reasoning: Reasoning<'a>,
    safety_identifier: Option<&'a Json>,
    store: Or<'a, bool>,
    temperature: Or<'a, f64, Number>,
    text: WireText<'a>,
    tool_choice: WireChoice<'a>,
    tools: Vec<WireTool<'a>>,
    top_logprobs: u32,
    top_p: Or<'a, f64, Number>,
    truncation: Or<'a, &'static str>,
    user: Option<&'a str>,
}

/// What the caller said, or the default.
#[derive(Serialize)]
#[serde(untagged)]
enum Or<'a, D, T = Json> {
    Said(&'a T),
    Default(D),
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Reasoning<'a> {
    effort: Option<&'static str>,
    summary: Option<&'a str>,
}

/// A conversation is told as an object, even where the caller named it by its id alone.
#[derive(Serialize)]
#[serde(untagged)]
enum Conversation<'a> {
    Id { id: &'a Json },
    Whole(&'a Json),
}

/// The request that is answered; an empty one if nobody could read it.
pub(super) fn request(reply: &Reply) -> &ChatRequest {
    static NONE: LazyLock<ChatRequest> = LazyLock::new(ChatRequest::default);
    match &reply.payload {
        Payload::Raw(original) => original.decoded().unwrap_or(&NONE),
        Payload::Parsed(request) => request,
    }
}

/// The object that tells of `items`.
pub(super) fn object<'a>(
    about: &'a About,
    request: &'a ChatRequest,
    items: &'a [OutItem],
    stage: Stage<'a>,
) -> Answer<'a> {
    let ended = matches!(stage, Stage::Ended);
    let cut = about.cut().filter(|_| ended);
    let tier = request.options.service_tier.as_deref().filter(|tier| *tier != "auto");
    Answer {
        id: &about.id,
        object: "response",
        created_at: about.created,
        status: match (stage, cut) {
            (Stage::Queued, _) => "queued",
            (Stage::InProgress, _) => "in_progress",
            (Stage::Cancelled, _) => "cancelled",
            (Stage::Ended, None) => "completed",
            (Stage::Ended, Some(_)) => "incomplete",
            (Stage::Failed(_), _) => "failed",
        },
        completed_at: (ended && cut.is_none()).then_some(about.completed.max(about.created)),
        error: if let Stage::Failed(error) = stage { Some(Failure::from(error)) } else { None },
        incomplete_details: cut.map(|reason| Incomplete { reason }),
        model: &about.model,
        output: items.iter().map(OutItem::wire).collect(),
        usage: about.usage.as_ref().map(WireUsage::from),
        service_tier: about
            .service_tier
            .as_ref()
            .and_then(some)
            .map_or(ServiceTier::Asked(tier.unwrap_or("default")), ServiceTier::Told),
        echo: echo(request),
    }
}

impl About {
    /// Why the answer is not complete, if it is not.
    pub(super) fn cut(&self) -> Option<&'static str> {
        match self.finish.as_ref()?.reason {
            FinishReason::Length => Some("max_output_tokens"),
            FinishReason::ContentFilter => Some("content_filter"),
            FinishReason::Stop | FinishReason::ToolCalls => None,
        }
    }
}

fn echo(request: &ChatRequest) -> Echo<'_> {
    let options = &request.options;
    let extra = |name: &str| request.extra.get(name).and_then(some);
    let choice = request.tool_choice.as_ref();
    let reasoning = options.reasoning.as_ref();
    Echo {
        background: or(extra("background"), false),
        conversation: extra("conversation").map(|conversation| {
            if conversation.get().starts_with('"') {
                Conversation::Id { id: conversation }
            } else {
                Conversation::Whole(conversation)
            }
        }),
        frequency_penalty: 0.0,
        instructions: extra("instructions"),
        max_output_tokens: options.max_tokens,
        max_tool_calls: extra("max_tool_calls"),
        metadata: or(extra("metadata"), Empty {}),
        parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
        presence_penalty: 0.0,
        previous_response_id: extra("previous_response_id"),
        prompt_cache_key: extra("prompt_cache_key"),
        reasoning: Reasoning {
            effort: reasoning.and_then(|it| it.effort).map(gateway_core::Effort::as_str),
            summary: reasoning.and_then(|it| it.summary.as_deref()),
        },
        safety_identifier: extra("safety_identifier"),
        store: or(extra("store"), true),
        temperature: or(options.temperature.as_ref(), 1.0),
        text: encode_request_options::text(options)
            .unwrap_or(WireText { format: WireFormat::Text, verbosity: None }),
        tool_choice: choice
            .map_or(WireChoice::Word("auto"), |choice| tools::write_choice(choice, &request.tools)),
        tools: request.tools.iter().filter_map(tools::write_tool).collect(),
        top_logprobs: options.top_logprobs.unwrap_or_default(),
        top_p: or(options.top_p.as_ref(), 1.0),
        truncation: or(extra("truncation"), "disabled"),
        user: encode_request_extra::user(request),
    }
}

fn or<D, T>(said: Option<&T>, default: D) -> Or<'_, D, T> {
    said.map_or(Or::Default(default), Or::Said)
}
