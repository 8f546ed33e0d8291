//! Requests in the caller's own bytes: what must be different is edited in place.
//!
//! Everything else stays as the caller wrote it, to the byte.

use super::quirks::{ChatFeature, Quirks, ReasoningHistory, ReasoningParameter};
use crate::json::lazy_object::LazyObject;
use crate::{
    json::{self, JsonLimits, JsonMember},
    splice::{literal, splice},
};
use bytes::Bytes;
use gateway_core::{DroppedParams, Envelope, RawRequest, Target};
use memchr::memmem::{self, Finder};
use serde_json::value::RawValue;
use std::{ops::Range, sync::LazyLock};

static DEVELOPER: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"developer\""));

static TOOL_CALLS: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"tool_calls\""));

type ByteEdits = Vec<(Range<usize>, Bytes)>;

/// The body to send to `target`, in pieces. What is lost of it is noted in `dropped`.
pub(crate) fn edit_request(
    quirks: &Quirks,
    original: &RawRequest,
    target: &Target,
    dropped: &mut DroppedParams,
) -> Vec<Bytes> {
    let RawRequest { body, envelope, .. } = original;
    let model = &*target.model;
    let mut edits = Vec::new();
    let mut lacks_usage = false;
    if envelope.stream && !envelope.stream_usage && quirks.knows(ChatFeature::StreamOptions) {
        match &envelope.stream_options {
            Some(at) => edits.extend(request_usage(body, at)),
            None => lacks_usage = true,
        }
    }
    if lacks_usage || !names_model(original, model) {
        let mut name = Vec::with_capacity(64);
        json::write_string(&mut name, model);
        if lacks_usage {
            name.extend_from_slice(br#","stream_options":{"include_usage":true}"#);
        }
        edits.push((envelope.model_span.clone(), name.into()));
    }
    if envelope.stream_options.is_some() && !quirks.knows(ChatFeature::StreamOptions) {
        cut(body, &["stream_options", "session_id"], &mut edits);
    } else {
        edits.extend(envelope.session.iter().map(|(_, at)| (at.clone(), Bytes::new())));
    }
    rename(quirks, original, target, &mut edits);
    switch_reasoning_off(quirks, original, &mut edits);
    simplify_format(quirks, original, &mut edits, dropped);
    if !quirks.knows(ChatFeature::Developer) && DEVELOPER.find(body).is_some() {
        each_message(body, envelope, |message| replace_developer_role(body, message, &mut edits));
    }
    if quirks.history == ReasoningHistory::Required && TOOL_CALLS.find(body).is_some() {
        each_message(body, envelope, |message| insert_reasoning(body, message, &mut edits));
    }
    splice(body, edits)
}

/// Whether the caller wrote the name of the model as the upstream knows it, without escapes.
fn names_model(original: &RawRequest, model: &str) -> bool {
    let written = original.body.get(original.envelope.model_span.clone()).unwrap_or_default();
    let inner = written.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inner == Some(model.as_bytes()) && !model.contains(['"', '\\'])
}

/// The members of the object that stands at `at`, with their places in `body`.
fn members<'a>(body: &'a [u8], at: &Range<usize>) -> Vec<JsonMember<'a>> {
    let mut members = Vec::new();
    let object = body.get(at.clone()).unwrap_or_default();
    // It was sound when the request came in.
    let _ = json::members(object, &JsonLimits { depth: usize::MAX }, |member| members.push(member));
    for member in &mut members {
        for span in [&mut member.key_span, &mut member.value_span] {
            *span = span.start + at.start..span.end + at.start;
        }
    }
    members
}

