//! Writes requests to upstreams.

use super::{
    encode_request_messages,
    encode_response_parts::member,
    quirks::{ChatFeature, Quirks, ReasoningParameter},
    tools_encode,
};
use crate::translation_losses::report_extra;
use gateway_core::{
    ChatRequest, Content, Dialect, DroppedParams, Effort, Json, Options, Part, ReasoningOptions,
    ResponseFormat, Target, ToolChoice,
};
use serde::Serialize;

/// Writes `request`, as it is to be put to `target`.
pub(super) fn encode(
    quirks: &Quirks,
    request: &ChatRequest,
    target: &Target,
    stream: bool,
    dropped: &mut DroppedParams,
) -> Vec<u8> {
    let card = target.card.as_ref();
    let takes_max = card.is_some_and(|card| card.rules.efforts.contains(Effort::Max));
    let mut body = ChatRequestBody { quirks, dropped, takes_max, out: Vec::with_capacity(1024) };
    body.out.extend_from_slice(b"{\"model\":");
    // A string: this cannot fail.
    let _ = serde_json::to_writer(&mut body.out, &*target.model);
    let messages = encode_request_messages::messages(quirks, &request.messages, body.dropped);
    body.put("messages", &messages);
    if stream {
        body.put("stream", &true);
        if quirks.knows(ChatFeature::StreamOptions) {
            body.put("stream_options", &UsageOptionWire { include_usage: true });
        }
    }
    let thinking = body.tools(request);
    body.sampling(&request.options);
    body.rest(request);
    body.thinking(request.options.reasoning.as_ref(), thinking);
    let is_own = request.dialect == Some(Dialect::Chat);
    if is_own {
        for (name, json) in request.extra.iter() {
            body.extra(name, json);
        }
    } else {
        report_extra(request, &[], body.dropped);
    }
    body.out.push(b'}');
    body.out
}

#[derive(Serialize)]
struct UsageOptionWire {
    include_usage: bool,
}

/// Whether the model may think, where the request leaves it to the upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReasoningPermission {
    AsUsual,
    No,
}

/// A body that is being written.
struct ChatRequestBody<'a> {
    quirks: &'a Quirks,
    dropped: &'a mut DroppedParams,
    /// The model takes the effort `max`; what is unknown takes `xhigh` at most.
    takes_max: bool,
    out: Vec<u8>,
}

