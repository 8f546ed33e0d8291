//! Decodes requests of callers of the Messages API.

use super::{decode_request_messages, request_shape, tools};
use crate::{
    json::{lazy_object::LazyObject, path::read_param},
    request_shape::members_without_place,
};
use gateway_core::{
    ChatRequest, Dialect, Effort, Extra, GatewayError, Json, Options, ReasoningOptions,
    ResponseFormat, Result, ToolChoice,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads a request to be answered.
pub(super) fn decode(body: &[u8]) -> Result<ChatRequest> {
    let request = decode_count(body)?;
    if request.options.max_tokens.is_none() {
        return Err(GatewayError::invalid("max_tokens", "max_tokens is missing"));
    }
    Ok(request)
}

/// Reads a request to have tokens counted, which need not bound the response.
pub(super) fn decode_count(body: &[u8]) -> Result<ChatRequest> {
    let mut fields: LazyObject<'_> = serde_json::from_slice(body).map_err(|error| {
        GatewayError::invalid("body", "the request is not a JSON object").with_source(error)
    })?;
    let system = decode_request_messages::system(fields.remove("system"))?;
    let mut messages: Vec<_> = system.into_iter().collect();
    let turns = fields.remove("messages").ok_or_else(|| missing("messages"))?;
    messages.extend(decode_request_messages::messages(turns)?);
    let model = fields.take("model")?.ok_or_else(|| missing("model"))?;
    let tools = fields.remove("tools").map(tools::decode_tools).transpose()?;
    let mut extra = Extra::default();
    let (tool_choice, parallel_tool_calls) = tool_choice(&mut fields, &mut extra)?.unzip();
    let stream = fields.take("stream")?.unwrap_or(false);
    let config: OutputConfigInWire = fields.take("output_config")?.unwrap_or_default();
    let unmodelled = config.unmodelled();
    let options = options(&mut fields, &config, &mut extra)?;
    for (name, value) in fields {
        extra.push(name, value.into());
    }
    if let Some(rest) = unmodelled {
        extra.push("output_config", rest);
    }
    Ok(ChatRequest {
        model,
        messages,
        tools: tools.unwrap_or_default(),
        tool_choice,
        parallel_tool_calls: parallel_tool_calls.flatten(),
        options,
        stream,
        // Streams of this dialect always end with the counts.
        stream_usage: stream,
        legacy_functions: false,
        extra,
        unmodelled: members_without_place(request_shape::MEMBERS, body),
        dialect: Some(Dialect::Messages),
        completion: None,
    })
}

/// Reads `tool_choice`; one that is not known is put into `extra`.
fn tool_choice(
    fields: &mut LazyObject<'_>,
    extra: &mut Extra,
) -> Result<Option<(ToolChoice, Option<bool>)>> {
    let Some(raw) = fields.remove("tool_choice") else { return Ok(None) };
    let choice: tools::ToolChoiceInWire = read_param(raw, || "tool_choice".to_owned())?;
    let choice = choice.split()?;
    if choice.is_none() {
        extra.push("tool_choice", raw.into());
    }
    Ok(choice)
}

/// Reads the options; those with a value that is not known are put into `extra`.
fn options(
    fields: &mut LazyObject<'_>,
    config: &OutputConfigInWire,
    extra: &mut Extra,
) -> Result<Options> {
    let effort = config.known_effort();
    let mut format = config.known_format();
    if let Some(raw) = fields.remove("output_format") {
        let older: OutputFormatInWire = read_param(raw, || "output_format".to_owned())?;
        match older.shape() {
            Some(shape) => format = Some(shape),
            None => extra.push("output_format", raw.into()),
        }
    }
    let thinking = match fields.remove("thinking") {
        Some(raw) => read_thinking(raw, extra)?,
        None => ThinkingInWire::default(),
    };
    let metadata: Option<MetadataInWire> = fields.take("metadata")?;
    let mut tier: Option<String> = fields.take("service_tier")?;
    if let Some(unknown) = tier.take_if(|tier| !TIERS.contains(&tier.as_str())) {
        extra.push("service_tier", Json::of(&unknown));
    }
    Ok(Options {
        max_tokens: fields.take("max_tokens")?,
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        stop: fields.take("stop_sequences")?.unwrap_or_default(),
        response_format: format,
        reasoning: reasoning(thinking, effort),
        user: metadata.and_then(|it| it.user_id),
        // The word that other dialects have for it.
        service_tier: tier.map(|it| if it == "standard_only" { "default".to_owned() } else { it }),
        ..Options::default()
    })
}

