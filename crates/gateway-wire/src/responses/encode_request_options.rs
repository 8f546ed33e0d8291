//! Encodes generation options of a request.

use crate::reasoning::effort_of_budget;
use gateway_core::{
    DroppedParams, Effort, Json, Options, ProviderRequest, ReasoningStyle, ResponseFormat,
};
use serde::Serialize;
use serde_json::Number;

/// The `text` options: format and verbosity.
#[derive(Debug, Serialize)]
pub(super) struct TextOptionsWire<'a> {
    pub(super) format: TextFormatWire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verbosity: Option<&'a str>,
}

/// The shape of the response.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum TextFormatWire<'a> {
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

/// The `reasoning` options: effort and summary.
#[derive(Debug, Serialize)]
pub(super) struct ReasoningOptionsWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
}

/// The options of sampling, if the model takes any.
pub(super) fn sampling<'a>(
    call: &ProviderRequest,
    options: &'a Options,
    dropped: &mut DroppedParams,
) -> Option<&'a Options> {
    let card = call.target.card.as_ref();
    if card.is_none_or(|card| card.capabilities.sampling != Some(false)) {
        return Some(options);
    }
    dropped.insert_if(options.temperature.is_some(), "temperature");
    dropped.insert_if(options.top_p.is_some(), "top_p");
    None
}

/// The shape of the response, and how much of it.
pub(super) fn text(options: &Options) -> Option<TextOptionsWire<'_>> {
    let format = options.response_format.as_ref().map(|format| match format {
        ResponseFormat::Text => TextFormatWire::Text,
        ResponseFormat::JsonSchema { name, description, schema: Some(schema), strict } => {
            let description = description.as_deref();
            TextFormatWire::JsonSchema { name, description, schema, strict: *strict }
        }
        ResponseFormat::JsonObject | ResponseFormat::JsonSchema { schema: None, .. } => {
            TextFormatWire::JsonObject
        }
    });
    let verbosity = options.verbosity.as_deref();
    (format.is_some() || verbosity.is_some())
        .then(|| TextOptionsWire { format: format.unwrap_or(TextFormatWire::Text), verbosity })
}

pub(super) fn reasoning<'a>(
    call: &ProviderRequest,
    options: &'a Options,
    dropped: &mut DroppedParams,
) -> Option<ReasoningOptionsWire<'a>> {
    let wish = options.reasoning.as_ref()?;
    if style(call) == Some(ReasoningStyle::Never) {
        dropped.insert_if(
            wish.effort.is_some_and(|effort| effort != Effort::None),
            "reasoning_effort",
        );
        return None;
    }
    let effort = wish.effort.or_else(|| wish.budget.map(effort_of_budget)).map(Effort::as_str);
    let summary = wish.summary.as_deref().filter(|summary| *summary != "omitted");
    (effort.is_some() || summary.is_some()).then_some(ReasoningOptionsWire { effort, summary })
}

/// The reasoning style of the model, if the catalogue states one.
pub(super) fn style(call: &ProviderRequest) -> Option<ReasoningStyle> {
    call.target.card.as_ref()?.capabilities.reasoning
}

/// Reports the chat parameters that have no equivalent in this dialect.
pub(super) fn report_dropped(options: &Options, dropped: &mut DroppedParams) {
    let matters = |penalty: &Option<Number>| {
        penalty.as_ref().is_some_and(|penalty| penalty.as_f64() != Some(0.0))
    };
    dropped.insert_if(!options.stop.is_empty(), "stop");
    dropped.insert_if(options.seed.is_some(), "seed");
    dropped.insert_if(matters(&options.presence_penalty), "presence_penalty");
    dropped.insert_if(matters(&options.frequency_penalty), "frequency_penalty");
    dropped.insert_if(options.logit_bias.is_some(), "logit_bias");
    dropped.insert_if(options.top_k.is_some(), "top_k");
}
