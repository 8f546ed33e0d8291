//! The scripted responses of the upstream: one short chat, complete and in chunks, in two dialects.

use serde_json::{Value, json};

/// Chunks with text in a streamed answer.
pub(super) const CHUNKS: usize = 100;

/// The head of every streamed answer.
pub(super) const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The text of an answer.
const TEXT: &str = "The quick brown fox jumps over the lazy dog and runs home.";

/// Returns a whole answer, head and body, of the API at this path.
pub(super) fn whole(path: &str) -> Vec<u8> {
    let body = if is_messages(path) {
        json!({"id": "msg_bench", "type": "message", "role": "assistant", "model": "bench",
            "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn",
            "stop_sequence": null, "usage": {"input_tokens": 12, "output_tokens": 14}})
    } else {
        json!({"id": "chatcmpl-bench", "object": "chat.completion", "created": 1_700_000_000,
            "model": "bench", "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": TEXT}}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 14, "total_tokens": 26}})
    };
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Returns the events of a streamed answer of the API at this path, each in a chunk of its own.
pub(super) fn chunks(path: &str) -> Vec<String> {
    if is_messages(path) { messages_events() } else { chat_events() }
}

/// Returns a chunk as it is framed in a body without a length.
pub(super) fn framed(chunk: &str) -> Vec<u8> {
    format!("{:x}\r\n{chunk}\r\n", chunk.len()).into_bytes()
}

/// Whether an event carries a piece of the text.
pub(super) fn has_text(event: &str) -> bool {
    event.contains(" token")
}

fn is_messages(path: &str) -> bool {
    path.ends_with("/messages")
}

fn chat_events() -> Vec<String> {
    let event = |delta: Value, finish: Value| {
        let data = json!({"id": "chatcmpl-bench", "object": "chat.completion.chunk",
            "created": 1_700_000_000, "model": "bench",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {data}\n\n")
    };
    let text = |index: usize| event(json!({"content": format!(" token{index:03}")}), Value::Null);
    let usage = json!({"id": "chatcmpl-bench", "object": "chat.completion.chunk",
        "created": 1_700_000_000, "model": "bench", "choices": [],
        "usage": {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": CHUNKS + 12}});
    let mut events = vec![event(json!({"role": "assistant", "content": ""}), Value::Null)];
    events.extend((0..CHUNKS).map(text));
    events.push(event(json!({}), json!("stop")));
    events.push(format!("data: {usage}\n\n"));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn messages_events() -> Vec<String> {
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let text = |index: usize| {
        event(
            "content_block_delta",
            json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": format!(" token{index:03}")}}),
        )
    };
    let start = json!({"type": "message_start", "message": {"id": "msg_bench", "type": "message",
        "role": "assistant", "model": "bench", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": {"input_tokens": 12, "output_tokens": 1}}});
    let block = json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "text", "text": ""}});
    let delta = json!({"type": "message_delta", "usage": {"output_tokens": CHUNKS},
        "delta": {"stop_reason": "end_turn", "stop_sequence": null}});
    let mut events = vec![event("message_start", start), event("content_block_start", block)];
    events.extend((0..CHUNKS).map(text));
    let stop = json!({"type": "content_block_stop", "index": 0});
    events.push(event("content_block_stop", stop));
    events.push(event("message_delta", delta));
    events.push(event("message_stop", json!({"type": "message_stop"})));
    events
}

#[cfg(test)]
mod tests {
    use super::{CHUNKS, chunks, framed, has_text, whole};

    #[test]
    fn whole_answer_has_the_length_it_declares() {
        let text = String::from_utf8(whole("/v1/messages")).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
        assert!(body.contains("\"type\":\"message\""));
    }

    #[test]
    fn stream_has_its_chunks_and_an_end() {
        for (path, last) in [("/v1/chat/completions", "[DONE]"), ("/v1/messages", "message_stop")] {
            let events = chunks(path);
            let text = events.iter().filter(|event| has_text(event)).count();
            assert_eq!(text, CHUNKS);
            assert!(events.last().unwrap().contains(last));
        }
    }

    #[test]
    fn chunk_is_framed_by_its_length_in_hexadecimal() {
        assert_eq!(framed("0123456789"), b"a\r\n0123456789\r\n");
    }
}
