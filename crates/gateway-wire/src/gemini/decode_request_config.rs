//! Decodes `generationConfig`: sampling, limits, the response's format, and thinking.

use super::schema::json_schema;
use crate::json::path::read_param;
use gateway_core::{
    Effort, Extra, GatewayError, Json, Options, ReasoningOptions, ResponseFormat, Result,
};
use serde::Deserialize;
use serde_json::{Number, value::RawValue};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GenerationConfigInWire {
    temperature: Option<Number>,
    #[serde(alias = "top_p")]
    top_p: Option<Number>,
    /// Written as a number with a fraction by some clients.
    #[serde(alias = "top_k")]
    top_k: Option<f64>,
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<u64>,
    #[serde(alias = "candidate_count")]
    candidate_count: Option<u32>,
    #[serde(alias = "stop_sequences")]
    stop_sequences: Option<Vec<String>>,
    seed: Option<Number>,
    #[serde(alias = "presence_penalty")]
    presence_penalty: Option<Number>,
    #[serde(alias = "frequency_penalty")]
    frequency_penalty: Option<Number>,
    #[serde(alias = "response_mime_type")]
    response_mime_type: Option<String>,
    #[serde(alias = "response_schema")]
    response_schema: Option<Json>,
    #[serde(alias = "response_json_schema", alias = "_responseJsonSchema")]
    response_json_schema: Option<Json>,
    #[serde(alias = "response_logprobs")]
    response_logprobs: Option<bool>,
    logprobs: Option<u32>,
    #[serde(alias = "thinking_config")]
    thinking_config: Option<ThinkingConfigInWire>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ThinkingConfigInWire {
    #[serde(alias = "include_thoughts")]
    include_thoughts: Option<bool>,
    #[serde(alias = "thinking_budget")]
    thinking_budget: Option<i64>,
    #[serde(alias = "thinking_level")]
    thinking_level: Option<String>,
}

/// Reads the options; a thinking level that is not known is put into `extra`.
///
/// # Errors
///
/// If a member has the wrong shape, or the response is to have a format that is not known.
pub(super) fn options(raw: &RawValue, extra: &mut Extra) -> Result<Options> {
    let config: GenerationConfigInWire = read_param(raw, || "generationConfig".to_owned())?;
    let response_format = response_format(&config)?;
    let reasoning = config.thinking_config.as_ref().and_then(|it| reasoning(it, extra));
    Ok(Options {
        max_tokens: config.max_output_tokens,
        temperature: config.temperature,
        top_p: config.top_p,
        top_k: config.top_k.map(count).transpose()?,
        n: config.candidate_count,
        stop: config.stop_sequences.unwrap_or_default(),
        seed: config.seed,
        presence_penalty: config.presence_penalty,
        frequency_penalty: config.frequency_penalty,
        logprobs: config.response_logprobs,
        top_logprobs: config.logprobs,
        response_format,
        reasoning,
        ..Options::default()
    })
}

/// A count that is written as any number.
fn count(number: f64) -> Result<u64> {
    const PARAM: &str = "generationConfig.topK";
    let is_count = (0.0..1e9).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    let count = is_count.then_some(number as u64);
    count.ok_or_else(|| GatewayError::invalid(PARAM, format!("{PARAM} must be a count")))
}

fn response_format(config: &GenerationConfigInWire) -> Result<Option<ResponseFormat>> {
    const PARAM: &str = "generationConfig.responseMimeType";
    let schema = config.response_json_schema.clone();
    let schema = schema.or_else(|| config.response_schema.as_ref().map(json_schema));
    match (config.response_mime_type.as_deref(), schema) {
        (Some("application/json") | None, Some(schema)) => Ok(Some(ResponseFormat::JsonSchema {
            name: "response".to_owned(),
            description: None,
            schema: Some(schema),
            strict: None,
        })),
        (Some("application/json"), None) => Ok(Some(ResponseFormat::JsonObject)),
        (Some("text/plain" | "") | None, None) => Ok(None),
        (Some(other), _) => Err(GatewayError::invalid(
            PARAM,
            format!("{PARAM} is '{other}': only a provider of the same API can be sent it"),
        )
        .with_code("unsupported_value")),
    }
}

fn reasoning(config: &ThinkingConfigInWire, extra: &mut Extra) -> Option<ReasoningOptions> {
    let mut it = ReasoningOptions::default();
    if let Some(level) = &config.thinking_level {
        match Effort::parse(&level.to_ascii_lowercase()) {
            Some(effort) => it.effort = Some(effort),
            None if level == "THINKING_LEVEL_UNSPECIFIED" => {}
            None => extra.push("generationConfig.thinkingConfig.thinkingLevel", Json::of(level)),
        }
    }
    match config.thinking_budget {
        Some(budget) if budget < 0 => it.adaptive = true,
        Some(budget) => it.budget = u64::try_from(budget).ok(),
        None => {}
    }
    let word = |shown| if shown { "auto" } else { "omitted" };
    it.summary = config.include_thoughts.map(|shown| word(shown).to_owned());
    (it != ReasoningOptions::default()).then_some(it)
}