/// The service tiers that a caller may ask for.
const TIERS: [&str; 2] = ["auto", "standard_only"];

/// Reads `thinking`; a value of an unknown type goes into `extra` as it is.
fn read_thinking(raw: &RawValue, extra: &mut Extra) -> Result<ThinkingInWire> {
    let thinking: ThinkingInWire = read_param(raw, || "thinking".to_owned())?;
    if matches!(&*thinking.kind, "enabled" | "adaptive" | "disabled") {
        return Ok(thinking);
    }
    extra.push("thinking", raw.into());
    Ok(ThinkingInWire::default())
}

fn reasoning(thinking: ThinkingInWire, effort: Option<Effort>) -> Option<ReasoningOptions> {
    let mut it = ReasoningOptions { effort, ..ReasoningOptions::default() };
    match &*thinking.kind {
        "enabled" => it.budget = Some(thinking.budget_tokens.unwrap_or(1024)),
        "adaptive" => it.adaptive = true,
        "disabled" => it.budget = Some(0),
        _ => {}
    }
    it.summary = thinking.display.map(|display| match &*display {
        "summarized" => "auto".to_owned(),
        _ => display,
    });
    (it != ReasoningOptions::default()).then_some(it)
}

#[derive(Default, Deserialize)]
struct ThinkingInWire {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    budget_tokens: Option<u64>,
    #[serde(default)]
    display: Option<String>,
}

#[derive(Deserialize)]
struct MetadataInWire {
    #[serde(default)]
    user_id: Option<String>,
}

#[derive(Default)]
struct OutputConfigInWire {
    effort: Option<String>,
    format: Option<Json>,
    rest: Extra,
}

impl OutputConfigInWire {
    fn known_effort(&self) -> Option<Effort> {
        self.effort.as_ref().and_then(|word| Effort::parse(word))
    }

    fn known_format(&self) -> Option<ResponseFormat> {
        self.format.as_ref()?.read::<OutputFormatInWire>().ok()?.shape()
    }

    /// The members that are not modelled, and those with a value that is not known, as an object.
    fn unmodelled(&self) -> Option<Json> {
        let mut rest = self.rest.clone();
        if let (None, Some(format)) = (self.known_format(), &self.format) {
            rest.push("format", format.clone());
        }
        if let (None, Some(word)) = (self.known_effort(), &self.effort) {
            rest.push("effort", Json::of(word));
        }
        (!rest.is_empty()).then(|| Json::of(&rest))
    }
}

impl<'de> Deserialize<'de> for OutputConfigInWire {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rest = Extra::deserialize(deserializer)?;
        let effort = rest.remove("effort").and_then(|it| it.read().ok());
        let format = rest.remove("format").filter(|it| it.get() != "null");
        Ok(Self { effort, format, rest })
    }
}

#[derive(Deserialize)]
struct OutputFormatInWire {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    schema: Option<Json>,
}

impl OutputFormatInWire {
    fn shape(self) -> Option<ResponseFormat> {
        (self.kind == "json_schema").then_some(ResponseFormat::JsonSchema {
            name: "response".to_owned(),
            description: None,
            schema: self.schema,
            strict: Some(true),
        })
    }
}

fn missing(name: &'static str) -> GatewayError {
    GatewayError::invalid(name, format!("{name} is missing"))
}

/// The error for a value that cannot be decoded, naming the parameter.
pub(super) fn wrong(
    param: impl Into<String>,
    error: impl Into<gateway_core::BoxError>,
) -> GatewayError {
    let (param, error) = (param.into(), error.into());
    GatewayError::invalid(param.clone(), format!("{param} has the wrong shape")).with_source(error)
}
