//! Callers that send their conversation back as they received it.

use gateway_tests::{Gateway, Reply, request};
use serde_json::{Value, json};

/// How a caller continues a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CallerMode {
    /// `/v1/messages`, with its history.
    Messages,
    /// `/v1/messages`, with a thread.
    Thread,
    /// `/v1/responses`, with its history.
    Responses,
    /// `/v1/responses`, by `previous_response_id`.
    Previous,
    /// `/v1/chat/completions`, with its history.
    Chat,
}

/// A conversation in progress.
pub(super) struct CallerConversation {
    caller: CallerMode,
    history: Vec<Value>,
    previous: Option<String>,
}

/// The result of the tool in the turn `turn`.
pub(super) fn result(turn: usize) -> String {
    format!("result-{turn:02}!")
}

impl CallerMode {
    pub(super) fn begin(self) -> CallerConversation {
        let history = vec![json!({ "role": "user", "content": "go" })];
        CallerConversation { caller: self, history, previous: None }
    }
}

impl CallerConversation {
    /// Asks once, takes in what comes, and the result of the tool that was called.
    pub(super) async fn turn(
        &mut self,
        gateway: &Gateway,
        model: &str,
        stream: bool,
        turn: usize,
    ) -> Reply {
        let reply = self.ask(gateway, model, stream).await;
        assert_eq!(reply.status(), 200, "turn {turn}: {}", reply.text());
        let said = if stream { self.read_stream(&reply) } else { self.whole(&reply.json()) };
        if matches!(self.caller, CallerMode::Previous | CallerMode::Thread) {
            self.history.clear();
        } else {
            self.history.extend(said.clone());
        }
        let id =
            self.called(&said).unwrap_or_else(|| panic!("turn {turn} calls no tool: {said:?}"));
        self.history.push(self.answer(&id, &result(turn)));
        reply
    }

    pub(super) async fn ask(&self, gateway: &Gateway, model: &str, stream: bool) -> Reply {
        let schema = json!({ "type": "object", "properties": {} });
        let (path, body) = match self.caller {
            CallerMode::Messages => (
                "/v1/messages",
                json!({
                    "model": model, "stream": stream, "max_tokens": 4000, "messages": self.history,
                    "thinking": { "type": "adaptive" }, "tools": [{ "name": "look", "input_schema": schema }],
                }),
            ),
            CallerMode::Thread => ("/v1/messages", self.thread_turn(model, stream)),
            CallerMode::Responses | CallerMode::Previous => {
                let keeps = self.caller == CallerMode::Previous;
                let mut body = json!({
                    "model": model, "stream": stream, "input": self.history, "store": keeps,
                    "include": ["reasoning.encrypted_content"],
                    "tools": [{ "type": "function", "name": "look", "parameters": schema }],
                });
                if let Some(previous) = self.previous.as_ref().filter(|_| keeps) {
                    body["previous_response_id"] = previous.as_str().into();
                }
                ("/v1/responses", body)
            }
            CallerMode::Chat => (
                "/v1/chat/completions",
                json!({
                    "model": model, "stream": stream, "messages": self.history,
                    "tools": [{ "type": "function", "function": { "name": "look", "parameters": schema } }],
                }),
            ),
        };
        let headers = [("Content-Type", "application/json")];
        gateway.send(request("POST", path, &headers, body.to_string().as_bytes())).await
    }

    /// A request that begins a thread, or continues it with what is new.
    fn thread_turn(&self, model: &str, stream: bool) -> Value {
        let mut body = json!({
            "model": model, "stream": stream, "max_tokens": 4000, "messages": self.history,
            "thinking": { "type": "adaptive" }, "thread": { "type": "create" },
        });
        if let Some(previous) = &self.previous {
            body["thread"] = json!({ "type": "continue", "previous_message_id": previous });
        } else {
            let schema = json!({ "type": "object", "properties": {} });
            body["tools"] = json!([{ "name": "look", "input_schema": schema }]);
        }
        body
    }

    /// What a whole response says, as history.
    fn whole(&mut self, body: &Value) -> Vec<Value> {
        match self.caller {
            CallerMode::Messages | CallerMode::Thread => {
                self.previous = body["id"].as_str().map(str::to_owned);
                vec![json!({ "role": "assistant", "content": body["content"] })]
            }
            CallerMode::Responses | CallerMode::Previous => {
                self.previous = body["id"].as_str().map(str::to_owned);
                body["output"].as_array().cloned().unwrap_or_default()
            }
            CallerMode::Chat => vec![body["choices"][0]["message"].clone()],
        }
    }

    /// What a streamed response says, as history.
    fn read_stream(&mut self, reply: &Reply) -> Vec<Value> {
        let events: Vec<Value> =
            reply.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
        if matches!(self.caller, CallerMode::Messages | CallerMode::Thread) {
            self.previous = events[0]["message"]["id"].as_str().map(str::to_owned);
            return vec![json!({ "role": "assistant", "content": blocks(&events) })];
        }
        let created = events.iter().find(|event| event["type"] == "response.created");
        self.previous = created.and_then(|it| it["response"]["id"].as_str()).map(str::to_owned);
        let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
        done.map(|event| event["item"].clone()).collect()
    }

    fn called(&self, said: &[Value]) -> Option<String> {
        let id = match self.caller {
            CallerMode::Messages | CallerMode::Thread => {
                let blocks = said[0]["content"].as_array()?;
                &blocks.iter().find(|block| block["type"] == "tool_use")?["id"]
            }
            CallerMode::Responses | CallerMode::Previous => {
                &said.iter().find(|item| item["type"] == "function_call")?["call_id"]
            }
            CallerMode::Chat => &said[0]["tool_calls"][0]["id"],
        };
        id.as_str().map(str::to_owned)
    }

    fn answer(&self, id: &str, text: &str) -> Value {
        match self.caller {
            CallerMode::Messages | CallerMode::Thread => {
                let block = json!({ "type": "tool_result", "tool_use_id": id, "content": text });
                json!({ "role": "user", "content": [block] })
            }
            CallerMode::Responses | CallerMode::Previous => {
                json!({ "type": "function_call_output", "call_id": id, "output": text })
            }
            CallerMode::Chat => json!({ "role": "tool", "tool_call_id": id, "content": text }),
        }
    }
}

/// The blocks that the events of a message build.
fn blocks(events: &[Value]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    for event in events {
        if event["type"] == "content_block_start" {
            blocks.push(event["content_block"].clone());
        } else if event["type"] == "content_block_delta" {
            let block = blocks.last_mut().expect("a block");
            for name in ["text", "thinking", "signature"] {
                if let Some(more) = event["delta"][name].as_str() {
                    let text = block[name].as_str().unwrap_or_default().to_owned();
                    block[name] = (text + more).into();
                }
            }
        }
    }
    blocks
}
