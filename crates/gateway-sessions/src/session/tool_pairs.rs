//! Calls and their results, which no provider takes one without the other.

use gateway_core::{Content, Message, Part};
use std::collections::HashSet;

/// Removes tool calls without result and results without call from `history`, which `request`
/// follows.
///
/// A caller may continue without answering a call, and a trimmed history may begin after one.
/// Providers reject an unpaired call or result, in this turn and in every later one.
pub fn pair(history: Vec<Message>, request: &[Message]) -> Vec<Message> {
    let answered: HashSet<_> =
        history.iter().chain(request).flat_map(results).map(str::to_owned).collect();
    let mut called = HashSet::new();
    let mut mended = Vec::with_capacity(history.len());
    for mut message in history {
        let before = message.parts.len();
        message.parts.retain(|part| match &part.content {
            Content::ToolCall(call) => {
                answered.contains(&call.id) && called.insert(call.id.clone())
            }
            Content::ToolResult(result) => called.contains(&result.call_id),
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::File(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => true,
        });
        // The thinking that led to nothing but a call is of no use without it.
        let thinks = |part: &Part| matches!(part.content, Content::Reasoning(_));
        if message.parts.len() == before || !message.parts.iter().all(thinks) {
            mended.push(message);
        }
    }
    mended
}

fn results(message: &Message) -> impl Iterator<Item = &str> {
    message.parts.iter().filter_map(|part| {
        if let Content::ToolResult(result) = &part.content { Some(&*result.call_id) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Role, ToolCall, ToolResult};

    /// Messages, spelt: `u` user, `a` assistant; `cX` the call X, `rX` its result, `tX` text.
    fn spell(text: &str) -> Vec<Message> {
        text.split_whitespace()
            .map(|word| {
                let (role, parts) = word.split_at(1);
                let role = if role == "u" { Role::User } else { Role::Assistant };
                let parts: Vec<_> = parts.split_inclusive(|c: char| c.is_ascii_digit()).collect();
                Message::new(role, parts.into_iter().map(part))
            })
            .collect()
    }

    fn part(word: &str) -> Content {
        let (kind, id) = word.split_at(1);
        match kind {
            "c" => Content::ToolCall(ToolCall { id: id.into(), ..ToolCall::default() }),
            "r" => Content::ToolResult(ToolResult {
                call_id: id.into(),
                name: None,
                parts: Vec::new(),
                is_error: false,
            }),
            _ => Content::Text(id.into()),
        }
    }

    #[track_caller]
    fn check(history: &str, request: &str, mended: &str) {
        assert_eq!(pair(spell(history), &spell(request)), spell(mended));
    }

    #[test]
    fn tool_call_pairs_are_kept() {
        check("ut1 ac1c2 ur1r2 at2", "ut3", "ut1 ac1c2 ur1r2 at2");
        check("ut1 ac1", "ur1", "ut1 ac1");
        check("ut1 at2", "ut3", "ut1 at2");
    }

    #[test]
    fn tool_call_without_result_is_removed() {
        check("ut1 ac1", "ut2", "ut1");
        check("ut1 at2c1", "ut2", "ut1 at2");
        check("ut1 ac1c2 ur2", "ut2", "ut1 ac2 ur2");
    }

    #[test]
    fn tool_result_without_call_is_removed() {
        check("ur1 at1", "ut2", "at1");
        check("ut1r1 at1", "ut2", "ut1 at1");
    }
}
