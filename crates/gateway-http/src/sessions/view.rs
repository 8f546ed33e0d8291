//! Sessions and their messages as callers see them.

use gateway_core::{
    Content, Date, Message, Part, Source, ToolCall, ToolResult, plain_text,
    state::{Session, SessionEntry, SessionPage, SessionSnapshot},
};
use serde_json::{Map, Value, json};

/// A session without its messages.
fn session(session: &Session) -> Map<String, Value> {
    let members = json!({
        "id": session.id,
        "session_id": session.id,
        "object": "session",
        "context": session.context,
        "created_at": time(session.created_at),
        "expires_at": time(session.expires_at),
        "version": session.version,
        "message_count": session.messages,
    });
    if let Value::Object(members) = members { members } else { Map::new() }
}

/// A session with its messages.
pub(super) fn whole(snapshot: &SessionSnapshot) -> Value {
    let mut members = session(&snapshot.session);
    let messages = snapshot.entries.iter().map(|entry| Value::Object(message(&entry.message)));
    members.insert("messages".to_owned(), messages.collect());
    Value::Object(members)
}

/// A page of sessions.
pub(super) fn page(listing: &SessionPage) -> Value {
    let data: Vec<_> = listing.sessions.iter().map(session).collect();
    let next = &listing.next;
    json!({ "object": "list", "data": data, "has_more": next.is_some(), "next": next })
}

/// A page of the messages of a session.
pub(super) fn messages(snapshot: &SessionSnapshot) -> Value {
    let data: Vec<_> = snapshot.entries.iter().map(entry).collect();
    let last = snapshot.entries.last().map(|entry| entry.position);
    let next = last.filter(|last| last + 1 < snapshot.session.messages);
    json!({ "object": "list", "data": data, "has_more": next.is_some(), "next": next })
}

fn entry(entry: &SessionEntry) -> Value {
    let mut members = message(&entry.message);
    members.insert("position".to_owned(), entry.position.into());
    members.insert("version".to_owned(), entry.version.into());
    members.insert("created_at".to_owned(), time(entry.at).into());
    if entry.incomplete {
        members.insert("incomplete".to_owned(), true.into());
    }
    Value::Object(members)
}

/// Returns a message in the format of OpenAI Chat, with extensions: several results in one message
/// as `tool_results`, reasoning as `reasoning_content`.
fn message(message: &Message) -> Map<String, Value> {
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            members.insert(name.to_owned(), value);
        }
    };
    let said = MessageParts::of(&message.parts);
    add("role", json!(message.role));
    add("name", json!(message.name));
    match &*said.results {
        [] => add("content", content(&said.content)),
        // A tool's answer: the message is nothing else.
        [only] if said.content.is_empty() => {
            add("tool_call_id", json!(only.call_id));
            add("name", json!(only.name));
            add("content", json!(plain_text(&only.parts)));
        }
        results => {
            add("content", content(&said.content));
            add("tool_results", results.iter().map(|it| result(it)).collect());
        }
    }
    if !said.calls.is_empty() {
        add("tool_calls", said.calls.iter().map(|it| call(it)).collect());
    }
    if !said.thinking.is_empty() {
        add("reasoning_content", said.thinking.into());
    }
    if !said.refusal.is_empty() {
        add("refusal", said.refusal.into());
    }
    members
}

/// The parts of a message, by kind.
#[derive(Default)]
struct MessageParts<'a> {
    content: Vec<&'a Content>,
    calls: Vec<&'a ToolCall>,
    results: Vec<&'a ToolResult>,
    thinking: String,
    refusal: String,
}

impl<'a> MessageParts<'a> {
    fn of(parts: &'a [Part]) -> Self {
        let mut said = Self::default();
        for part in parts {
            match &part.content {
                Content::ToolCall(call) => said.calls.push(call),
                Content::ToolResult(result) => said.results.push(result),
                Content::Reasoning(reasoning) => said.thinking.push_str(&reasoning.text),
                Content::Refusal(text) => said.refusal.push_str(text),
                content @ (Content::Text(_)
                | Content::Image(_)
                | Content::Audio(_)
                | Content::File(_)
                | Content::Opaque(_)) => said.content.push(content),
            }
        }
        said
    }
}

/// Text if it is nothing else; else a list.
fn content(parts: &[&Content]) -> Value {
    if parts.is_empty() {
        return Value::Null;
    }
    match parts.iter().map(|it| text(it)).collect::<Option<String>>() {
        Some(text) => text.into(),
        None => parts.iter().map(|it| piece(it)).collect(),
    }
}

fn text(content: &Content) -> Option<&str> {
    if let Content::Text(text) = content { Some(text) } else { None }
}

fn piece(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!({ "type": "text", "text": text }),
        Content::Image(it) => {
            json!({ "type": "image_url", "image_url": { "url": address(&it.source), "detail": it.detail } })
        }
        Content::Audio(source) => {
            json!({ "type": "input_audio", "input_audio": { "url": address(source) } })
        }
        Content::File(it) => {
            json!({ "type": "file", "file": { "url": address(&it.source), "filename": it.name } })
        }
        Content::Opaque(it) => it.json.read().unwrap_or_default(),
        Content::Refusal(_)
        | Content::Reasoning(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_) => Value::Null,
    }
}

