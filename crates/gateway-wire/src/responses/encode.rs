//! Requests to an upstream.

use crate::{
    Encoded,
    responses::{
        body::some,
        encode_input,
        item::Item,
        tools::{self, WireChoice, WireTool},
    },
    splice,
};
use bytes::Bytes;
use gateway_core::{
    Call, ChatRequest, Content, Dialect, Effort, Extra, GatewayError, Json, Loss, Message, Options,
    Original, ReasoningStyle, ResponseFormat, Result, Role,
};
use serde::{Serialize, Serializer};
use serde_json::Number;
use std::borrow::Cow;

/// The least that this API takes.
const MIN_OUTPUT_TOKENS: u64 = 16;

/// Asks for the token that lets thinking be sent back.
const ENCRYPTED: &str = "reasoning.encrypted_content";
/// Asks for likelihoods.
const LOGPROBS: &str = "message.output_text.logprobs";

/// Parameters of this dialect that the gateway does not model.
const KNOWN: [&str; 15] = [
    "background",
    "client_metadata",
    "context_management",
    "conversation",
    "max_tool_calls",
    "metadata",
    "moderation",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "truncation",
];

/// Parameters that say nothing here: written elsewhere, or about streams only.
const SILENT: [&str; 4] = ["include", "instructions", "stream_options", "modalities"];

#[derive(Serialize)]
struct Wire<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
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
    text: Option<WireText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<WireReasoning<'a>>,
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
    extra: Passed<'a>,
}

/// How to write.
#[derive(Debug, Serialize)]
pub(super) struct WireText<'a> {
    pub(super) format: WireFormat<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verbosity: Option<&'a str>,
}

/// The shape of the answer.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WireFormat<'a> {
    Text,
    JsonObject,
    JsonSchema {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        schema: &'a Json,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

#[derive(Serialize)]
struct WireReasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
}

/// Members that travel as they came.
struct Passed<'a>(Vec<(&'a str, &'a Json)>);

impl Serialize for Passed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Writes the body of a request.
pub(super) fn encode(call: &Call) -> Result<Encoded> {
    if let Some(original) = call.original(Dialect::Responses)
        && original.envelope.stream == call.stream
    {
        return Ok(respell(original, &call.target.model));
    }
    compose(call)
}

/// The caller's bytes with another model's name, and without what is ours alone.
fn respell(original: &Original, model: &str) -> Encoded {
    let envelope = &original.envelope;
    let mut edits = Vec::new();
    if envelope.model != model {
        edits.push((envelope.model_span.clone(), splice::literal(model)));
    }
    if let Some((_, span)) = &envelope.session {
        edits.push((span.clone(), Bytes::new()));
    }
    Encoded { body: splice::splice(&original.body, edits), loss: Loss::default() }
}

fn compose(call: &Call) -> Result<Encoded> {
    let request = call.request()?;
    refuse(request)?;
    let mut loss = Loss::default();
    let theirs = call.original(Dialect::Responses).is_some();
    let sampling = sampling(call, &request.options, &mut loss);
    let (instructions, messages) = instructions(request);
    let wire = Wire {
        model: &call.target.model,
        instructions,
        input: encode_input::items(messages, &mut loss)?,
        tools: tools(request, &mut loss),
        tool_choice: choice(request),
        parallel_tool_calls: request.parallel_tool_calls,
        max_output_tokens: request.options.max_tokens.map(|most| most.max(MIN_OUTPUT_TOKENS)),
        temperature: sampling.and_then(|options| options.temperature.as_ref()),
        top_p: sampling.and_then(|options| options.top_p.as_ref()),
        top_logprobs: request.options.top_logprobs,
        text: text(&request.options),
        reasoning: reasoning(call, &request.options, &mut loss),
        user: user(request),
        service_tier: request.options.service_tier.as_deref(),
        include: include(call, request, theirs),
        // Who kept nothing upstream so far does not begin now.
        store: (!theirs && request.extra.get("store").is_none()).then_some(false),
        stream: call.stream,
        extra: passed(&request.extra, theirs, &mut loss),
    };
    note_losses(&request.options, &mut loss);
    let body = serde_json::to_vec(&wire)
        .map_err(|error| GatewayError::invalid("input", "cannot be written").because(error))?;
    Ok(Encoded::whole(body, loss))
}

/// Refuses what would mean something else if it were left out.
fn refuse(request: &ChatRequest) -> Result<()> {
    let refusal = |param: &'static str, message: &'static str| {
        Err(GatewayError::invalid(param, message).with_code("unsupported_parameter"))
    };
    if request.options.n.is_some_and(|n| n > 1) {
        return refusal("n", "the model's provider gives one answer at a time");
    }
    let says = |name: &str| request.extra.get(name).and_then(some);
    if says("audio").is_some() || says("modalities").is_some_and(|it| it.get().contains("audio")) {
        return refusal("modalities", "the model's provider does not speak in its Responses API");
    }
    Ok(())
}

/// The instructions, if the caller gave them apart from the input, and the other messages.
fn instructions(request: &ChatRequest) -> (Option<&str>, &[Message]) {
    let apart = request.extra.get("instructions").is_some_and(|it| it.get().starts_with('"'));
    match request.messages.split_first() {
        Some((first, rest)) if apart && first.role == Role::System => {
            match first.parts.as_slice() {
                [part] if let Content::Text(text) = &part.content => (Some(text), rest),
                _ => (None, &request.messages),
            }
        }
        _ => (None, &request.messages),
    }
}

