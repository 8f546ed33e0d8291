//! Tool calls and results as comments in a stream, for a caller that asks for them.
//!
//! With `x-gateway-tool-events: show` a stream has comments between its events, which clients that
//! do not look for them skip:
//!
//! ```text
//! : tool-call {"id":"c1","name":"echo","arguments":"{}"}
//! : tool-result {"id":"c1","name":"echo","is_error":false,"content":"{\"echoed\":null}"}
//! ```

use futures_util::StreamExt as _;
use gateway_core::{Chunk, ChunkStream, Content, ToolCall, ToolResult, plain_text};
use serde::Serialize;

/// Longer results are shown up to this many bytes.
const MAX_SHOWN: usize = 4096;

/// `chunks`, but calls count as output, so that the stream is not held back until the first word.
pub(crate) fn count_calls_as_output(chunks: ChunkStream) -> ChunkStream {
    Box::pin(chunks.map(|chunk| {
        let chunk = chunk?;
        let output = chunk.output || !chunk.started_tool_calls.is_empty();
        Ok(Chunk { output, ..chunk })
    }))
}

/// Writes the calls and results in `chunk` as comments.
pub(crate) fn write_tool_events(chunk: &Chunk, out: &mut Vec<u8>) {
    for call in &chunk.started_tool_calls {
        write("tool-call", &ToolCallEvent::of(call), out);
    }
    for part in chunk.completed_messages.iter().flat_map(|message| &message.parts) {
        if let Content::ToolResult(result) = &part.content {
            write("tool-result", &ToolResultEvent::of(result), out);
        }
    }
}

fn write(kind: &str, what: &impl Serialize, out: &mut Vec<u8>) {
    // Serialised JSON has no line breaks.
    if let Ok(json) = serde_json::to_vec(what) {
        out.extend_from_slice(b": ");
        out.extend_from_slice(kind.as_bytes());
        out.push(b' ');
        out.extend_from_slice(&json);
        out.extend_from_slice(b"\n\n");
    }
}

#[derive(Serialize)]
struct ToolCallEvent<'a> {
    id: &'a str,
    name: &'a str,
    arguments: &'a str,
}

impl<'a> ToolCallEvent<'a> {
    fn of(call: &'a ToolCall) -> Self {
        Self { id: &call.id, name: &call.name, arguments: &call.arguments }
    }
}

#[derive(Serialize)]
struct ToolResultEvent<'a> {
    id: &'a str,
    name: Option<&'a str>,
    is_error: bool,
    content: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl<'a> ToolResultEvent<'a> {
    fn of(result: &'a ToolResult) -> Self {
        let mut content = plain_text(&result.parts);
        let truncated = content.len() > MAX_SHOWN;
        content.truncate(content.floor_char_boundary(MAX_SHOWN));
        let (id, name) = (&result.call_id, result.name.as_deref());
        Self { id, name, is_error: result.is_error, content, truncated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Message, Role};

    #[track_caller]
    fn check(chunk: &Chunk, expected: &str) {
        let mut out = Vec::new();
        write_tool_events(chunk, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    fn result(content: &str) -> Chunk {
        let parts = vec![Content::Text(content.to_owned()).into()];
        let (call_id, name) = ("c1".to_owned(), Some("echo".to_owned()));
        let result = ToolResult { call_id, name, parts, is_error: true };
        let told = Message::new(Role::Tool, [Content::ToolResult(result)]);
        Chunk { completed_messages: vec![told], ..Chunk::default() }
    }

    #[test]
    fn calls_and_results_are_comments() {
        let arguments = "{\"a\":\n1}".to_owned();
        let (id, name) = ("c1".to_owned(), "echo".to_owned());
        let call = ToolCall { id, name, arguments, ..ToolCall::default() };
        check(
            &Chunk { started_tool_calls: vec![call], ..Chunk::default() },
            ": tool-call {\"id\":\"c1\",\"name\":\"echo\",\"arguments\":\"{\\\"a\\\":\\n1}\"}\n\n",
        );
        check(
            &result("no\n\ndata: x"),
            ": tool-result {\"id\":\"c1\",\"name\":\"echo\",\"is_error\":true,\
             \"content\":\"no\\n\\ndata: x\"}\n\n",
        );
        check(&Chunk::default(), "");
    }

    #[test]
    fn long_results_are_shortened() {
        let mut out = Vec::new();
        write_tool_events(&result(&"é".repeat(5000)), &mut out);
        assert!(out.len() < 5000 && out.ends_with(b",\"truncated\":true}\n\n"));
    }
}
