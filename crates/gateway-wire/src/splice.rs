//! Edits of a large body that do not copy what stays.

use bytes::Bytes;
use std::ops::Range;

/// Returns the pieces of `body` with each range of `edits` replaced by its bytes.
///
/// An empty range inserts, empty bytes delete. The edits may come in any order. Where they overlap,
/// the one that starts first wins.
///
/// ```
/// use bytes::Bytes;
/// use gateway_wire::splice::{literal, splice};
///
/// let body = Bytes::from_static(br#"{"model":"fast","n":1}"#);
/// let pieces = splice(&body, vec![(9..15, literal("gpt-5-mini"))]);
/// assert_eq!(pieces.concat(), br#"{"model":"gpt-5-mini","n":1}"#);
/// ```
pub fn splice(body: &Bytes, mut edits: Vec<(Range<usize>, Bytes)>) -> Vec<Bytes> {
    edits.sort_by_key(|(range, _)| range.start);
    let mut pieces = Vec::with_capacity(2 * edits.len() + 1);
    let mut at = 0;
    for (range, replacement) in edits {
        let start = range.start.clamp(at, body.len());
        pieces.push(body.slice(at..start));
        pieces.push(replacement);
        at = range.end.clamp(start, body.len());
    }
    pieces.push(body.slice(at..));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Encodes `text` as a JSON string, quotes included.
pub fn literal(text: &str) -> Bytes {
    let mut out = Vec::new();
    crate::json::write_string(&mut out, text);
    out.into()
}

/// Inserts a string member at the front of `object`, a valid JSON object; `None` for anything that
/// has no opening brace.
///
/// ```
/// use bytes::Bytes;
/// use gateway_wire::splice::insert_member;
///
/// let object = insert_member(&Bytes::from_static(b"{}"), "model", "gpt-5").unwrap();
/// assert_eq!(object, r#"{"model":"gpt-5"}"#);
/// ```
pub fn insert_member(object: &Bytes, name: &str, text: &str) -> Option<Bytes> {
    let open = object.iter().position(|byte| *byte == b'{')? + 1;
    let rest = object.get(open..)?;
    let is_empty = rest.trim_ascii_start().starts_with(b"}");
    let mut out = object.get(..open)?.to_vec();
    out.extend_from_slice(&literal(name));
    out.push(b':');
    out.extend_from_slice(&literal(text));
    out.extend_from_slice(if is_empty { b"" } else { b"," });
    out.extend_from_slice(rest);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{envelope, json::JsonLimits};
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    #[test]
    fn member_is_inserted_first() {
        let insert = |object: &'static str| insert_member(&object.into(), "m", "a\"b").unwrap();
        assert_eq!(insert(r#" {"x":1}"#), r#" {"m":"a\"b","x":1}"#);
        assert_eq!(insert("{ }"), r#"{"m":"a\"b" }"#);
    }

    #[track_caller]
    fn check(edits: &[(Range<usize>, &str)], expected: &str) {
        let body = Bytes::from_static(b"0123456789");
        let edits =
            edits.iter().map(|(at, new)| (at.clone(), Bytes::copy_from_slice(new.as_bytes())));
        let pieces = splice(&body, edits.collect());
        let pieces: Vec<_> = pieces.iter().map(|piece| str::from_utf8(piece).unwrap()).collect();
        assert_eq!(pieces.join("|"), expected);
    }

    #[test]
    fn edits_replace_insert_and_delete() {
        check(&[], "0123456789");
        check(&[(3..5, "ab")], "012|ab|56789");
        check(&[(8..9, "z"), (0..2, "a")], "a|234567|z|9");
        check(&[(0..0, "a"), (10..10, "z")], "a|0123456789|z");
        check(&[(0..10, "")], "");
        check(&[(2..4, ""), (4..6, "")], "01|6789");
        check(&[(5..5, "a"), (5..5, "b")], "01234|a|b|56789");
    }

    #[test]
    fn invalid_edits_are_ignored() {
        check(&[(2..6, "a"), (4..8, "b")], "01|a|b|89");
        check(&[(8..99, "a"), (50..60, "b")], "01234567|a|b");
        let backwards = Range { start: 6, end: 2 };
        check(&[(backwards, "a")], "012345|a|6789");
    }

    #[test]
    fn unchanged_bytes_are_not_copied() {
        let body = Bytes::from(vec![b'x'; 1000]);
        let pieces = splice(&body, vec![(500..501, Bytes::from_static(b"y"))]);
        assert_eq!(pieces[0].as_ptr(), body.as_ptr());
        assert_eq!(pieces[2].as_ptr(), body[501..].as_ptr());
    }

    proptest! {
        #[test]
        fn byte_edit_equals_value_edit(
            before in prop::collection::hash_map("[a-c]{1,2}", any::<String>(), 0..4),
            after in prop::collection::hash_map("[d-f]{1,2}", any::<String>(), 0..4),
            names in (any::<String>(), "[^\u{0}]{1,9}", any::<String>()),
            session_first: bool,
        ) {
            let (model, old, session) = names;
            let member = |(key, value): (&str, &str)| format!("{} : {}", Value::from(key), Value::from(value));
            let mut ours = [("model", &*old), ("session_id", &*session)];
            if session_first {
                ours.reverse();
            }
            let all = before.iter().map(|(k, v)| (&**k, &**v)).chain(ours).chain(after.iter().map(|(k, v)| (&**k, &**v)));
            let body = Bytes::from(format!("{{ {} }}", all.map(member).collect::<Vec<_>>().join(" , ")));
            let envelope = envelope::read(&body, &JsonLimits::default()).unwrap();
            prop_assert_eq!(&envelope.model, &old);
            let (read, span) = envelope.session.unwrap();
            prop_assert_eq!(read, session);
            let edited = splice(&body, vec![(envelope.model_span, literal(&model)), (span, Bytes::new())]).concat();
            let mut expected: Map<String, Value> = serde_json::from_slice(&body).unwrap();
            expected.insert("model".into(), model.into());
            expected.remove("session_id");
            prop_assert_eq!(serde_json::from_slice::<Map<String, Value>>(&edited).unwrap(), expected);
        }
    }
}