fn tools<'a>(request: &'a ChatRequest, loss: &mut Loss) -> Vec<WireTool<'a>> {
    let mut written = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        match tools::write_tool(tool) {
            Some(tool) => written.push(tool),
            None => loss.drop(tool.name().to_owned()),
        }
    }
    written
}

fn choice(request: &ChatRequest) -> Option<WireChoice<'_>> {
    request.tool_choice.as_ref().map(|choice| tools::write_choice(choice, &request.tools))
}

/// The options of sampling, if the model takes any.
fn sampling<'a>(call: &Call, options: &'a Options, loss: &mut Loss) -> Option<&'a Options> {
    let card = call.target.card.as_ref();
    if card.is_none_or(|card| card.capabilities.sampling != Some(false)) {
        return Some(options);
    }
    loss.drop_if(options.temperature.is_some(), "temperature");
    loss.drop_if(options.top_p.is_some(), "top_p");
    None
}

/// The shape of the answer, and how much of it.
pub(super) fn text(options: &Options) -> Option<WireText<'_>> {
    let format = options.response_format.as_ref().map(|format| match format {
        ResponseFormat::Text => WireFormat::Text,
        ResponseFormat::JsonSchema { name, description, schema: Some(schema), strict } => {
            let description = description.as_deref();
            WireFormat::JsonSchema { name, description, schema, strict: *strict }
        }
        ResponseFormat::JsonObject | ResponseFormat::JsonSchema { schema: None, .. } => {
            WireFormat::JsonObject
        }
    });
    let verbosity = options.verbosity.as_deref();
    (format.is_some() || verbosity.is_some())
        .then(|| WireText { format: format.unwrap_or(WireFormat::Text), verbosity })
}

fn style(call: &Call) -> Option<ReasoningStyle> {
    call.target.card.as_ref()?.capabilities.reasoning
}

fn reasoning<'a>(call: &Call, options: &'a Options, loss: &mut Loss) -> Option<WireReasoning<'a>> {
    let wish = options.reasoning.as_ref()?;
    if style(call) == Some(ReasoningStyle::Never) {
        loss.drop_if(wish.effort.is_some_and(|effort| effort != Effort::None), "reasoning_effort");
        return None;
    }
    let effort = wish.effort.or_else(|| wish.budget.map(effort_of)).map(Effort::as_str);
    let summary = wish.summary.as_deref().filter(|summary| *summary != "omitted");
    (effort.is_some() || summary.is_some()).then_some(WireReasoning { effort, summary })
}

/// The effort that spends about so many tokens.
const fn effort_of(budget: u64) -> Effort {
    match budget {
        0 => Effort::None,
        1..=1024 => Effort::Low,
        1025..=8192 => Effort::Medium,
        _ => Effort::High,
    }
}

/// The end user, unless named by the newer parameter.
pub(super) fn user(request: &ChatRequest) -> Option<&str> {
    let newer = request.extra.get("safety_identifier").and_then(some);
    request.options.user.as_deref().filter(|_| newer.is_none())
}

/// What else the answer shall hold: what the caller asked for, and what a translation needs.
fn include<'a>(call: &Call, request: &'a ChatRequest, theirs: bool) -> Vec<Cow<'a, str>> {
    let asked = request.extra.get("include").and_then(|include| include.read().ok());
    let mut include: Vec<Cow<'a, str>> = asked.unwrap_or_default();
    let mut add = |wanted: bool, what: &'static str| {
        if wanted && !include.iter().any(|it| it == what) {
            include.push(Cow::Borrowed(what));
        }
    };
    add(!theirs && thinks(call, request), ENCRYPTED);
    add(request.options.logprobs == Some(true), LOGPROBS);
    include
}

/// Whether the model thinks, as far as can be told: others refuse to be asked for the proof of it.
fn thinks(call: &Call, request: &ChatRequest) -> bool {
    let is_sealed = |message: &Message| {
        message.parts.iter().any(|part| {
            matches!(&part.content, Content::Reasoning(reasoning)
                if reasoning.seal.as_ref().is_some_and(|it| it.dialect == Dialect::Responses))
        })
    };
    match style(call) {
        Some(style) => style != ReasoningStyle::Never,
        None => request.options.reasoning.is_some() || request.messages.iter().any(is_sealed),
    }
}

/// The parameters that travel as they came: those of this dialect, or all if the caller spoke it.
fn passed<'a>(extra: &'a Extra, theirs: bool, loss: &mut Loss) -> Passed<'a> {
    let mut passed = Vec::new();
    for (name, value) in extra.iter().filter(|(name, _)| !SILENT.contains(name)) {
        // Anthropic has a parameter of the same name, and another shape.
        let foreign = name == "context_management" && !value.get().starts_with('[');
        if theirs || (KNOWN.contains(&name) && !foreign) {
            passed.push((name, value));
        } else if some(value).is_some() {
            loss.drop(name.to_owned());
        }
    }
    Passed(passed)
}

/// What Chat can say and Responses cannot.
fn note_losses(options: &Options, loss: &mut Loss) {
    let matters = |penalty: &Option<Number>| {
        penalty.as_ref().is_some_and(|penalty| penalty.as_f64() != Some(0.0))
    };
    loss.drop_if(!options.stop.is_empty(), "stop");
    loss.drop_if(options.seed.is_some(), "seed");
    loss.drop_if(matters(&options.presence_penalty), "presence_penalty");
    loss.drop_if(matters(&options.frequency_penalty), "frequency_penalty");
    loss.drop_if(options.logit_bias.is_some(), "logit_bias");
    loss.drop_if(options.top_k.is_some(), "top_k");
}
