//! Encodes requests to `/api/chat`.

use super::{
    OllamaOutbound,
    encode_request_messages::{OllamaMessageWire, messages},
    tools::{OllamaToolWire, tools},
};
use crate::{reasoning::effort_of_budget, translation_losses::report_extra};
use gateway_core::{
    ChatRequest, DroppedParams, Effort, ErrorKind, GatewayError, Json, Options, ProviderRequest,
    ReasoningOptions, ReasoningStyle, ResponseFormat, Result, Target,
};
use serde::Serialize;
use serde_json::Number;

/// Options that callers borrow from Ollama, beside those that every dialect has.
const BORROWED: [&str; 8] = [
    "min_p",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "num_keep",
    "repeat_last_n",
    "repeat_penalty",
    "typical_p",
];

#[derive(Debug, Serialize)]
struct OllamaRequestWire<'a> {
    model: &'a str,
    messages: Vec<OllamaMessageWire<'a>>,
    /// Always said: the default is to stream.
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<OllamaToolWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<OllamaFormatWire<'a>>,
    options: OllamaOptionsWire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<OllamaThinkWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<KeepAliveWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OllamaFormatWire<'a> {
    Word(&'static str),
    Schema(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OllamaThinkWire {
    Switch(bool),
    Level(&'static str),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum KeepAliveWire<'a> {
    Seconds(i64),
    Duration(&'a str),
}

#[derive(Debug, Default, Serialize)]
struct OllamaOptionsWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    num_ctx: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Number>,
    #[serde(flatten)]
    borrowed: gateway_core::Extra,
}

/// Writes the request of `call`.
///
/// # Errors
///
/// If it holds something without which it would mean something else.
pub(super) fn encode(
    upstream: &OllamaOutbound,
    call: &ProviderRequest,
    dropped: &mut DroppedParams,
) -> Result<Vec<u8>> {
    let request = call.request()?;
    let options = &request.options;
    let body = OllamaRequestWire {
        model: &call.target.model,
        messages: messages(&request.messages, dropped)?,
        stream: call.stream,
        tools: tools(request, dropped)?,
        format: options.response_format.as_ref().and_then(format),
        options: wire_options(request, upstream.num_ctx),
        think: options.reasoning.as_ref().and_then(|wanted| think(wanted, &call.target, dropped)),
        keep_alive: upstream.keep_alive.as_deref().map(KeepAliveWire::of),
        logprobs: options.logprobs.filter(|wanted| *wanted),
        top_logprobs: options.top_logprobs.filter(|_| options.logprobs == Some(true)),
    };
    report_dropped(request, !body.tools.is_empty(), dropped);
    serde_json::to_vec(&body).map_err(|error| {
        GatewayError::new(ErrorKind::Internal, "the request cannot be encoded").with_source(error)
    })
}

const fn format(format: &ResponseFormat) -> Option<OllamaFormatWire<'_>> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonSchema { schema: Some(schema), .. } => {
            Some(OllamaFormatWire::Schema(schema))
        }
        ResponseFormat::JsonObject | ResponseFormat::JsonSchema { schema: None, .. } => {
            Some(OllamaFormatWire::Word("json"))
        }
    }
}

fn wire_options(request: &ChatRequest, num_ctx: Option<u64>) -> OllamaOptionsWire<'_> {
    let options = &request.options;
    let mut borrowed = gateway_core::Extra::default();
    for (name, value) in request.extra.iter().filter(|(name, _)| BORROWED.contains(name)) {
        borrowed.push(name, value.clone());
    }
    OllamaOptionsWire {
        num_ctx,
        num_predict: options.max_tokens,
        temperature: options.temperature.as_ref(),
        top_p: options.top_p.as_ref(),
        top_k: options.top_k,
        stop: &options.stop,
        seed: options.seed.as_ref(),
        presence_penalty: options.presence_penalty.as_ref(),
        frequency_penalty: options.frequency_penalty.as_ref(),
        borrowed,
    }
}

/// Models of the family that knows levels ignore the switch, and older servers know only that.
fn think(
    wanted: &ReasoningOptions,
    target: &Target,
    dropped: &mut DroppedParams,
) -> Option<OllamaThinkWire> {
    let style = target.card.as_ref().and_then(|card| card.capabilities.reasoning);
    let effort = wanted.effort.or_else(|| wanted.budget.map(effort_of_budget));
    let effort = effort.or_else(|| wanted.adaptive.then_some(Effort::Medium))?;
    let knows_levels = style
        .map_or_else(|| target.model.contains("gpt-oss"), |style| style == ReasoningStyle::Effort);
    if style == Some(ReasoningStyle::Never) {
        dropped.insert_if(effort != Effort::None, "reasoning_effort");
        return None;
    }
    Some(match effort {
        _ if !knows_levels => OllamaThinkWire::Switch(effort != Effort::None),
        Effort::None | Effort::Minimal | Effort::Low => OllamaThinkWire::Level("low"),
        Effort::Medium => OllamaThinkWire::Level("medium"),
        Effort::High | Effort::XHigh | Effort::Max => OllamaThinkWire::Level("high"),
    })
}

impl<'a> KeepAliveWire<'a> {
    /// A number is so many seconds; with a unit it is a text.
    pub(super) fn of(text: &'a str) -> Self {
        text.parse().map_or(Self::Duration(text), Self::Seconds)
    }
}

/// Names what the caller asked for and Ollama has no word for.
fn report_dropped(request: &ChatRequest, has_tools: bool, dropped: &mut DroppedParams) {
    let options: &Options = &request.options;
    let no_parallel = request.parallel_tool_calls == Some(false);
    dropped.insert_if(no_parallel && has_tools, "parallel_tool_calls");
    dropped.insert_if(options.n.is_some_and(|n| n > 1), "n");
    dropped.insert_if(options.logit_bias.is_some(), "logit_bias");
    dropped.insert_if(options.verbosity.is_some(), "verbosity");
    dropped.insert_if(options.user.is_some(), "user");
    let tier = options.service_tier.as_deref();
    dropped.insert_if(tier.is_some_and(|tier| !matches!(tier, "auto" | "default")), "service_tier");
    report_extra(request, &BORROWED, dropped);
}
