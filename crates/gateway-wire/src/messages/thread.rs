//! Threads: conversations that the server holds, so that a request sends only what is new.
//!
//! ```text
//! {"thread":{"type":"create"}, system, tools, messages}            -> msg_1
//! {"thread":{"type":"continue","previous_message_id":"msg_1"}, messages} -> msg_2
//! ```
//!
//! An upstream gets the whole conversation in a request without `thread`, so that any can serve it.

use super::errors;
use crate::json::{
    editable_object::JsonNode,
    lazy_object::{LazyObject, first_byte},
};
use gateway_core::{GatewayError, Json, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The beta of requests with a `thread`.
pub const THREADS_BETA: &str = "message-threads-2026-08-12";

/// The members that a thread holds, and that a request that continues it must leave out.
const HELD_MEMBERS: [&str; 2] = ["system", "tools"];

/// The members of a message in which further blocks are nested.
const NESTED: [&str; 5] = ["content", "source", "tool", "definition", "tool_references"];

/// The `thread` member of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ThreadDirective {
    /// The request has the whole conversation, and begins a thread.
    Create,
    /// The request continues the conversation that ends with a message.
    Continue {
        /// The id of that message.
        previous: String,
    },
}

/// The conversation of a thread up to a message of the model.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ThreadHistory {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tools: Option<Json>,
    messages: Vec<Json>,
}

impl ThreadDirective {
    /// Reads the `thread` member of the request `body`.
    ///
    /// # Errors
    ///
    /// `thread_unsupported_request` if it is absent or of an unknown type, or if the request
    /// continues a thread and repeats what that holds.
    pub fn read(body: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            #[serde(rename = "type", borrow)]
            kind: Cow<'a, str>,
            #[serde(default)]
            previous_message_id: Option<String>,
        }
        let request: LazyObject<'_> = serde_json::from_slice(body).map_err(unreadable)?;
        let thread = request.get("thread").ok_or_else(errors::thread_unsupported)?;
        let thread: Wire<'_> = serde_json::from_str(thread.get()).map_err(unreadable)?;
        match (&*thread.kind, thread.previous_message_id) {
            ("create", None) => Ok(Self::Create),
            ("continue", Some(previous)) => {
                match HELD_MEMBERS.iter().find(|name| request.get(name).is_some()) {
                    Some(name) => Err(errors::thread_holds(name)),
                    None => Ok(Self::Continue { previous }),
                }
            }
            ("continue", None) => {
                let message = "thread.previous_message_id is missing";
                Err(GatewayError::invalid("thread", message))
            }
            _ => Err(errors::thread_unsupported()),
        }
    }
}

impl ThreadHistory {
    /// Returns the conversation that the request `body` asks for, followed by the `content` of its
    /// response.
    ///
    /// The cache marks of answered messages are left out: a request may have only a few, and new
    /// messages bring theirs.
    ///
    /// # Errors
    ///
    /// If `body` is not a request.
    pub fn of(body: &[u8], content: &Json) -> Result<Self> {
        let mut request: LazyObject<'_> = serde_json::from_slice(body).map_err(unreadable)?;
        let messages: Vec<&RawValue> = request.take("messages")?.unwrap_or_default();
        let mut messages: Vec<Json> = messages.into_iter().map(without_cache_marks).collect();
        // A message without content is not accepted in a conversation.
        if content.get() != "[]" {
            messages.push(Json::of(&AnswerMessage { role: "assistant", content }));
        }
        let mut held = |name| request.remove(name).map(Json::from);
        Ok(Self { system: held("system"), tools: held("tools"), messages })
    }

    /// Returns the request `body` with the whole conversation, and without `thread`.
    ///
    /// # Errors
    ///
    /// If `body` is not a request.
    pub fn prepend_to(&self, body: &[u8]) -> Result<Vec<u8>> {
        let mut request: LazyObject<'_> = serde_json::from_slice(body).map_err(unreadable)?;
        request.remove("thread");
        let new: Vec<&RawValue> = request.take("messages")?.unwrap_or_default();
        let earlier = self.messages.iter().map(raw);
        let messages = earlier.chain(new.into_iter().map(Ok)).collect::<Result<Vec<_>>>()?;
        let messages = Json::of(&messages);
        for (name, held) in HELD_MEMBERS.iter().zip([&self.system, &self.tools]) {
            if let Some(held) = held {
                request.remove(name);
                request.0.push((Cow::Borrowed(name), raw(held)?));
            }
        }
        request.0.push((Cow::Borrowed("messages"), raw(&messages)?));
        serde_json::to_vec(&request).map_err(unreadable)
    }
}