impl ChatRequestBody<'_> {
    fn put(&mut self, name: &str, value: &impl Serialize) {
        member(&mut self.out, name, value);
    }

    fn put_some(&mut self, name: &str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Writes what only some upstreams understand.
    fn put_known(
        &mut self,
        feature: ChatFeature,
        name: &'static str,
        value: Option<&impl Serialize>,
    ) {
        if self.quirks.knows(feature) {
            self.put_some(name, value);
        } else {
            self.dropped.insert_if(value.is_some(), name);
        }
    }

    /// A name that needs to be escaped is not one of an upstream's.
    fn extra(&mut self, name: &str, json: &Json) {
        if name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
            self.put(name, json);
        }
    }

    fn tools(&mut self, request: &ChatRequest) -> ReasoningPermission {
        let tools = tools_encode::tools(self.quirks, request, self.dropped);
        let mut choice = request.tool_choice.as_ref();
        let mut thinking = ReasoningPermission::AsUsual;
        let forced = matches!(
            choice,
            Some(
                ToolChoice::Required
                    | ToolChoice::Named(_)
                    | ToolChoice::Allowed { required: true, .. }
            )
        );
        if forced && !self.quirks.knows(ChatFeature::ForcedThinking) {
            if thinks(request.options.reasoning.as_ref()) {
                self.dropped.insert("tool_choice");
                choice = None;
            } else {
                thinking = ReasoningPermission::No;
            }
        }
        if tools.is_empty() {
            return thinking;
        }
        self.put("tools", &tools);
        if let Some(choice) = choice {
            self.put("tool_choice", &tools_encode::choice(self.quirks, request, choice));
        }
        self.put_some("parallel_tool_calls", request.parallel_tool_calls.as_ref());
        thinking
    }

    fn sampling(&mut self, options: &Options) {
        self.put_some(self.quirks.max_tokens, options.max_tokens.as_ref());
        self.put_some("temperature", options.temperature.as_ref());
        self.put_some("top_p", options.top_p.as_ref());
        self.put_known(ChatFeature::TopK, "top_k", options.top_k.as_ref());
        self.put_some("n", options.n.as_ref());
        if !options.stop.is_empty() {
            self.put("stop", &options.stop);
        }
        self.put_some(self.quirks.seed, options.seed.as_ref());
        self.put_some("presence_penalty", options.presence_penalty.as_ref());
        self.put_some("frequency_penalty", options.frequency_penalty.as_ref());
        self.put_known(ChatFeature::LogitBias, "logit_bias", options.logit_bias.as_ref());
        self.put_some("logprobs", options.logprobs.as_ref());
        self.put_some("top_logprobs", options.top_logprobs.as_ref());
    }

    fn rest(&mut self, request: &ChatRequest) {
        let options = &request.options;
        if let Some(format) = self.format(request) {
            self.put("response_format", &format);
        }
        self.put_known(ChatFeature::Verbosity, "verbosity", options.verbosity.as_ref());
        self.put_known(ChatFeature::User, "user", options.user.as_ref());
        self.put_known(ChatFeature::ServiceTier, "service_tier", options.service_tier.as_ref());
    }

    fn format<'a>(&mut self, request: &'a ChatRequest) -> Option<ResponseFormatWire<'a>> {
        match request.options.response_format.as_ref()? {
            ResponseFormat::Text => Some(ResponseFormatWire { r#type: "text", json_schema: None }),
            ResponseFormat::JsonObject => {
                Some(ResponseFormatWire { r#type: "json_object", json_schema: None })
            }
            ResponseFormat::JsonSchema { name, description, schema, strict }
                if self.quirks.knows(ChatFeature::JsonSchema) =>
            {
                let description = description.as_deref();
                let json_schema =
                    NamedSchemaWire { name, description, schema: schema.as_ref(), strict: *strict };
                Some(ResponseFormatWire { r#type: "json_schema", json_schema: Some(json_schema) })
            }
            ResponseFormat::JsonSchema { .. } => {
                self.dropped.insert("response_format.json_schema");
                // Upstreams without schemas refuse to write JSON for no one who asked for it.
                mentions_json(request)
                    .then_some(ResponseFormatWire { r#type: "json_object", json_schema: None })
            }
        }
    }

    fn thinking(&mut self, reasoning: Option<&ReasoningOptions>, may: ReasoningPermission) {
        let off = may == ReasoningPermission::No;
        let Some(reasoning) = reasoning.filter(|_| !off) else {
            if off && self.quirks.thinking == ReasoningParameter::Switch {
                self.put("thinking", &ThinkingSwitchWire { r#type: "disabled" });
            }
            return;
        };
        match self.quirks.thinking {
            ReasoningParameter::Effort => {
                let most = if self.takes_max { Effort::Max } else { Effort::XHigh };
                let word = effort(reasoning).map(|it| it.min(most));
                self.put_some("reasoning_effort", word.map(Effort::as_str).as_ref());
            }
            ReasoningParameter::Switch => match effort(reasoning) {
                Some(Effort::None) => {
                    self.put("thinking", &ThinkingSwitchWire { r#type: "disabled" });
                }
                None if !reasoning.adaptive => {}
                effort => {
                    self.put("thinking", &ThinkingSwitchWire { r#type: "enabled" });
                    self.put_some("reasoning_effort", effort.map(coarse).as_ref());
                }
            },
            ReasoningParameter::Object => self.put("reasoning", &object(reasoning)),
            ReasoningParameter::Template => {
                let effort = effort(reasoning);
                if effort.is_none() && !reasoning.adaptive {
                    return;
                }
                let enable_thinking = effort != Some(Effort::None);
                let reasoning_effort =
                    effort.filter(|_| enable_thinking).map(moderate).map(Effort::as_str);
                self.put(
                    "chat_template_kwargs",
                    &TemplateOptionsWire { enable_thinking, reasoning_effort },
                );
            }
        }
    }
}

#[derive(Serialize)]
struct ResponseFormatWire<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<NamedSchemaWire<'a>>,
}

#[derive(Serialize)]
struct NamedSchemaWire<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct ThinkingSwitchWire {
    r#type: &'static str,
}

#[derive(Serialize)]
struct TemplateOptionsWire {
    enable_thinking: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
}

#[derive(Serialize)]
struct ReasoningObjectWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude: Option<bool>,
}

/// `OpenRouter` takes one of the two measures, and prefers the exact one.
fn object(reasoning: &ReasoningOptions) -> ReasoningObjectWire {
    let budget = reasoning.budget.filter(|_| reasoning.effort.is_none());
    let effort = reasoning.effort.or((budget == Some(0)).then_some(Effort::None));
    let effort = effort.map(|it| if it == Effort::Max { Effort::XHigh } else { it });
    let max_tokens = budget.filter(|budget| *budget > 0);
    ReasoningObjectWire {
        effort: effort.map(Effort::as_str),
        max_tokens,
        enabled: (reasoning.adaptive && effort.is_none() && max_tokens.is_none()).then_some(true),
        exclude: (reasoning.summary.as_deref() == Some("omitted")).then_some(true),
    }
}

/// The requested reasoning effort; a token budget is converted to its nearest level.
fn effort(reasoning: &ReasoningOptions) -> Option<Effort> {
    reasoning.effort.or_else(|| {
        Some(match reasoning.budget? {
            0 => Effort::None,
            1..=2048 => Effort::Low,
            2049..=8192 => Effort::Medium,
            _ => Effort::High,
        })
    })
}

/// The three words of `DeepSeek`.
const fn coarse(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium | Effort::High | Effort::XHigh => "high",
        Effort::Max => "max",
    }
}

/// The three words that templates know.
const fn moderate(effort: Effort) -> Effort {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => Effort::Low,
        Effort::Medium => Effort::Medium,
        Effort::High | Effort::XHigh | Effort::Max => Effort::High,
    }
}

/// Returns whether the caller asked the model to think.
fn thinks(reasoning: Option<&ReasoningOptions>) -> bool {
    reasoning.is_some_and(|it| it.adaptive || !matches!(effort(it), None | Some(Effort::None)))
}

fn mentions_json(request: &ChatRequest) -> bool {
    let text = |part: &Part| {
        if let Content::Text(text) = &part.content {
            text.to_ascii_lowercase().contains("json")
        } else {
            false
        }
    };
    request.messages.iter().any(|message| message.parts.iter().any(text))
}
