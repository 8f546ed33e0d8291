//! Decodes requests of callers of the Messages API.

use super::{decode_request_messages, request_shape, tools};
use crate::{json::lazy_object::LazyObject, request_shape::members_without_place};
use gateway_core::{
    ChatRequest, Dialect, Effort, Extra, GatewayError, Json, Options, ReasoningOptions,
    ResponseFormat, Result,
};
use serde::Deserialize;

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
    let choice: Option<tools::ToolChoiceInWire> = fields.take("tool_choice")?;
    let (tool_choice, parallel_tool_calls) =
        choice.map(tools::ToolChoiceInWire::split).transpose()?.unzip();
    let stream = fields.take("stream")?.unwrap_or(false);
    let config: OutputConfigInWire = fields.take("output_config")?.unwrap_or_default();
    let unmodelled = config.unmodelled();
    let options = options(&mut fields, config)?;
    let mut extra = Extra::default();
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

fn options(fields: &mut LazyObject<'_>, config: OutputConfigInWire) -> Result<Options> {
    let effort = config.known_effort();
    let format = fields.take::<OutputFormatInWire>("output_format")?.or(config.format);
    let metadata: Option<MetadataInWire> = fields.take("metadata")?;
    let tier: Option<String> = fields.take("service_tier")?;
    Ok(Options {
        max_tokens: fields.take("max_tokens")?,
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        stop: fields.take("stop_sequences")?.unwrap_or_default(),
        response_format: format.and_then(OutputFormatInWire::shape),
        reasoning: reasoning(fields.take("thinking")?, effort),
        user: metadata.and_then(|it| it.user_id),
        // The word that other dialects have for it.
        service_tier: tier.map(|it| if it == "standard_only" { "default".to_owned() } else { it }),
        ..Options::default()
    })
}

fn reasoning(thinking: Option<ThinkingInWire>, effort: Option<Effort>) -> Option<ReasoningOptions> {
    let mut it = ReasoningOptions { effort, ..ReasoningOptions::default() };
    let thinking = thinking.unwrap_or_default();
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
    format: Option<OutputFormatInWire>,
    rest: Extra,
}

impl OutputConfigInWire {
    fn known_effort(&self) -> Option<Effort> {
        self.effort.as_ref().and_then(|word| Effort::parse(word))
    }

    /// The members that are not modelled, and an effort that is not known, as an object.
    fn unmodelled(&self) -> Option<Json> {
        let mut rest = self.rest.clone();
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
        let format = rest.remove("format").and_then(|it| it.read().ok());
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