/// Returns the request `body`, which has the whole conversation, without `thread`.
///
/// # Errors
///
/// If `body` is not a request.
pub fn without_thread(body: &[u8]) -> Result<Vec<u8>> {
    let mut request: LazyObject<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    request.remove("thread");
    serde_json::to_vec(&request).map_err(unreadable)
}

/// The error for a thread that does not exist, or belongs to another tenant.
pub fn thread_not_found() -> GatewayError {
    errors::thread_not_found()
}

/// The refusal of a conversation that is to be held upstream. Clients know it, and send the whole
/// conversation instead.
pub fn thread_unsupported() -> GatewayError {
    errors::thread_unsupported()
}

#[derive(Serialize)]
struct AnswerMessage<'a> {
    role: &'static str,
    content: &'a Json,
}

fn raw(json: &Json) -> Result<&RawValue> {
    serde_json::from_str(json.get()).map_err(unreadable)
}

fn without_cache_marks(message: &RawValue) -> Json {
    if memchr::memmem::find(message.get().as_bytes(), b"\"cache_control\"").is_none() {
        return Json::from(message);
    }
    let mut message = JsonNode::Raw(message);
    remove_marks(&mut message);
    Json::of(&message)
}

fn remove_marks(node: &mut JsonNode<'_>) {
    let is_list = matches!(node, JsonNode::Raw(raw) if first_byte(raw) == b'[');
    if is_list {
        node.list().into_iter().flatten().for_each(remove_marks);
        return;
    }
    let Some(object) = node.object() else { return };
    let _: Option<JsonNode<'_>> = object.remove("cache_control");
    for name in NESTED {
        object.get_mut(name).into_iter().for_each(remove_marks);
    }
}

fn unreadable(error: serde_json::Error) -> GatewayError {
    GatewayError::invalid("thread", "the request cannot be read as a turn of a thread")
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_directive(members: &str, expected: Result<&ThreadDirective, &str>) {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let read = ThreadDirective::read(body.as_bytes());
        assert_eq!(read.as_ref().map_err(GatewayError::code), expected);
    }

    #[test]
    fn directive_is_read_or_refused_so_that_clients_fall_back() {
        let next = r#""thread":{"type":"continue","previous_message_id":"msg_1"}"#;
        let continued = ThreadDirective::Continue { previous: "msg_1".into() };
        check_directive(r#""thread":{"type":"create"}"#, Ok(&ThreadDirective::Create));
        check_directive(next, Ok(&continued));
        check_directive(&format!(r#"{next},"system":null"#), Ok(&continued));
        let unsupported = "thread_unsupported_request";
        check_directive(&format!(r#"{next},"system":"x""#), Err(unsupported));
        check_directive(&format!(r#"{next},"tools":[]"#), Err(unsupported));
        check_directive(r#""thread":{"type":"fork"}"#, Err(unsupported));
        check_directive(r#""thread":{"type":"continue"}"#, Err("invalid_request"));
        check_directive(r#""thread":"create""#, Err("invalid_request"));
    }

    #[test]
    fn continued_request_has_the_whole_conversation() {
        let first = br#"{"model":"m","system":"be kind","messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}],"tools":[{"name":"f","cache_control":{}}],"max_tokens":9}"#;
        let content = Json::parse(r#"[{"type":"text","text":"b"}]"#).unwrap();
        let history = ThreadHistory::of(first, &content).unwrap();
        let next = br#"{"model":"n","thread":{"type":"continue"},"messages":[{"role":"user","content":"c"}],"n":1e2}"#;
        let whole = String::from_utf8(history.prepend_to(next).unwrap()).unwrap();
        assert_eq!(
            whole,
            r#"{"model":"n","n":1e2,"system":"be kind","tools":[{"name":"f","cache_control":{}}],"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":[{"type":"text","text":"b"}]},{"role":"user","content":"c"}]}"#
        );
        let stored = Json::of(&history);
        assert_eq!(stored.read::<ThreadHistory>().unwrap(), history);
    }

    #[test]
    fn request_that_begins_a_thread_is_sent_without_it() {
        let body = br#"{"model":"m","thread":{"type":"create"},"messages":[]}"#;
        assert_eq!(without_thread(body).unwrap(), br#"{"model":"m","messages":[]}"#);
    }
}
