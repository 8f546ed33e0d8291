//! The join of a session's history and a request.
//!
//! Instructions (system and developer messages) apply until replaced: a request with instructions
//! of its own replaces them. The rest of the history is prepended, unless the request repeats it.

use gateway_core::{Content, Message, Role, Source, plain_text, state::SessionEntry};

/// The history of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The instructions that hold.
    pub instructions: Vec<Message>,
    /// The messages, oldest first.
    pub messages: Vec<Message>,
}

/// A conversation to send to a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinedConversation {
    /// The instructions that hold.
    pub instructions: Vec<Message>,
    /// The messages of the history.
    pub history: Vec<Message>,
    /// The new messages of the request.
    pub new: Vec<Message>,
    /// The instructions are new to the session.
    pub new_instructions: bool,
    /// Whether the request repeated the history.
    pub resent: bool,
}

impl History {
    /// Returns the history of a session's entries.
    pub fn of(entries: impl IntoIterator<Item = SessionEntry>) -> Self {
        let (mut history, mut version) = (Self::default(), None);
        for entry in entries {
            if !is_instruction(&entry.message) {
                history.messages.push(entry.message);
                continue;
            }
            // The instructions of a later turn replace those of an earlier one.
            if version.replace(entry.version) != Some(entry.version) {
                history.instructions.clear();
            }
            history.instructions.push(entry.message);
        }
        history
    }

    /// Joins the history with a request.
    pub fn join(self, request: Vec<Message>) -> JoinedConversation {
        let leading = request.iter().take_while(|it| is_instruction(it)).count();
        let mut asked = request;
        let mut said = asked.split_off(leading);
        let resent = repeated(&self.messages, &said);
        if let Some(count) = resent {
            said = said.split_off(count);
        }
        let new_instructions = leading > 0 && !same(&asked, &self.instructions);
        let instructions = if leading > 0 { asked } else { self.instructions };
        let (history, resent) = (self.messages, resent.is_some());
        JoinedConversation { instructions, history, new: said, new_instructions, resent }
    }
}

impl JoinedConversation {
    /// The whole conversation, in order.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.instructions.iter().chain(&self.history).chain(&self.new)
    }

    /// Returns the messages that the session stores of the request.
    pub fn to_remember(&self) -> Vec<Message> {
        let instructions = self.instructions.iter().filter(|_| self.new_instructions);
        instructions.chain(&self.new).cloned().collect()
    }
}

/// Whether two lists of messages are equal, apart from what callers may drop: reasoning and its
/// seals, cache marks, and the division of text into messages.
pub fn same(some: &[Message], others: &[Message]) -> bool {
    atoms_of(some) == atoms_of(others)
}

/// Returns the number of leading messages of `request` that repeat `history`; `None` if it does not
/// repeat it fully, or adds nothing.
fn repeated(history: &[Message], request: &[Message]) -> Option<usize> {
    let known = atoms_of(history);
    if known.is_empty() {
        return None;
    }
    let mut rest = &*known;
    for (count, message) in (1..).zip(request) {
        let atoms = atoms(message);
        rest = rest.strip_prefix(&*atoms)?;
        if rest.is_empty() {
            return (count < request.len()).then_some(count);
        }
    }
    None
}

/// A part of a message, reduced to what decides equality.
#[derive(Debug, PartialEq)]
enum ComparablePart<'a> {
    Text(Role, String),
    Refusal(&'a str),
    Media(Role, &'a Source),
    Call { id: &'a str, name: &'a str, arguments: String },
    Result { id: &'a str, text: String },
    Other(&'a str, &'a str),
}

fn atoms_of(messages: &[Message]) -> Vec<ComparablePart<'_>> {
    messages.iter().flat_map(atoms).collect()
}

fn atoms(message: &Message) -> Vec<ComparablePart<'_>> {
    let role = if is_instruction(message) { Role::System } else { message.role };
    let mut atoms: Vec<ComparablePart<'_>> = Vec::new();
    for part in &message.parts {
        let atom = match &part.content {
            Content::Text(text) => {
                if let Some(ComparablePart::Text(_, before)) = atoms.last_mut() {
                    before.push_str(text);
                    continue;
                }
                ComparablePart::Text(role, text.clone())
            }
            Content::Reasoning(_) => continue,
            Content::Refusal(text) => ComparablePart::Refusal(text),
            Content::Image(image) => ComparablePart::Media(role, &image.source),
            Content::Audio(source) => ComparablePart::Media(role, source),
            Content::File(file) => ComparablePart::Media(role, &file.source),
            Content::ToolCall(call) => ComparablePart::Call {
                id: &call.id,
                name: &call.name,
                arguments: without_space(&call.arguments),
            },
            Content::ToolResult(result) => {
                ComparablePart::Result { id: &result.call_id, text: plain_text(&result.parts) }
            }
            Content::Opaque(opaque) => ComparablePart::Other(&opaque.kind, opaque.json.get()),
        };
        atoms.push(atom);
    }
    // An answer that only calls tools comes back with empty text beside the calls.
    atoms.retain(|atom| !matches!(atom, ComparablePart::Text(_, text) if text.is_empty()));
    atoms
}