/// Adds the wish for token counts to the `stream_options` that stand at `at`.
fn request_usage(body: &[u8], at: &Range<usize>) -> Option<(Range<usize>, Bytes)> {
    let options = body.get(at.clone())?;
    if !options.starts_with(b"{") {
        return Some((at.clone(), Bytes::from_static(br#"{"include_usage":true}"#)));
    }
    let members = members(body, at);
    if let Some(member) = members.iter().find(|member| member.key == "include_usage") {
        return Some((member.value_span.clone(), Bytes::from_static(b"true")));
    }
    let inside = at.start + 1..at.start + 1;
    Some((
        inside,
        Bytes::from_static(if members.is_empty() {
            br#""include_usage":true"#
        } else {
            br#""include_usage":true,"#
        }),
    ))
}

/// Cuts the members called `names` out, and the commas that go with them.
fn cut(body: &[u8], names: &[&str], edits: &mut ByteEdits) {
    let mut start = None;
    let mut end_of_last = None;
    for member in members(body, &(0..body.len())) {
        if names.contains(&&*member.key) {
            let start = *start.get_or_insert(end_of_last.unwrap_or(member.key_span.start));
            if end_of_last.is_some() {
                edits.push((start..member.value_span.end, Bytes::new()));
            }
        } else {
            // Those before the first that stays go up to it.
            if let (Some(start), None) = (start, end_of_last) {
                edits.push((start..member.key_span.start, Bytes::new()));
            }
            start = None;
            end_of_last = Some(member.value_span.end);
        }
    }
}

/// Calls members by the upstream's names for them.
fn rename(quirks: &Quirks, original: &RawRequest, target: &Target, edits: &mut ByteEdits) {
    let refuses_older = original.envelope.max_output.is_some()
        && target.card.as_ref().is_some_and(|card| card.rules.bounds_completion);
    let older = if refuses_older { quirks.max_tokens } else { "max_tokens" };
    let names = [
        ("max_completion_tokens", quirks.max_tokens),
        ("max_tokens", older),
        ("seed", quirks.seed),
    ];
    for (ours, theirs) in names {
        if ours == theirs || !original.may_have(ours) {
            continue;
        }
        let members = members(&original.body, &(0..original.body.len()));
        if members.iter().any(|member| member.key == theirs) {
            continue;
        }
        let ours = members.into_iter().find(|member| member.key == ours);
        edits.extend(ours.map(|member| (member.key_span, literal(theirs))));
    }
}

/// The member called `name`, if the body has it.
fn member<'a>(original: &'a RawRequest, name: &str) -> Option<JsonMember<'a>> {
    if !original.may_have(name) {
        return None;
    }
    let body = &original.body;
    members(body, &(0..body.len())).into_iter().find(|member| member.key == name)
}

/// The wish not to reason, where a switch says it and not an effort.
fn switch_reasoning_off(quirks: &Quirks, original: &RawRequest, edits: &mut ByteEdits) {
    if quirks.thinking != ReasoningParameter::Switch {
        return;
    }
    let effort = member(original, "reasoning_effort");
    let is_off = |it: &JsonMember<'_>| it.string().as_deref() == Some("none");
    if let Some(effort) = effort.filter(is_off)
        && member(original, "thinking").is_none()
    {
        let span = effort.key_span.start..effort.value_span.end;
        edits.push((span, Bytes::from_static(br#""thinking":{"type":"disabled"}"#)));
    }
}

/// A format that holds to a schema, where the upstream has only one that holds to JSON; it wants the
/// messages to mention that.
fn simplify_format(
    quirks: &Quirks,
    original: &RawRequest,
    edits: &mut ByteEdits,
    dropped: &mut DroppedParams,
) {
    if quirks.knows(ChatFeature::JsonSchema) {
        return;
    }
    let Some(format) = member(original, "response_format") else { return };
    if !format.value().contains("\"json_schema\"") {
        return;
    }
    let messages = original.envelope.messages.clone().and_then(|at| original.body.get(at));
    let mentions =
        messages.is_some_and(|it| memmem::find(&it.to_ascii_lowercase(), b"json").is_some());
    let simpler: &[u8] =
        if mentions { br#"{"type":"json_object"}"# } else { br#"{"type":"text"}"# };
    edits.push((format.value_span, Bytes::from_static(simpler)));
    dropped.insert("response_format.json_schema");
}

fn each_message<'a>(body: &'a [u8], envelope: &Envelope, mut see: impl FnMut(&LazyObject<'a>)) {
    let messages = envelope.messages.clone().and_then(|at| body.get(at));
    let messages: Option<Vec<&RawValue>> =
        messages.and_then(|messages| serde_json::from_slice(messages).ok());
    for raw in messages.into_iter().flatten() {
        if let Ok(message) = serde_json::from_str(raw.get()) {
            see(&message);
        }
    }
}

/// The byte range of `part`, a slice borrowed from `body`.
fn place(body: &[u8], part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(body.as_ptr().addr());
    start..start.saturating_add(part.len())
}

/// Replaces the role `developer` with `system`.
fn replace_developer_role(body: &[u8], message: &LazyObject<'_>, edits: &mut ByteEdits) {
    if message.is("role", "developer")
        && let Some(role) = message.get("role")
    {
        edits.push((place(body, role.get()), Bytes::from_static(b"\"system\"")));
    }
}

/// A turn that called tools gets its `reasoning_content` back, be it empty.
fn insert_reasoning(body: &[u8], message: &LazyObject<'_>, edits: &mut ByteEdits) {
    let called = message.get("tool_calls").is_some_and(|calls| calls.get() != "[]");
    if !message.is("role", "assistant") || !called || message.get("reasoning_content").is_some() {
        return;
    }
    let thought = message.get("reasoning").map(RawValue::get);
    let thought = thought.filter(|raw| raw.starts_with('"')).unwrap_or("\"\"");
    if let Some((_, null)) = message.0.iter().find(|(key, _)| key == "reasoning_content") {
        edits.push((place(body, null.get()), Bytes::copy_from_slice(thought.as_bytes())));
    } else if let Some((_, calls)) = message.0.iter().find(|(key, _)| key == "tool_calls") {
        // The calls are an array, so what follows them ends them.
        let end = place(body, calls.get()).end;
        let member = [",\"reasoning_content\":", thought].concat();
        edits.push((end..end, member.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope;
    use gateway_core::{Dialect, ModelCard, ModelRules};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn original(body: &str) -> RawRequest {
        let envelope = envelope::read(body.as_bytes(), &JsonLimits::default()).unwrap();
        RawRequest::new(
            Dialect::Chat,
            Bytes::copy_from_slice(body.as_bytes()),
            envelope,
            super::super::decode_request::decode,
        )
    }

    fn sent(quirks: &Quirks, body: &str) -> String {
        let target = Target { model: "new".into(), card: None };
        let mut dropped = DroppedParams::default();
        let body = edit_request(quirks, &original(body), &target, &mut dropped);
        String::from_utf8(body.concat()).unwrap()
    }

    #[track_caller]
    fn check(quirks: &Quirks, body: &str, expected: &str) {
        assert_eq!(sent(quirks, body), expected);
        serde_json::from_str::<serde::de::IgnoredAny>(expected).unwrap();
    }

    const OPENAI: &Quirks = &Quirks::OPENAI;

    #[test]
    fn bound_has_the_name_that_the_model_takes() {
        let rules = ModelRules { bounds_completion: true, ..ModelRules::default() };
        let card = Arc::new(ModelCard { rules, ..ModelCard::new("new", "openai") });
        let target = Target { model: "new".into(), card: Some(card) };
        let sent = |body: &str| {
            let mut dropped = DroppedParams::default();
            let edited = edit_request(OPENAI, &original(body), &target, &mut dropped);
            String::from_utf8(edited.concat()).unwrap()
        };
        assert_eq!(
            sent(r#"{"model":"new","max_tokens":5}"#),
            r#"{"model":"new","max_completion_tokens":5}"#
        );
        for other in [
            r#"{"model":"new","max_completion_tokens":5}"#,
            r#"{"model":"new","max_completion_tokens":5,"max_tokens":4}"#,
        ] {
            assert_eq!(sent(other), other);
        }
    }

    #[test]
    fn only_model_name_changes() {
        check(
            OPENAI,
            r#" { "x" : 1.0 , "model" : "old", "y":[ ] }"#,
            r#" { "x" : 1.0 , "model" : "new", "y":[ ] }"#,
        );
        check(OPENAI, r#"{"model":"new"}"#, r#"{"model":"new"}"#);
    }

    #[test]
    fn session_member_is_removed() {
        check(OPENAI, r#"{"model":"a","session_id":"s","n":1}"#, r#"{"model":"new","n":1}"#);
    }

    #[test]
    fn stream_usage_is_requested() {
        check(
            OPENAI,
            r#"{"model":"a","stream":true}"#,
            r#"{"model":"new","stream_options":{"include_usage":true},"stream":true}"#,
        );
        check(
            OPENAI,
            r#"{"model":"a","stream":true,"stream_options":{"include_usage":false,"x":1}}"#,
            r#"{"model":"new","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
        );
        check(
            OPENAI,
            r#"{"stream_options":{"x":1},"model":"a","stream":true}"#,
            r#"{"stream_options":{"include_usage":true,"x":1},"model":"new","stream":true}"#,
        );
        check(
            OPENAI,
            r#"{"stream_options":{},"model":"a","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"new","stream":true}"#,
        );
        check(
            OPENAI,
            r#"{"stream_options":null,"model":"a","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"new","stream":true}"#,
        );
    }

    #[test]
    fn parameter_is_renamed_for_upstream() {
        check(
            &Quirks::DEEPSEEK,
            r#"{"model":"a","max_completion_tokens":5}"#,
            r#"{"model":"new","max_tokens":5}"#,
        );
        check(
            &Quirks::MISTRAL,
            r#"{"seed":7,"model":"a","metadata":{"seed":1}}"#,
            r#"{"random_seed":7,"model":"new","metadata":{"seed":1}}"#,
        );
        check(
            &Quirks::DEEPSEEK,
            r#"{"model":"a","max_completion_tokens":5,"max_tokens":4}"#,
            r#"{"model":"new","max_completion_tokens":5,"max_tokens":4}"#,
        );
    }

    #[test]
    fn developer_role_becomes_system() {
        let body = r#"{"messages":[{"content":"developer","role":"developer"}, {"role": "user","content":"\"developer\""}],"model":"a"}"#;
        let expected = r#"{"messages":[{"content":"developer","role":"system"}, {"role": "user","content":"\"developer\""}],"model":"new"}"#;
        check(&Quirks::COMPATIBLE, body, expected);
        check(OPENAI, body, &body.replace("\"a\"", "\"new\""));
    }

    #[test]
    fn reasoning_is_returned_where_required() {
        let deepseek = &Quirks::DEEPSEEK;
        check(
            deepseek,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"x"}] },{"role":"user","content":"tool_calls"}],"model":"a"}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"x"}],"reasoning_content":"" },{"role":"user","content":"tool_calls"}],"model":"new"}"#,
        );
        check(
            deepseek,
            r#"{"messages":[{"reasoning":"r\u0041","role":"assistant","tool_calls":[1]}],"model":"a"}"#,
            r#"{"messages":[{"reasoning":"r\u0041","role":"assistant","tool_calls":[1],"reasoning_content":"r\u0041"}],"model":"new"}"#,
        );
        check(
            deepseek,
            r#"{"messages":[{"reasoning_content":null,"role":"assistant","tool_calls":[1]}],"model":"a"}"#,
            r#"{"messages":[{"reasoning_content":"","role":"assistant","tool_calls":[1]}],"model":"new"}"#,
        );
        let kept = r#"{"messages":[{"reasoning_content":"r","role":"assistant","tool_calls":[1]}],"model":"a"}"#;
        check(deepseek, kept, &kept.replace("\"a\"", "\"new\""));
    }

    /// Any JSON value, written in any way.
    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?",
            "\"([a-z é☃]|\\\\u[0-9a-c][0-9a-f]{3}|\\\\[\"\\\\/bfnrt]){0,8}\"",
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..4), "[ \n\t]{0,2}").prop_map(
                    |(items, blank)| format!("[{blank}{}]", items.join(&format!("{blank},")))
                ),
                (prop::collection::vec(inner, 0..4), "[ \n\t]{0,2}").prop_map(|(items, blank)| {
                    let member =
                        |(at, item): (usize, &String)| format!("{blank}\"k{at}\"{blank}:{item}");
                    let members: Vec<_> = items.iter().enumerate().map(member).collect();
                    format!("{{{}{blank}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn other_members_are_unchanged(
            before in prop::collection::vec(value(), 0..4),
            after in prop::collection::vec(value(), 0..4),
            blank in "[ \n\t]{0,2}",
            stream in any::<bool>(),
        ) {
            let member = |prefix: &str, (at, value): (usize, &String)| format!("\"{prefix}{at}\":{blank}{value}{blank},");
            let before: String = before.iter().enumerate().map(|it| member("x", it)).collect();
            let after: String = after.iter().enumerate().map(|it| member("y", it)).collect();
            let body = |model: &str, options: &str| {
                format!("{{{blank}{before}\"model\"{blank}:{model}{options},{after}\"stream\":{stream}{blank}}}")
            };
            let options = if stream { r#","stream_options":{"include_usage":true}"# } else { "" };
            let expected = body("\"new\"", options);
            prop_assert_eq!(sent(OPENAI, &body(r#""o\u006cd""#, "")), expected);
        }
    }
}
