//! JSON, as far as it is looked at from outside.

use bytes::Bytes;
use gateway_wire::{
    envelope,
    json::{self, JsonLimits},
    splice,
};
use serde::de::IgnoredAny;

/// A document that is valid here is valid for `serde_json`; members are at their reported
/// positions.
pub(crate) fn scan(data: &[u8]) {
    let sound = json::validate(data, &JsonLimits { depth: 64 }).is_ok();
    let known = serde_json::from_slice::<IgnoredAny>(data);
    assert!(!sound || known.is_ok(), "{known:?}");
    let mut end = 0;
    let members = json::members(data, &JsonLimits { depth: 64 }, |member| {
        assert!(end <= member.key_span.start && member.key_span.end < member.value_span.start);
        end = member.value_span.end;
        let written = data.get(member.value_span.clone()).expect("within the document");
        assert_eq!(written, member.raw);
        serde_json::from_str::<IgnoredAny>(member.value()).expect("a value by itself");
    });
    assert_eq!(members.is_ok(), sound && data.trim_ascii_start().starts_with(b"{"));
}

/// An envelope has the values of the whole document, and can be rewritten.
pub(crate) fn envelope(data: &[u8]) {
    let Ok(read) = envelope::read(data, &JsonLimits { depth: 64 }) else { return };
    let body = Bytes::copy_from_slice(data);
    let known: serde_json::Value = serde_json::from_slice(data).expect("it is sound");
    assert_eq!(known.get("model").and_then(|it| it.as_str()), Some(read.model.as_str()));
    assert_eq!(
        known.get("stream").and_then(serde_json::Value::as_bool),
        Some(read.stream)
            .filter(|it| *it || known.get("stream").is_some_and(serde_json::Value::is_boolean))
    );
    let mut edits = vec![(read.model_span.clone(), splice::literal("a\"b\\\u{1}"))];
    edits.extend(read.session.clone().map(|(_, span)| (span, Bytes::new())));
    let edited = splice::splice(&body, edits).concat();
    let again = envelope::read(&edited, &JsonLimits { depth: 64 }).expect("it is still sound");
    assert_eq!((again.model.as_str(), again.session), ("a\"b\\\u{1}", None));
    for span in [read.tools, read.messages, read.stream_options].into_iter().flatten() {
        assert!(data.get(span).is_some());
    }
}