/// Returns JSON without whitespace: callers that parse arguments serialize them again.
fn without_space(json: &str) -> String {
    json.chars().filter(|c| !c.is_whitespace()).collect()
}

fn is_instruction(message: &Message) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{CacheControl, Reasoning, ToolCall, ToolResult};

    /// Messages, spelt: `s` system, `u` user, `a` assistant, `c` a tool call, `r` its result; then
    /// what is said.
    fn spell(text: &str) -> Vec<Message> {
        text.split_whitespace().map(message).collect()
    }

    fn message(word: &str) -> Message {
        let (kind, text) = word.split_at(1);
        let parts = vec![Content::Text("found".into()).into()];
        match kind {
            "s" => Message::text(Role::System, text),
            "u" => Message::text(Role::User, text),
            "a" => Message::text(Role::Assistant, text),
            "c" => Message::new(Role::Assistant, [call(text, "{\"q\":1}")]),
            _ => Message::new(
                Role::Tool,
                [Content::ToolResult(ToolResult {
                    call_id: text.into(),
                    name: None,
                    parts,
                    is_error: false,
                })],
            ),
        }
    }

    fn call(id: &str, arguments: &str) -> Content {
        let (id, arguments) = (id.into(), arguments.into());
        Content::ToolCall(ToolCall { id, name: "find".into(), arguments, ..ToolCall::default() })
    }

    /// A session of `turns` (separated by `|`), and a request, become `sent`; `kept` is remembered.
    #[track_caller]
    fn check(turns: &str, request: &str, sent: &str, kept: &str) {
        let entries = (1..).zip(turns.split('|')).flat_map(|(version, turn)| {
            spell(turn).into_iter().map(move |message| SessionEntry {
                position: 0,
                version,
                at: 0,
                turn: version.to_string(),
                incomplete: false,
                message,
            })
        });
        let joined = History::of(entries).join(spell(request));
        assert_eq!(joined.messages().cloned().collect::<Vec<_>>(), spell(sent));
        assert_eq!(joined.to_remember(), spell(kept));
    }

    #[test]
    fn history_precedes_request_messages() {
        check("", "u1", "u1", "u1");
        check("u1 a1", "u2", "u1 a1 u2", "u2");
        check("u1 a1|u2 cx rx a2", "u3", "u1 a1 u2 cx rx a2 u3", "u3");
    }

    #[test]
    fn resent_history_is_not_duplicated() {
        check("u1 a1", "u1 a1 u2", "u1 a1 u2", "u2");
        check("u1 a1|u2 cx rx a2", "u1 a1 u2 cx rx a2 u3", "u1 a1 u2 cx rx a2 u3", "u3");
        check("s0 u1 a1", "s0 u1 a1 u2", "s0 u1 a1 u2", "u2");
    }

    #[test]
    fn repeated_message_is_not_a_resend() {
        check("uyes aok", "uyes", "uyes aok uyes", "uyes");
        check("uyes aok", "uyes aok", "uyes aok uyes aok", "uyes aok");
        check(
            "uyes aok|uyes aok",
            "uyes aok uyes",
            "uyes aok uyes aok uyes aok uyes",
            "uyes aok uyes",
        );
        check("u1 a1", "u1 a9 u2", "u1 a1 u1 a9 u2", "u1 a9 u2");
    }

    #[test]
    fn system_message_applies_until_replaced() {
        check("s0 u1 a1", "u2", "s0 u1 a1 u2", "u2");
        check("s0 u1 a1", "s0 u2", "s0 u1 a1 u2", "u2");
        check("s0 u1 a1", "s9 u2", "s9 u1 a1 u2", "s9 u2");
        check("s0 u1 a1|s9 u2 a2", "u3", "s9 u1 a1 u2 a2 u3", "u3");
    }

    #[test]
    fn tool_result_continues_history() {
        check("u1 cx", "rx", "u1 cx rx", "rx");
        check("u1 cx", "u1 cx rx", "u1 cx rx", "rx");
    }

    #[track_caller]
    fn check_same(stored: impl AsRef<[Message]>, resent: impl AsRef<[Message]>) {
        assert!(same(stored.as_ref(), resent.as_ref()));
    }

    #[test]
    fn omitted_optional_members_match_history() {
        let thought = Content::Reasoning(Reasoning { text: "hm".into(), seal: None });
        let text = |text: &str| Content::Text(text.into());
        check_same(
            vec![Message::new(Role::Assistant, [thought, text("ab")])],
            vec![Message::new(Role::Assistant, [text("a"), text("b")])],
        );
        let mut cached = Message::text(Role::User, "x");
        cached.parts[0].cache = Some(CacheControl { ttl: None });
        check_same(spell("ux"), vec![cached]);
    }

    #[test]
    fn part_grouping_does_not_affect_matching() {
        let both =
            Message::new(Role::Assistant, [Content::Text("t".into()), call("x", "{\"q\": 1}")]);
        check_same(spell("at cx"), vec![both]);
        let mut result = spell("rx");
        result[0].role = Role::User;
        check_same(spell("rx"), result);
        let empty =
            Message::new(Role::Assistant, [Content::Text(String::new()), call("x", "{\"q\":1}")]);
        check_same(spell("cx"), vec![empty]);
    }
}
