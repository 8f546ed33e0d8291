//! Requests in their callers' own bytes, as their models accept them.
//!
//! A caller of the provider's own dialect may still use the words of an older model: a budget for
//! reasoning, an effort, a forced tool, a prefill. Where the rules of the model say that these are
//! refused, their place in the body is edited, as a translation would write it; every other byte
//! stays.

use crate::{
    envelope,
    json::{self, JsonLimits, JsonMember},
    splice::{literal, splice},
};
use bytes::Bytes;
use gateway_core::{
    Dialect, DroppedParams, Effort, ForcedTools, ModelRules, RawRequest, ReasoningControl,
    ReasoningOff,
};
use memchr::memmem;
use std::ops::Range;

/// It was sound when it came in.
const ANY_DEPTH: JsonLimits = JsonLimits { depth: usize::MAX };
/// The turn that takes the place of words put into the model's mouth.
const CONTINUE: &[u8] =
    br#",{"role":"user","content":"Continue your last message from where it ends."}"#;

/// The members that rules are about.
const MEMBERS: [&str; 6] =
    ["thinking", "output_config", "tool_choice", "reasoning_effort", "reasoning", "messages"];

/// Returns `raw` as a model with these `rules` accepts it, or nothing if it does as it is. What was
/// edited is named in `dropped`.
pub fn conform_original(
    raw: &RawRequest,
    rules: &ModelRules,
    dropped: &mut DroppedParams,
) -> Option<RawRequest> {
    if !may_matter(raw, rules) {
        return None;
    }
    let members = members(&raw.body, &(0..raw.body.len()));
    let members: Vec<_> = members.into_iter().filter(|it| MEMBERS.contains(&&*it.key)).collect();
    let mut edits = OriginalEdits { body: &raw.body, rules, members, edits: Vec::new(), dropped };
    match raw.dialect {
        Dialect::Messages => {
            edits.thinking();
            edits.tool_choice();
            edits.effort("output_config", Some("effort"), "effort");
            edits.prefill();
        }
        Dialect::Chat => edits.effort("reasoning_effort", None, "reasoning_effort"),
        Dialect::Responses => edits.effort("reasoning", Some("effort"), "reasoning.effort"),
        Dialect::Gemini | Dialect::Ollama => {}
    }
    let edits = edits.edits;
    if edits.is_empty() {
        return None;
    }
    let body = splice(&raw.body, edits).concat();
    let envelope = envelope::read(&body, &ANY_DEPTH).ok()?;
    Some(raw.edited(body.into(), envelope))
}

/// Returns the effort that a request asks for, as far as its own dialect says.
pub fn original_effort(raw: &RawRequest) -> Option<Effort> {
    let (member, inner) = match raw.dialect {
        Dialect::Chat => ("reasoning_effort", None),
        Dialect::Responses => ("reasoning", Some("effort")),
        Dialect::Messages => ("output_config", Some("effort")),
        Dialect::Gemini | Dialect::Ollama => return None,
    };
    memmem::find(&raw.body, member.as_bytes())?;
    let of_root = members(&raw.body, &(0..raw.body.len()));
    let place = of_root.into_iter().find(|it| it.key == member)?;
    let place = match inner {
        None => place,
        Some(inner) => {
            members(&raw.body, &place.value_span).into_iter().find(|it| it.key == inner)?
        }
    };
    Effort::parse(&place.string()?)
}

/// Whether the body has a member that rules are about; most have none, and are not scanned.
fn may_matter(raw: &RawRequest, rules: &ModelRules) -> bool {
    let names: &[&str] = match raw.dialect {
        Dialect::Messages => &["thinking", "output_config", "tool_choice"],
        Dialect::Chat => &["reasoning_effort"],
        Dialect::Responses => &["reasoning"],
        Dialect::Gemini | Dialect::Ollama => &[],
    };
    names.iter().any(|name| memmem::find(&raw.body, name.as_bytes()).is_some())
        || (rules.refuses_prefill && raw.dialect == Dialect::Messages && may_prefill(&raw.body))
}

/// Whether the last role that the body names is the model's.
fn may_prefill(body: &[u8]) -> bool {
    let last = memmem::rfind(body, b"\"role\"").and_then(|at| body.get(at + 6..));
    let rest = last.map(<[u8]>::trim_ascii_start).and_then(|it| it.strip_prefix(b":"));
    rest.is_some_and(|it| it.trim_ascii_start().starts_with(b"\"assistant\""))
}

/// The edits of one body.
struct OriginalEdits<'a> {
    body: &'a [u8],
    rules: &'a ModelRules,
    members: Vec<JsonMember<'a>>,
    edits: Vec<(Range<usize>, Bytes)>,
    dropped: &'a mut DroppedParams,
}

