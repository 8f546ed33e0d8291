//! The texts of a conversation that may be shortened: long ones of the user and of the model,
//! before the user's last turn. Instructions, tool calls, tool results and that last turn stay
//! unchanged.

use gateway_core::{ChatRequest, Content, Message, Part, Role};
use std::cmp::Reverse;

/// A text below this many bytes is left alone: asking would take longer than reading it.
const LONG: usize = 1024;
/// At most so many texts are shortened, the longest.
const MOST: usize = 16;

/// The position of a text in a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextPosition {
    message: usize,
    part: usize,
}

/// Everything a model would read as text, as one text.
pub(super) fn all(request: &ChatRequest) -> String {
    let mut all = String::new();
    for message in &request.messages {
        for part in &message.parts {
            gather(&part.content, &mut all);
        }
    }
    all
}

fn gather(content: &Content, all: &mut String) {
    let mut add = |text: &str| {
        all.push_str(text);
        all.push('\n');
    };
    match content {
        Content::Text(text) | Content::Refusal(text) => add(text),
        Content::Reasoning(thought) => add(&thought.text),
        Content::ToolCall(call) => add(&call.arguments),
        Content::ToolResult(result) => {
            result.parts.iter().for_each(|part| gather(&part.content, all));
        }
        Content::Opaque(it) => add(it.json.get()),
        Content::Image(_) | Content::Audio(_) | Content::File(_) => {}
    }
}

/// Returns `request` with its texts replaced by shortened ones; `None` if there are none.
pub(super) fn replaced(
    request: &ChatRequest,
    made: Vec<(TextPosition, Option<String>)>,
) -> Option<ChatRequest> {
    let mut changed = None;
    for (place, text) in made {
        let Some(text) = text else { continue };
        let request = changed.get_or_insert_with(|| request.clone());
        let message = request.messages.get_mut(place.message);
        if let Some(part) = message.and_then(|message| message.parts.get_mut(place.part)) {
            part.content = Content::Text(text);
        }
    }
    changed
}

/// The texts that may be shortened, the longest first, and where they stand.
pub(super) fn places(messages: &[Message]) -> Vec<(TextPosition, &str)> {
    let last_turn = messages.iter().rposition(|message| message.role == Role::User);
    let before = messages.get(..last_turn.unwrap_or_default()).unwrap_or_default();
    let mut places: Vec<_> = before
        .iter()
        .enumerate()
        .filter(|(_, message)| may_change(message))
        .flat_map(|(message, it)| {
            let parts = it.parts.iter().enumerate();
            parts.filter_map(move |(part, it)| Some((TextPosition { message, part }, long(it)?)))
        })
        .collect();
    places.sort_by_key(|(_, text)| Reverse(text.len()));
    places.truncate(MOST);
    places
}

fn may_change(message: &Message) -> bool {
    let told = matches!(message.role, Role::User | Role::Assistant);
    // Beside a call, a text may be what the model's own proof vouches for.
    told && message.parts.iter().all(|part| {
        !matches!(
            part.content,
            Content::ToolCall(_) | Content::ToolResult(_) | Content::Reasoning(_)
        )
    })
}

fn long(part: &Part) -> Option<&str> {
    // The provider is to remember what the caller marked: it must not differ from the last time.
    if part.cache.is_some() {
        return None;
    }
    if let Content::Text(text) = &part.content { Some(text.as_str()) } else { None }
        .filter(|text| text.len() >= LONG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::ToolCall;

    fn long(letter: char) -> String {
        letter.to_string().repeat(LONG)
    }

    /// A conversation, spelt: `s` for a long text of the system, `u` of the user, `a` of the model,
    /// `c` of the model beside a call, `t` of a tool; `.` for a short text of the user.
    fn conversation(spelling: &str) -> ChatRequest {
        let message = |letter: char| {
            let text = Content::Text(long(letter));
            match letter {
                's' => Message::new(Role::System, [text]),
                'u' => Message::new(Role::User, [text]),
                'a' => Message::new(Role::Assistant, [text]),
                'c' => {
                    let call = Content::ToolCall(ToolCall::default());
                    Message::new(Role::Assistant, [text, call])
                }
                't' => Message::new(Role::Tool, [text]),
                _ => Message::text(Role::User, "."),
            }
        };
        let messages = spelling.chars().map(message).collect();
        ChatRequest { messages, ..ChatRequest::default() }
    }

    /// What becomes of it: a capital letter is a text that was shortened.
    #[track_caller]
    fn check(spelling: &str, expected: &str) {
        let request = conversation(spelling);
        let shorten = |(place, text): (_, &str)| (place, Some(text.chars().take(1).collect()));
        let made = places(&request.messages).into_iter().map(shorten).collect();
        let replaced = replaced(&request, made);
        assert_eq!(replaced.is_none(), spelling == expected, "{spelling}");
        let told = replaced.unwrap_or(request).messages.into_iter().map(|message| {
            let text = message.plain_text();
            let letter = text.chars().next().unwrap();
            if text.len() == 1 { letter.to_ascii_uppercase() } else { letter }
        });
        assert_eq!(told.collect::<String>(), expected, "{spelling}");
    }

    #[test]
    fn long_texts_before_the_last_turn_are_shortened() {
        check("suau", "sUAu");
        check("suaua", "sUAua");
        check("u", "u");
        check("s", "s");
        check("", "");
    }

    #[test]
    fn tool_calls_results_and_short_texts_stay_unchanged() {
        check("uctau", "UctAu");
        check(".a.", ".A.");
        check("...", "...");
    }

    #[test]
    fn only_the_longest_are_shortened() {
        let many = "u".repeat(MOST + 3);
        let request = conversation(&many);
        assert_eq!(places(&request.messages).len(), MOST);
    }

    #[test]
    fn counted_text_includes_all_content() {
        assert_eq!(all(&ChatRequest::user("m", "hello")), "hello\n");
    }
}
