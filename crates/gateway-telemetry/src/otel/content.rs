//! Message content of spans: bounded, with keys and e-mail addresses redacted.

use gateway_core::{ChatRequest, ChatResponse, Message};
use serde_json::{Value, json};

/// The number of bytes of text recorded per span.
const MAX_CONTENT_BYTES: usize = 16 << 10;
/// The replacement for redacted words.
const REDACTED: &str = "[redacted]";

/// Returns the messages of a request in the format of the conventions.
pub(super) fn input_messages(request: &ChatRequest) -> String {
    let mut left = MAX_CONTENT_BYTES;
    let messages = request.messages.iter().map(|it| message(it, &mut left));
    Value::Array(messages.collect()).to_string()
}

/// Returns the messages of a response in the format of the conventions.
pub(super) fn output_messages(response: &ChatResponse) -> String {
    let mut left = MAX_CONTENT_BYTES;
    let choices = response.choices.iter().map(|choice| {
        let mut message = message(&choice.message, &mut left);
        let reason = choice.finish.as_ref().map(|it| it.reason.as_str());
        if let Some(message) = message.as_object_mut() {
            message.insert("finish_reason".to_owned(), reason.into());
        }
        message
    });
    Value::Array(choices.collect()).to_string()
}

fn message(it: &Message, left: &mut usize) -> Value {
    let text = it.plain_text();
    let kept = text.floor_char_boundary((*left).min(text.len()));
    *left -= kept;
    let content = redacted(text.get(..kept).unwrap_or_default());
    json!({ "role": it.role.classic_name(), "parts": [{ "type": "text", "content": content }] })
}

/// Returns `text` with words that look like secrets redacted.
fn redacted(text: &str) -> String {
    let ends = |char: char| char.is_whitespace() || "\"'`,;()<>[]{}".contains(char);
    let words = text.split_inclusive(ends);
    words
        .map(|word| {
            let bare = word.trim_end_matches(ends);
            let end = word.get(bare.len()..).unwrap_or_default();
            if is_secret(bare) { format!("{REDACTED}{end}") } else { word.to_owned() }
        })
        .collect()
}

/// Returns whether a word looks like a key (a known prefix, or long and mixed) or an e-mail
/// address.
fn is_secret(word: &str) -> bool {
    const BEGINNINGS: [&str; 7] = ["sk-", "pk-", "ghp_", "xox", "AKIA", "AIza", "eyJ"];
    let known = word.len() >= 8 && BEGINNINGS.iter().any(|begin| word.starts_with(begin));
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    let opaque = word.len() >= 24 && digits >= 4 && letters >= 4 && !word.contains('/');
    let address = word.split_once('@').is_some_and(|(who, at)| !who.is_empty() && at.contains('.'));
    known || opaque || address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(redacted(text), expected);
    }

    #[test]
    fn secrets_are_redacted() {
        check("Hello, world! 12345", "Hello, world! 12345");
        check("key sk-canary-1234, ok", "key [redacted], ok");
        check("mail a.b@example.org.", "mail [redacted]");
        check("\"4f9d2c7ab81e40d3a1b2c3d4e5f60718\"\n", "\"[redacted]\"\n");
        check(
            "see https://example.org/a/very/long/path/0123456789abc",
            "see https://example.org/a/very/long/path/0123456789abc",
        );
        check("", "");
    }

    #[test]
    fn content_is_bounded() {
        let request = ChatRequest::user("m", "x ".repeat(MAX_CONTENT_BYTES));
        assert!(input_messages(&request).len() < MAX_CONTENT_BYTES + 200);
    }
}
