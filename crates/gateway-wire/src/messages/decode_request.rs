//! Requests of callers.

use super::{decode_request_messages, tools_decode};
use gateway_core::{
    ChatRequest, Dialect, Effort, Extra, GatewayError, Json, Options, ReasoningOptions,
    ResponseFormat, Result,
};
use serde::{Deserialize, de::DeserializeOwned};

/// Reads a request to be answered.
pub(super) fn decode(body: &[u8]) -> Result<ChatRequest> {
    let request = decode_count(body)?;
    if request.options.max_tokens.is_none() {
        return Err(GatewayError::invalid("max_tokens", "max_tokens is missing"));
    }
    Ok(request)
}

/// Reads a request to have tokens counted, which need not bound the answer.
pub(super) fn decode_count(body: &[u8]) -> Result<ChatRequest> {
    let mut fields = Fields::read(body)?;
    let system = decode_request_messages::system(fields.raw("system"))?;
    let mut messages: Vec<_> = system.into_iter().collect();
    let turns = fields.raw("messages").ok_or_else(|| missing("messages"))?;
    messages.extend(decode_request_messages::messages(&turns)?);
    let model = fields.take("model")?.ok_or_else(|| missing("model"))?;
    let tools = fields.raw("tools").map(|tools| tools_decode::tools(&tools)).transpose()?;
    let choice: Option<tools_decode::Choice> = fields.take("tool_choice")?;
    let (tool_choice, parallel_tool_calls) =
        choice.map(tools_decode::Choice::split).transpose()?.unzip();
    let stream = fields.take("stream")?.unwrap_or(false);
    Ok(ChatRequest {
        model,
        messages,
        tools: tools.unwrap_or_default(),
        tool_choice,
        parallel_tool_calls: parallel_tool_calls.flatten(),
        options: options(&mut fields)?,
        stream,
        // Streams of this dialect always end with the counts.
        stream_usage: stream,
        legacy_functions: false,
        extra: fields.rest(),
        dialect: Some(Dialect::Messages),
    })
}

fn options(fields: &mut Fields) -> Result<Options> {
    let mut config: OutputConfig = fields.take("output_config")?.unwrap_or_default();
    let effort = config.effort.as_ref().and_then(|word| Effort::parse(word));
    if let (None, Some(word)) = (effort, &config.effort) {
        config.rest.push("effort", Json::of(word));
    }
    let format = fields.take::<Format>("output_format")?.or(config.format);
    if !config.rest.is_empty() {
        fields.keep("output_config", Json::of(&config.rest));
    }
    let metadata: Option<Metadata> = fields.take("metadata")?;
    let tier: Option<String> = fields.take("service_tier")?;
    Ok(Options {
        max_tokens: fields.take("max_tokens")?,
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        stop: fields.take("stop_sequences")?.unwrap_or_default(),
        response_format: format.and_then(Format::shape),
        reasoning: reasoning(fields.take("thinking")?, effort),
        user: metadata.and_then(|it| it.user_id),
        // The word that other dialects have for it.
        service_tier: tier.map(|it| if it == "standard_only" { "default".to_owned() } else { it }),
        ..Options::default()
    })
}

fn reasoning(thinking: Option<Thinking>, effort: Option<Effort>) -> Option<ReasoningOptions> {
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
struct Thinking {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    budget_tokens: Option<u64>,
    #[serde(default)]
    display: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    user_id: Option<String>,
}

#[derive(Default)]
struct OutputConfig {
    effort: Option<String>,
    format: Option<Format>,
    rest: Extra,
}

impl<'de> Deserialize<'de> for OutputConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rest = Extra::deserialize(deserializer)?;
        let effort = rest.remove("effort").and_then(|it| it.read().ok());
        let format = rest.remove("format").and_then(|it| it.read().ok());
        Ok(Self { effort, format, rest })
    }
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    schema: Option<Json>,
}

impl Format {
    fn shape(self) -> Option<ResponseFormat> {
        (self.kind == "json_schema").then_some(ResponseFormat::JsonSchema {
            name: "response".to_owned(),
            description: None,
            schema: self.schema,
            strict: Some(true),
        })
    }
}

/// The members of a request. What is taken is gone; what is left is kept as it is.
struct Fields(Extra);

impl Fields {
    fn read(body: &[u8]) -> Result<Self> {
        serde_json::from_slice(body).map(Self).map_err(|error| {
            GatewayError::invalid("body", "the request is no JSON object").with_source(error)
        })
    }

    /// The value of `name`; absent and `null` are the same.
    fn raw(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name).filter(|value| value.get() != "null")
    }

    fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>> {
        self.raw(name).map(|value| value.read().map_err(|error| wrong(name, error))).transpose()
    }

    fn keep(&mut self, name: &str, value: Json) {
        self.0.push(name, value);
    }

    fn rest(self) -> Extra {
        self.0
    }
}

fn missing(name: &'static str) -> GatewayError {
    GatewayError::invalid(name, format!("{name} is missing"))
}

/// A value that cannot be understood. Its author may know what is wrong with it; nobody else.
pub(super) fn wrong(
    param: impl Into<String>,
    error: impl Into<gateway_core::BoxError>,
) -> GatewayError {
    let (param, error) = (param.into(), error.into());
    GatewayError::invalid(param.clone(), format!("{param} cannot be understood")).with_source(error)
}
