//! The caller's view of a response in one notation for every dialect: `(reasoning) text call {}
//! [finish]`, the status and code of a failure, `<broken>` for a stream that reports a failure.

use super::caller::CallerDialect;
use gateway_tests::{BodyEnd, Reply};
use serde_json::Value;

/// One response, or its failure.
#[derive(Default)]
struct ReceivedAnswer {
    thought: String,
    text: String,
    calls: Vec<(String, String)>,
    finish: String,
}

/// Returns `reply` as `caller` reads it.
pub(super) fn heard(caller: CallerDialect, reply: &Reply) -> String {
    if reply.status() != 200 {
        return failure(caller, reply);
    }
    if reply.ending != BodyEnd::Proper {
        return format!("a reply that ends in {:?}", reply.ending);
    }
    let is_stream = reply.header("content-type").starts_with("text/event-stream");
    let heard = match (caller, is_stream) {
        (CallerDialect::Chat, false) => chat(&reply.json()),
        (CallerDialect::Chat, true) => chat_stream(&reply.events()),
        (CallerDialect::Responses, false) => response(&reply.json()),
        (CallerDialect::Responses, true) => response_stream(&reply.events()),
        (CallerDialect::Messages, false) => message(&reply.json()),
        (CallerDialect::Messages, true) => message_stream(&reply.events()),
    };
    heard.spell()
}

fn failure(caller: CallerDialect, reply: &Reply) -> String {
    let told = reply.json();
    let error = &told["error"];
    let code = match caller {
        CallerDialect::Chat | CallerDialect::Responses => error["code"].as_str().unwrap_or("?"),
        CallerDialect::Messages if told["type"] != "error" => "?",
        CallerDialect::Messages => match (error["type"].as_str(), reply.status()) {
            (Some("rate_limit_error"), 429) => "rate_limit_exceeded",
            (Some("api_error"), 502) => "upstream_cut",
            _ => "?",
        },
    };
    format!("{} {code}", reply.status())
}