impl<'a> OriginalEdits<'a> {
    fn member(&self, name: &str) -> Option<&JsonMember<'a>> {
        self.members.iter().find(|it| it.key == name)
    }

    /// The members of the object that is the value of the member called `name`.
    fn inner(&self, name: &str) -> Vec<JsonMember<'a>> {
        let span = self.member(name).map(|it| it.value_span.clone());
        span.map(|span| members(self.body, &span)).unwrap_or_default()
    }

    fn word(&self, member: &str, name: &str) -> Option<String> {
        let inner = self.inner(member);
        inner.iter().find(|it| it.key == name)?.string().map(std::borrow::Cow::into_owned)
    }

    /// Replaces the value of a member, whatever was to take its place before.
    fn replace(&mut self, name: &'static str, value: impl Into<Bytes>) {
        if let Some(span) = self.member(name).map(|it| it.value_span.clone()) {
            self.edits.retain(|(place, _)| *place != span);
            self.edits.push((span, value.into()));
            self.dropped.insert(name);
        }
    }

    /// A budget where the model decides by itself, and the wish not to reason where it always does.
    fn thinking(&mut self) {
        let ReasoningControl::Adaptive { off, budget } = self.rules.reasoning else { return };
        let is_refused = match self.word("thinking", "type").as_deref() {
            Some("enabled") => !budget,
            Some("disabled") => off == ReasoningOff::Never,
            _ => false,
        };
        if is_refused {
            self.replace("thinking", &br#"{"type":"adaptive"}"#[..]);
        }
    }

    /// A forced tool, where the model refuses to be forced, or refuses to think then.
    fn tool_choice(&mut self) {
        let kind = self.word("tool_choice", "type");
        if !matches!(kind.as_deref(), Some("any" | "tool")) {
            return;
        }
        match self.rules.forced_tools {
            ForcedTools::Unknown | ForcedTools::Always => {}
            ForcedTools::Never => {
                let inner = self.inner("tool_choice");
                let parallel = inner.iter().find(|it| it.key == "disable_parallel_tool_use");
                let rest = parallel.map_or_else(String::new, |it| {
                    format!(r#","disable_parallel_tool_use":{}"#, it.value())
                });
                self.replace("tool_choice", format!(r#"{{"type":"auto"{rest}}}"#));
            }
            ForcedTools::UnlessReasoning => {
                let thinking = self.word("thinking", "type");
                if matches!(thinking.as_deref(), Some("enabled" | "adaptive")) {
                    self.replace("thinking", &br#"{"type":"disabled"}"#[..]);
                }
            }
        }
    }

    /// An effort that the model does not take: the nearest one.
    fn effort(&mut self, member: &str, inner: Option<&str>, reported: &'static str) {
        let place = match inner {
            None => self.member(member).cloned(),
            Some(name) => self.inner(member).into_iter().find(|it| it.key == name),
        };
        let Some(place) = place else { return };
        let Some(asked) = place.string().and_then(|word| Effort::parse(&word)) else { return };
        let taken = if member == "reasoning" {
            self.rules.efforts.with(self.rules.efforts_of_responses)
        } else {
            self.rules.efforts
        };
        let nearest = taken.nearest(asked);
        if nearest != asked {
            self.edits.push((place.value_span, literal(nearest.as_str())));
            self.dropped.insert(reported);
        }
    }

    /// Words put into the model's mouth, where it refuses them.
    fn prefill(&mut self) {
        let Some(messages) = self.member("messages").filter(|_| self.rules.refuses_prefill) else {
            return;
        };
        let end = messages.value_span.end;
        if may_prefill(self.body) && ends_with_text_of_the_model(messages.value()) {
            // Before the bracket that closes the list.
            self.edits.push((end - 1..end - 1, Bytes::from_static(CONTINUE)));
            self.dropped.insert("prefill");
        }
    }
}

/// Whether the last message is the model's, and calls no tool.
fn ends_with_text_of_the_model(messages: &str) -> bool {
    let last = json::JsonCursor::parse(messages, |cursor| {
        let mut last = None;
        cursor.array(|cursor| cursor.skip_value().map(|text| last = Some(text)))?;
        last
    });
    let Some(last) = last else { return false };
    let is_models = members(last.as_bytes(), &(0..last.len()))
        .iter()
        .any(|it| it.key == "role" && it.string().as_deref() == Some("assistant"));
    is_models && !last.contains("\"tool_use\"")
}

/// The members of the object that stands at `at`, with their places in `body`.
fn members<'a>(body: &'a [u8], at: &Range<usize>) -> Vec<JsonMember<'a>> {
    let mut members = Vec::new();
    let object = body.get(at.clone()).unwrap_or_default();
    let _ = json::members(object, &ANY_DEPTH, |member| members.push(member));
    for member in &mut members {
        for span in [&mut member.key_span, &mut member.value_span] {
            *span = span.start + at.start..span.end + at.start;
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ChatRequest, EffortSet};

    /// Claude from 5.5 on.
    const NEWEST: ModelRules = ModelRules {
        reasoning: ReasoningControl::Adaptive { off: ReasoningOff::Never, budget: false },
        efforts: EffortSet::range(Effort::Low, Effort::XHigh),
        forced_tools: ForcedTools::Never,
        refuses_prefill: true,
        ..UNKNOWN
    };

    const UNKNOWN: ModelRules = ModelRules::UNKNOWN;

    /// What becomes of `members` of a request, and after a space what is reported.
    fn edited(dialect: Dialect, rules: &ModelRules, members: &str) -> String {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let envelope = envelope::read(body.as_bytes(), &ANY_DEPTH).unwrap();
        let raw = RawRequest::new(dialect, body.into(), envelope, |_| Ok(ChatRequest::default()));
        let mut dropped = DroppedParams::default();
        let edited = conform_original(&raw, rules, &mut dropped);
        let Some(edited) = edited else { return "as it is".to_owned() };
        let text = std::str::from_utf8(&edited.body).unwrap();
        let text = text.strip_prefix(r#"{"model":"m","#).and_then(|it| it.strip_suffix('}'));
        let reported = dropped.iter().collect::<Vec<_>>().join(",");
        format!("{} {reported}", text.unwrap())
    }

    #[track_caller]
    fn check(members: &str, expected: &str) {
        assert_eq!(edited(Dialect::Messages, &NEWEST, members), expected);
        assert_eq!(edited(Dialect::Messages, &UNKNOWN, members), "as it is");
    }

    #[test]
    fn refused_reasoning_is_edited_in_place() {
        check(
            r#""thinking": {"type":"enabled","budget_tokens":9000} ,"x":1.0"#,
            r#""thinking": {"type":"adaptive"} ,"x":1.0 thinking"#,
        );
        check(r#""thinking":{"type":"disabled"}"#, r#""thinking":{"type":"adaptive"} thinking"#);
        check(r#""thinking":{"type":"adaptive"}"#, "as it is");
        check(
            r#""output_config":{"format":{"a":1},"effort":"max"}"#,
            r#""output_config":{"format":{"a":1},"effort":"xhigh"} effort"#,
        );
        check(r#""output_config":{"effort":"ultra"}"#, "as it is");
    }

    #[test]
    fn refused_tool_choice_is_only_offered() {
        check(
            r#""tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}"#,
            r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true} tool_choice"#,
        );
        check(r#""tool_choice":{"type":"none"}"#, "as it is");
        let rules = ModelRules { forced_tools: ForcedTools::UnlessReasoning, ..UNKNOWN };
        let members = r#""thinking":{"type":"adaptive"},"tool_choice":{"type":"any"}"#;
        let expected = r#""thinking":{"type":"disabled"},"tool_choice":{"type":"any"} thinking"#;
        assert_eq!(edited(Dialect::Messages, &rules, members), expected);
    }

    #[test]
    fn prefill_is_continued_by_a_turn_of_the_user() {
        let turns =
            r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"{"}"#;
        let members = format!("{turns}]");
        let edited = edited(Dialect::Messages, &NEWEST, &members);
        let expected = format!("{turns}{}] prefill", std::str::from_utf8(CONTINUE).unwrap());
        assert_eq!(edited, expected);
        check(
            r#""messages":[{"role":"assistant","content":"a"},{"role":"user","content":"b"}]"#,
            "as it is",
        );
        check(
            r#""messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a"}]}]"#,
            "as it is",
        );
        check(
            r#""messages":[{"role":"user","content":[{"type":"text","text":"\"role\":\"assistant\""}]}]"#,
            "as it is",
        );
    }

    #[test]
    fn effort_of_every_dialect_moves_to_the_nearest() {
        let rules = ModelRules {
            efforts: EffortSet::range(Effort::Low, Effort::XHigh),
            efforts_of_responses: EffortSet::of(&[Effort::Max]),
            ..UNKNOWN
        };
        for (dialect, members, expected) in [
            (
                Dialect::Chat,
                r#""reasoning_effort":"minimal""#,
                r#""reasoning_effort":"low" reasoning_effort"#,
            ),
            (Dialect::Chat, r#""reasoning_effort":"high""#, "as it is"),
            (
                Dialect::Responses,
                r#""reasoning":{"effort":"minimal","summary":"auto"}"#,
                r#""reasoning":{"effort":"low","summary":"auto"} reasoning.effort"#,
            ),
            (Dialect::Responses, r#""reasoning":{"effort":"max"}"#, "as it is"),
        ] {
            assert_eq!(edited(dialect, &rules, members), expected);
        }
    }
}
