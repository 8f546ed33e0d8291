//! Requests in their callers' own bytes, without some of their members.

use crate::{
    envelope,
    json::{self, JsonLimits},
};
use gateway_core::RawRequest;
use memchr::memmem;
use std::ops::Range;

/// It was sound when it came in.
const ANY_DEPTH: JsonLimits = JsonLimits { depth: usize::MAX };

/// Returns the names of `names` that are members of the request and whose values `matter`.
pub fn members_among(
    raw: &RawRequest,
    names: &[&'static str],
    matters: impl Fn(&str, &str) -> bool,
) -> Vec<&'static str> {
    let names: Vec<_> = names
        .iter()
        .copied()
        .filter(|name| memmem::find(&raw.body, name.as_bytes()).is_some())
        .collect();
    if names.is_empty() {
        return names;
    }
    let mut found = Vec::new();
    let _ = json::members(&raw.body, &ANY_DEPTH, |member| {
        if let Some(name) = names.iter().find(|name| **name == member.key)
            && matters(name, member.value())
        {
            found.push(*name);
        }
    });
    found
}

/// Returns the request without the members called `names`; nothing if it has none of them.
pub fn without_members(raw: &RawRequest, names: &[&str]) -> Option<RawRequest> {
    let mut members: Vec<(bool, Range<usize>)> = Vec::new();
    json::members(&raw.body, &ANY_DEPTH, |member| {
        let is_kept = !names.contains(&&*member.key);
        members.push((is_kept, member.key_span.start..member.value_span.end));
    })
    .ok()?;
    if members.iter().all(|(is_kept, _)| *is_kept) {
        return None;
    }
    let mut body = Vec::with_capacity(raw.body.len());
    for (_, span) in members.into_iter().filter(|(is_kept, _)| *is_kept) {
        body.push(if body.is_empty() { b'{' } else { b',' });
        body.extend_from_slice(raw.body.get(span)?);
    }
    if body.is_empty() {
        body.push(b'{');
    }
    body.push(b'}');
    let envelope = envelope::read(&body, &ANY_DEPTH).ok()?;
    Some(raw.edited(body.into(), envelope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ChatRequest, Dialect};

    fn raw(body: &'static str) -> RawRequest {
        let envelope = envelope::read(body.as_bytes(), &ANY_DEPTH).unwrap();
        RawRequest::new(Dialect::Chat, body.into(), envelope, |_| Ok(ChatRequest::default()))
    }

    #[track_caller]
    fn check(body: &'static str, names: &[&str], expected: Option<&str>) {
        let edited = without_members(&raw(body), names);
        let text = edited.as_ref().map(|it| std::str::from_utf8(&it.body).unwrap());
        assert_eq!(text, expected);
        if let Some(edited) = edited {
            let model = edited.body.get(edited.envelope.model_span.clone());
            assert_eq!(model, Some(&br#""m""#[..]));
        }
    }

    #[test]
    fn members_are_removed_wherever_they_stand() {
        check(r#"{"model":"m","top_p":1}"#, &["top_p"], Some(r#"{"model":"m"}"#));
        check(r#"{"top_p":1, "model":"m"}"#, &["top_p"], Some(r#"{"model":"m"}"#));
        check(
            r#"{"a":1, "top_p": {"x":[1]} ,"model":"m"}"#,
            &["top_p"],
            Some(r#"{"a":1,"model":"m"}"#),
        );
        check(r#"{"a":1,"b":2,"model":"m"}"#, &["a", "b"], Some(r#"{"model":"m"}"#));
        check(r#"{"model":"m"}"#, &["top_p"], None);
        check(r#"{"model":"m","x":{"top_p":1}}"#, &["top_p"], None);
    }

    #[test]
    fn only_members_that_matter_are_found() {
        let raw = raw(r#"{"model":"m","temperature":1,"top_p":0.5,"x":"stop"}"#);
        let found = members_among(&raw, &["temperature", "top_p", "stop"], |_, value| value != "1");
        assert_eq!(found, ["top_p"]);
    }
}
