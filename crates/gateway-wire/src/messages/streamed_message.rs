//! Adds a streamed response up to the message that its caller has read.

use crate::{
    json::{
        editable_object::{EditableObject, JsonNode},
        lazy_object::LazyObject,
    },
    sse,
};
use gateway_core::Json;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Maximum size of a response that is added up, in bytes.
const MAX_BYTES: usize = 8 << 20;

/// The message that a streamed response adds up to, as its caller read it.
#[derive(Debug, Default)]
pub struct StreamedMessage {
    id: Option<String>,
    blocks: Vec<StreamedBlock>,
    bytes: usize,
    is_complete: bool,
    /// An event was of a kind whose effect is not known.
    is_unreadable: bool,
}

/// A content block so far.
#[derive(Debug)]
struct StreamedBlock {
    start: Json,
    text: String,
    thinking: String,
    input: String,
    citations: Vec<Json>,
    /// Members that a delta sets as a whole.
    members: Vec<(String, Json)>,
}

#[derive(Deserialize)]
struct StreamedEvent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    message: Option<MessageId>,
    #[serde(default)]
    content_block: Option<Json>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MessageId {
    id: String,
}

impl StreamedMessage {
    /// Adds a block of whole events; returns whether the message is complete.
    pub fn push(&mut self, block: &[u8]) -> bool {
        self.bytes = self.bytes.saturating_add(block.len());
        for event in sse::events(block) {
            let Ok(event) = serde_json::from_str::<StreamedEvent<'_>>(&event.data) else {
                continue;
            };
            match &*event.kind {
                "message_start" => self.id = event.message.map(|it| it.id),
                "content_block_start" => {
                    self.blocks.extend(event.content_block.map(StreamedBlock::new));
                }
                "content_block_delta" => self.add(event.delta),
                "message_stop" => self.is_complete = true,
                // Its message is not complete.
                "error" => self.is_unreadable = true,
                _ => {}
            }
        }
        self.is_complete
    }

    /// Blocks are streamed one after the other: a delta belongs to the last.
    fn add(&mut self, delta: Option<&RawValue>) {
        let added = delta.zip(self.blocks.last_mut()).and_then(|(delta, block)| {
            let delta: LazyObject<'_> = serde_json::from_str(delta.get()).ok()?;
            block.add(delta)
        });
        self.is_unreadable |= added.is_none();
    }

    /// Returns id and content of the message, if it is complete.
    pub fn finish(self) -> Option<(String, Json)> {
        if !self.is_complete || self.is_unreadable || self.bytes > MAX_BYTES {
            return None;
        }
        let blocks: Option<Vec<_>> = self.blocks.into_iter().map(StreamedBlock::finish).collect();
        Some((self.id?, Json::of(&blocks?)))
    }
}

impl StreamedBlock {
    fn new(start: Json) -> Self {
        Self {
            start,
            text: String::new(),
            thinking: String::new(),
            input: String::new(),
            citations: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Adds a delta; `None` if its effect is not known.
    fn add(&mut self, mut delta: LazyObject<'_>) -> Option<()> {
        let kind = delta.text("type")?;
        let (name, whole) = match &*kind {
            "text_delta" => ("text", &mut self.text),
            "thinking_delta" => ("thinking", &mut self.thinking),
            "input_json_delta" => ("partial_json", &mut self.input),
            "citations_delta" => {
                self.citations.push(Json::from(delta.get("citation")?));
                return Some(());
            }
            "signature_delta" | "compaction_delta" => {
                delta.remove("type");
                let members = delta.into_iter();
                self.members.extend(members.map(|(name, value)| (name.into_owned(), value.into())));
                return Some(());
            }
            _ => return None,
        };
        whole.push_str(&delta.text(name)?);
        Some(())
    }

    /// Returns the whole block.
    fn finish(self) -> Option<Json> {
        let mut node = JsonNode::Raw(raw(&self.start)?);
        let object = node.object()?;
        for (name, text) in [("text", self.text), ("thinking", self.thinking)] {
            append(object, name, text);
        }
        let input = (!self.input.is_empty()).then_some(&*self.input);
        if let Some(input) = input {
            object.set("input", JsonNode::Raw(serde_json::from_str(input).ok()?));
        }
        let citations = Json::of(&self.citations);
        if !self.citations.is_empty() {
            object.set("citations", JsonNode::Raw(raw(&citations)?));
        }
        for (name, value) in &self.members {
            object.replace(name, JsonNode::Raw(raw(value)?));
        }
        Some(Json::of(&node))
    }
}

/// Appends `text` to the member `name`, which a block begins with.
fn append(object: &mut EditableObject<'_>, name: &'static str, text: String) {
    if text.is_empty() {
        return;
    }
    let begun = object.get(name).and_then(JsonNode::text).unwrap_or_default();
    let whole = if begun.is_empty() { text } else { [&*begun, &*text].concat() };
    object.set(name, JsonNode::Text(Cow::Owned(whole)));
}

fn raw(json: &Json) -> Option<&RawValue> {
    serde_json::from_str(json.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: &str) -> Vec<u8> {
        format!("event: x\ndata: {data}\n\n").into_bytes()
    }

    #[track_caller]
    fn check_streamed(events: &[&str], expected: Option<&str>) {
        let mut message = StreamedMessage::default();
        message.push(&event(r#"{"type":"message_start","message":{"id":"msg_1"}}"#));
        let mut is_complete = false;
        for data in events {
            is_complete = message.push(&event(data));
        }
        assert_eq!(is_complete, events.last() == Some(&STOP));
        let content = message.finish().map(|(id, content)| {
            assert_eq!(id, "msg_1");
            content.get().to_owned()
        });
        assert_eq!(content.as_deref(), expected);
    }

    const STOP: &str = r#"{"type":"message_stop"}"#;

    #[test]
    fn streamed_message_adds_up_to_what_the_caller_read() {
        check_streamed(
            &[
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h"}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"m"}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","new":1.0}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a\n"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"n":1e2}}}"#,
                r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1.0}"}}"#,
                r#"{"type":"content_block_start","index":3,"content_block":{"type":"compaction","content":null}}"#,
                r#"{"type":"content_block_delta","index":3,"delta":{"type":"compaction_delta","content":"sum"}}"#,
                r#"{"type":"ping"}"#,
                STOP,
            ],
            Some(
                r#"[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"a\n","new":1.0,"citations":[{"n":1e2}]},{"type":"tool_use","id":"t","name":"f","input":{"a":1.0}},{"type":"compaction","content":"sum"}]"#,
            ),
        );
    }

    #[test]
    fn streamed_message_that_is_not_fully_known_is_not_added_up() {
        let start =
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
        check_streamed(&[start], None);
        check_streamed(&[start, r#"{"type":"error","error":{}}"#, STOP], None);
        let delta = |kind: &str| {
            format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"{kind}"}}}}"#)
        };
        check_streamed(&[start, &delta("future_delta"), STOP], None);
        check_streamed(&[start, &delta("text_delta"), STOP], None);
        check_streamed(&[&delta("text_delta"), STOP], None);
        check_streamed(&[STOP], Some("[]"));
    }
}
