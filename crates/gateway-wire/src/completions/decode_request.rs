//! Decodes requests of the Completions API into chats.

use super::ECHO;
use crate::{InboundDialect as _, RequestPrompts, chat::ChatInbound};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, DroppedParams, Extra, GatewayError, Json, Message, Payload, Result, Role,
    TextCompletion,
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// A request, with a message for each prompt.
#[derive(Debug)]
pub(super) struct CompletionRequest {
    pub(super) request: ChatRequest,
    dropped: DroppedParams,
}

/// The largest number of choices that a request may ask for.
const MAX_CHOICES: u64 = 128;

/// Chat parameters that have no equivalent in a completion.
const OF_CHATS: [&str; 6] =
    ["messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"];

/// Reads a request. What both dialects have in common is read as a chat has it.
pub(super) fn decode(body: &[u8]) -> Result<CompletionRequest> {
    let mut members: Extra = serde_json::from_slice(body).map_err(|error| {
        GatewayError::invalid("body", "the body must be a JSON object").with_source(error)
    })?;
    let prompts = prompts(members.remove("prompt"))?;
    let echo = take(&mut members, ECHO, "true or false")?.unwrap_or(false);
    let mut dropped = DroppedParams::default();
    let suffix: Option<String> = take(&mut members, "suffix", "text")?;
    if suffix.is_some_and(|suffix| !suffix.is_empty()) {
        let message = "suffix needs a model with a completions endpoint: text cannot be inserted \
                       by a chat";
        return Err(GatewayError::invalid("suffix", message));
    }
    for name in OF_CHATS {
        let value = members.remove(name);
        dropped.insert_if(value.is_some_and(|value| value.get() != "null"), name);
    }
    let best_of: Option<u64> = take(&mut members, "best_of", "a whole number")?;
    if let Some(alternatives) = likelihoods(&mut members)? {
        members.push("logprobs", Json::of(&true));
        members.push("top_logprobs", Json::of(&alternatives));
        dropped.insert_if(echo, "echo.logprobs");
    }
    members.push(
        "messages",
        Json::parse(r#"[{"role":"user","content":"-"}]"#).unwrap_or_else(|_| Json::null()),
    );
    let mut request = ChatInbound.decode()(Json::of(&members).get().as_bytes())?;
    let each = u64::from(request.options.n.unwrap_or(1));
    if (prompts.len() as u64).saturating_mul(each) > MAX_CHOICES {
        let message = format!("prompt and n ask for more than {MAX_CHOICES} completions");
        return Err(GatewayError::invalid("prompt", message));
    }
    dropped.insert_if(best_of.is_some_and(|best_of| best_of > each), "best_of");
    request.messages =
        prompts.into_iter().map(|prompt| Message::text(Role::User, prompt)).collect();
    if echo {
        request.extra.push(ECHO, Json::of(&true));
    }
    Ok(CompletionRequest { request, dropped })
}

/// Reads a request that a completions endpoint answers, as far as the gateway has to know it.
pub(super) fn decode_native(body: Bytes) -> Result<ChatRequest> {
    let mut members: Extra = serde_json::from_slice(&body).map_err(|error| {
        GatewayError::invalid("body", "the body must be a JSON object").with_source(error)
    })?;
    // Without a prompt, a text begins; token ids are those of the model.
    let prompts = members.remove("prompt");
    let texts = prompts.and_then(|prompt| {
        prompt.read::<String>().map(|text| vec![text]).or_else(|_| prompt.read()).ok()
    });
    let known = ["model", "stream", "stream_options", "n", "max_tokens", "stop", "user", "seed"];
    let mut chat = Extra::default();
    for name in known {
        if let Some(value) = members.remove(name) {
            chat.push(name, value);
        }
    }
    chat.push("messages", Json::of(&[SentMessage { role: "user", content: "-" }]));
    let request = ChatInbound.decode()(Json::of(&chat).get().as_bytes())?;
    let messages = texts.unwrap_or_default().into_iter();
    Ok(ChatRequest {
        messages: messages.map(|text| Message::text(Role::User, text)).collect(),
        completion: Some(TextCompletion { body }),
        ..request
    })
}

/// A message that stands for the prompt while the rest is read as a chat.
#[derive(Serialize)]
struct SentMessage {
    role: &'static str,
    content: &'static str,
}

impl CompletionRequest {
    /// A chat for each prompt.
    pub(super) fn open(self) -> RequestPrompts {
        let Self { request, dropped } = self;
        let payload = |message: &Message| {
            let mut chat = ChatRequest { messages: vec![message.clone()], ..request.clone() };
            chat.extra.remove(ECHO);
            Payload::Parsed(Arc::new(chat))
        };
        let asks = request.messages.iter().map(payload).collect();
        RequestPrompts { prompts: asks, original: Payload::Parsed(Arc::new(request)), dropped }
    }
}

/// The prompts: text, or a list of texts.
fn prompts(prompt: Option<Json>) -> Result<Vec<String>> {
    let wrong = |message| Err(GatewayError::invalid("prompt", message));
    let Some(prompt) = prompt.filter(|prompt| prompt.get() != "null") else {
        return wrong("prompt is required");
    };
    let prompts = prompt.read::<String>().map(|text| vec![text]).or_else(|_| prompt.read());
    match prompts {
        Ok(texts) if texts.is_empty() => wrong("prompt must not be empty"),
        Ok(texts) if texts.iter().any(String::is_empty) => wrong("prompt must not be empty"),
        Ok(texts) => Ok(texts),
        Err(_) if is_tokens(&prompt) => {
            wrong("prompt must be text: token ids differ between models")
        }
        Err(_) => wrong("prompt must be text, or a list of texts"),
    }
}

fn is_tokens(prompt: &Json) -> bool {
    prompt.read::<Vec<u64>>().is_ok() || prompt.read::<Vec<Vec<u64>>>().is_ok()
}

/// Of how many alternatives the log probabilities are wanted, if they are.
fn likelihoods(members: &mut Extra) -> Result<Option<u64>> {
    members.remove("top_logprobs");
    let Some(value) = members.remove("logprobs").filter(|it| it.get() != "null") else {
        return Ok(None);
    };
    // Some callers take the word for that of chats.
    match (value.read::<u64>(), value.read::<bool>()) {
        (Ok(alternatives), _) if alternatives <= 20 => Ok(Some(alternatives)),
        (_, Ok(wanted)) => Ok(wanted.then_some(0)),
        _ => Err(GatewayError::invalid("logprobs", "logprobs must be an integer between 0 and 20")),
    }
}

fn take<T: DeserializeOwned>(
    members: &mut Extra,
    name: &'static str,
    kind: &str,
) -> Result<Option<T>> {
    let Some(value) = members.remove(name) else { return Ok(None) };
    value.read().map_err(|error| {
        GatewayError::invalid(name, format!("{name} must be {kind}")).with_source(error)
    })
}