impl ReceivedAnswer {
    fn spell(self) -> String {
        let mut words = Vec::new();
        if !self.thought.is_empty() {
            words.push(format!("({})", self.thought));
        }
        if !self.text.is_empty() {
            words.push(self.text);
        }
        words.extend(self.calls.into_iter().map(|(name, arguments)| format!("{name} {arguments}")));
        words.push(self.finish);
        words.join(" ")
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns the arguments in normalized JSON.
fn arguments(json: &str) -> String {
    serde_json::from_str::<Value>(json).map_or_else(|_| json.to_owned(), |it| it.to_string())
}

fn parsed(events: &[String]) -> Vec<Value> {
    events.iter().filter_map(|event| serde_json::from_str(event).ok()).collect()
}

fn chat(whole: &Value) -> ReceivedAnswer {
    let choice = &whole["choices"][0];
    let message = &choice["message"];
    let call = |call: &Value| {
        let function = &call["function"];
        (text(&function["name"]).to_owned(), arguments(text(&function["arguments"])))
    };
    ReceivedAnswer {
        thought: text(&message["reasoning_content"]).to_owned(),
        text: text(&message["content"]).to_owned(),
        calls: list(&message["tool_calls"]).map(call).collect(),
        finish: format!("[{}]", text(&choice["finish_reason"])),
    }
}

fn chat_stream(events: &[String]) -> ReceivedAnswer {
    let mut heard = ReceivedAnswer::default();
    let is_done = events.last().is_some_and(|last| last == "[DONE]");
    for event in parsed(events) {
        if event["error"]["code"].is_string() {
            heard.finish = "<broken>".to_owned();
        }
        let choice = &event["choices"][0];
        let delta = &choice["delta"];
        heard.thought.push_str(text(&delta["reasoning_content"]));
        heard.text.push_str(text(&delta["content"]));
        for call in list(&delta["tool_calls"]) {
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            heard.calls.resize(heard.calls.len().max(at + 1), Default::default());
            heard.calls[at].0.push_str(text(&call["function"]["name"]));
            heard.calls[at].1.push_str(text(&call["function"]["arguments"]));
        }
        if let Some(finish) = choice["finish_reason"].as_str() {
            heard.finish = format!("[{finish}]");
        }
    }
    for call in &mut heard.calls {
        call.1 = arguments(&call.1);
    }
    if is_done == (heard.finish == "<broken>") {
        heard.finish += " with a wrong end";
    }
    heard
}

fn response(whole: &Value) -> ReceivedAnswer {
    let mut heard = ReceivedAnswer::default();
    for item in list(&whole["output"]) {
        match text(&item["type"]) {
            "reasoning" => {
                let parts = list(&item["summary"]).chain(list(&item["content"]));
                heard.thought.extend(parts.map(|part| text(&part["text"])));
            }
            "message" => heard.text.extend(list(&item["content"]).map(|it| text(&it["text"]))),
            "function_call" => {
                let name = text(&item["name"]).to_owned();
                heard.calls.push((name, arguments(text(&item["arguments"]))));
            }
            other => heard.text += other,
        }
    }
    heard.finish = match (text(&whole["status"]), heard.calls.is_empty()) {
        ("completed", true) => "[stop]".to_owned(),
        ("completed", false) => "[tool_calls]".to_owned(),
        (other, _) => other.to_owned(),
    };
    heard
}

/// The last event has the complete response; the deltas before it must add up to the same.
fn response_stream(events: &[String]) -> ReceivedAnswer {
    let events = parsed(events);
    let of = |kind: &str| {
        let deltas = events.iter().filter(|event| event["type"] == kind);
        deltas.map(|event| text(&event["delta"])).collect::<String>()
    };
    let spelt = of("response.output_text.delta");
    let last = events.last().cloned().unwrap_or_default();
    if last["type"] == "response.failed" && last["response"]["error"]["code"].is_string() {
        return ReceivedAnswer {
            text: spelt,
            finish: "<broken>".to_owned(),
            ..ReceivedAnswer::default()
        };
    }
    let mut heard = response(&last["response"]);
    let numbers = events.iter().map(|event| event["sequence_number"].as_u64());
    if heard.text != spelt || !numbers.eq((0..).map(Some).take(events.len())) {
        heard.finish += " after other deltas";
    }
    heard
}

fn message(whole: &Value) -> ReceivedAnswer {
    let mut heard = ReceivedAnswer::default();
    for block in list(&whole["content"]) {
        match text(&block["type"]) {
            "thinking" => heard.thought.push_str(text(&block["thinking"])),
            "text" => heard.text.push_str(text(&block["text"])),
            "tool_use" => {
                heard.calls.push((text(&block["name"]).to_owned(), block["input"].to_string()));
            }
            other => heard.text += other,
        }
    }
    heard.finish = match text(&whole["stop_reason"]) {
        "end_turn" => "[stop]".to_owned(),
        "tool_use" => "[tool_calls]".to_owned(),
        other => other.to_owned(),
    };
    heard
}

/// The message that the events spell, block by block.
fn message_stream(events: &[String]) -> ReceivedAnswer {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    let mut whole = Value::Null;
    let mut end = "";
    let events = parsed(events);
    for event in &events {
        match text(&event["type"]) {
            "content_block_start" => {
                assert_eq!(event["index"], blocks.len(), "blocks are counted through");
                blocks.push(event["content_block"].clone());
                input.clear();
            }
            "content_block_delta" => {
                let (delta, block) = (&event["delta"], blocks.last_mut().unwrap());
                input.push_str(text(&delta["partial_json"]));
                for name in ["text", "thinking"] {
                    if let Some(more) = delta[name].as_str() {
                        block[name] = (text(&block[name]).to_owned() + more).into();
                    }
                }
            }
            "content_block_stop" if !input.is_empty() => {
                blocks.last_mut().unwrap()["input"] = serde_json::from_str(&input).unwrap();
            }
            "message_delta" => whole = event["delta"].clone(),
            kind @ ("message_stop" | "error") => end = kind,
            _ => {}
        }
    }
    whole["content"] = blocks.into();
    let mut heard = message(&whole);
    match end {
        "message_stop" => {}
        "error" if heard.finish.is_empty() => "<broken>".clone_into(&mut heard.finish),
        other => heard.finish += other,
    }
    heard
}