/// Returns the source as a URL; inline content as a `data:` URL.
fn address(source: &Source) -> String {
    match source {
        Source::Inline { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
        Source::Url(url) => url.clone(),
        Source::FileId(id) => format!("file-id:{id}"),
    }
}

fn call(call: &ToolCall) -> Value {
    if call.custom {
        let custom = json!({ "name": call.name, "input": call.arguments });
        return json!({ "id": call.id, "type": "custom", "custom": custom });
    }
    let function = json!({ "name": call.name, "arguments": call.arguments });
    json!({ "id": call.id, "type": "function", "function": function })
}

fn result(result: &ToolResult) -> Value {
    json!({
        "tool_call_id": result.call_id,
        "name": result.name,
        "content": plain_text(&result.parts),
        "is_error": result.is_error,
    })
}

/// Milliseconds since 1970 as ISO 8601 writes them, in UTC, with microseconds.
fn time(ms: u64) -> String {
    let (days, of_day) = (ms / 86_400_000, ms % 86_400_000);
    let Date { year, month, day } = Date::from_days_since_epoch(days);
    let (hours, minutes) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (seconds, ms) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}000+00:00")
}

/// The version of a session as an entity tag.
pub(super) fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Image, Json, Opaque, Reasoning, Role};

    #[track_caller]
    fn check_time(ms: u64, expected: &str) {
        assert_eq!(time(ms), expected);
    }

    #[test]
    fn times_are_written_in_utc() {
        check_time(0, "1970-01-01T00:00:00.000000+00:00");
        check_time(951_782_400_000, "2000-02-29T00:00:00.000000+00:00");
        check_time(1_767_225_599_999, "2025-12-31T23:59:59.999000+00:00");
        check_time(1_772_971_200_123, "2026-03-08T12:00:00.123000+00:00");
        check_time(4_107_542_400_000, "2100-03-01T00:00:00.000000+00:00");
    }

    #[track_caller]
    fn check(role: Role, parts: Vec<Content>, expected: &Value) {
        assert_eq!(&Value::Object(message(&Message::new(role, parts))), expected);
    }

    fn says(text: &str) -> Content {
        Content::Text(text.to_owned())
    }

    fn tool_result(id: &str) -> Content {
        let (call_id, name) = (id.to_owned(), Some("find".to_owned()));
        let parts = vec![says("found").into()];
        Content::ToolResult(ToolResult { call_id, name, parts, is_error: false })
    }

    #[test]
    fn message_with_text_is_shown_as_string() {
        check(Role::User, vec![says("a")], &json!({ "role": "user", "content": "a" }));
        check(Role::User, vec![says("a"), says("b")], &json!({ "role": "user", "content": "ab" }));
        let thinking = Content::Reasoning(Reasoning { text: "hm".into(), seal: None });
        let told = json!({ "role": "assistant", "content": "a", "reasoning_content": "hm" });
        check(Role::Assistant, vec![thinking, says("a")], &told);
    }

    #[test]
    fn message_with_media_is_shown_as_list() {
        let source = Source::Inline { media_type: "image/png".into(), base64: "AA==".into() };
        let image = Content::Image(Image { source, detail: None });
        let told = json!([
            { "type": "text", "text": "a" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": null } },
        ]);
        check(Role::User, vec![says("a"), image], &json!({ "role": "user", "content": told }));
        let json = Json::parse(r#"{"type":"search","n":1}"#).unwrap();
        let dialect = gateway_core::Dialect::Responses;
        let opaque = Content::Opaque(Opaque { dialect, kind: "search".into(), json });
        let told = json!([{ "type": "search", "n": 1 }]);
        check(Role::Assistant, vec![opaque], &json!({ "role": "assistant", "content": told }));
    }

    #[test]
    fn calls_and_results_keep_their_ids() {
        let (id, name, arguments) = ("c1".to_owned(), "find".to_owned(), "{}".to_owned());
        let call = ToolCall { id, name, arguments, ..ToolCall::default() };
        let told = json!([
            { "id": "c1", "type": "function", "function": { "name": "find", "arguments": "{}" } }
        ]);
        check(
            Role::Assistant,
            vec![Content::ToolCall(call)],
            &json!({ "role": "assistant", "tool_calls": told }),
        );
        check(
            Role::Tool,
            vec![tool_result("c1")],
            &json!({ "role": "tool", "tool_call_id": "c1", "name": "find", "content": "found" }),
        );
        let told = |id| json!({ "tool_call_id": id, "name": "find", "content": "found", "is_error": false });
        check(
            Role::Tool,
            vec![tool_result("c1"), tool_result("c2")],
            &json!({ "role": "tool", "tool_results": [told("c1"), told("c2")] }),
        );
    }
}
