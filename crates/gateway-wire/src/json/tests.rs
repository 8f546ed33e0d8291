use super::*;
use proptest::{prelude::*, sample::select};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::{collections::HashSet, fmt};

const LIMITS: JsonLimits = JsonLimits { depth: 64 };

/// Checks the result for `document`: `ok`, or the error and its position.
#[track_caller]
fn check(document: impl AsRef<[u8]>, expected: &str) {
    let told = validate(document.as_ref(), &LIMITS).map_or_else(
        |error| format!("{:?} {}:{}", error.what, error.line, error.column),
        |()| "ok".into(),
    );
    assert_eq!(told, expected, "{}", String::from_utf8_lossy(document.as_ref()));
}

#[test]
fn valid_documents_are_accepted() {
    for document in [
        "{}",
        "[]",
        " { } ",
        "\t\r\n[ ]\n",
        "null",
        "true",
        "false",
        "\"\"",
        "0",
        "-0",
        "-0.0e-0",
        "1E5",
        "1e+5",
        "123456789012345678901234567890",
        "1e-400",
        "0e400",
        "1.7976931348623157e308",
        r#"{"":0}"#,
        r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}"#,
        r#"["\u0000\uD83D\uDE00\ufffe"]"#,
        "[\"\u{7f}\u{2028}é😀\"]",
        r#"[1,"a",null,true,false,{},[]]"#,
        "{\"a\" : [ 1 , 2 ] , \"b\" : 3 }",
    ] {
        check(document, "ok");
    }
}

#[test]
fn grammar_errors_are_located() {
    check("[1,]", "Invalid 1:4");
    check(r#"{"a":1,}"#, "Invalid 1:8");
    check("[1 2]", "Invalid 1:4");
    check(r#"{"a" 1}"#, "Invalid 1:6");
    check(r#"{"a":}"#, "Invalid 1:6");
    check("{1:1}", "Invalid 1:2");
    check("{,}", "Invalid 1:2");
    check("[,1]", "Invalid 1:2");
    check("[1}", "Invalid 1:3");
    check(r#"{"a":1]"#, "Invalid 1:7");
    check("[", "Invalid 1:2");
    check(r#"{"a":"#, "Invalid 1:6");
    check("{}{}", "Invalid 1:3");
    check("[] x", "Invalid 1:4");
    check("{'a':1}", "Invalid 1:2");
    check("[1] // no", "Invalid 1:5");
    check("\u{feff}{}", "Invalid 1:1");
    check("{\n \"é\": 1,\n  \"ü\": x}", "Invalid 3:8");
}

#[test]
fn literals_and_numbers_follow_rfc_8259() {
    for word in [
        "NaN",
        "Infinity",
        "-Infinity",
        "nul",
        "nulll",
        "True",
        "+1",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "1.e1",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "--1",
        "00",
    ] {
        assert_eq!(
            validate(word.as_bytes(), &LIMITS).unwrap_err().what,
            JsonErrorKind::Invalid,
            "{word}"
        );
    }
    check("[1e400]", "Invalid 1:2");
    check("[-1e309]", "Invalid 1:2");
    check(format!("[{}]", "9".repeat(310)), "Invalid 1:2");
    check(format!("[{}]", "9".repeat(308)), "ok");
}

#[test]
fn control_characters_and_lone_surrogates_are_rejected() {
    check("\"a", "Invalid 1:3");
    check("\"a\nb\"", "Invalid 1:3");
    check("\"\0\"", "Invalid 1:2");
    check(format!("\"{}\u{1f}\"", "x".repeat(100)), "Invalid 1:102");
    check(r#""\x""#, "Invalid 1:2");
    check(r#""\u12g4""#, "Invalid 1:2");
    check(r#""\u123"#, "Invalid 1:2");
    check(r#""\u+123""#, "Invalid 1:2");
    check(r#""\ud83d""#, "Invalid 1:2");
    check(r#""\ud83dx""#, "Invalid 1:2");
    check(r#""\ud83d\u0041""#, "Invalid 1:2");
    check(r#""\ud83d\ud83d""#, "Invalid 1:2");
    check(r#""\ude00""#, "Invalid 1:2");
    check("\"\\", "Invalid 1:2");
    check(b"[\"\xc3\"]", "NotUtf8 1:3");
    check(b"[\"\xed\xa0\x80\"]", "NotUtf8 1:3");
    check(b"{}\n\xff", "NotUtf8 2:1");
}

#[test]
fn duplicate_key_is_rejected_in_any_spelling() {
    check(r#"{"a":1,"a":2}"#, "DuplicateKey 1:8");
    check(r#"{"model":1,"\u006dodel":2}"#, "DuplicateKey 1:12");
    check(r#"{"\u006dodel":1,"model":2}"#, "DuplicateKey 1:17");
    check(r#"{"a":[{"b":1,"c":{"d":1,"d":1}}]}"#, "DuplicateKey 1:25");
    check(r#"{"":1,"":1}"#, "DuplicateKey 1:7");
    check(r#"{"😀":1,"\ud83d\ude00":1}"#, "DuplicateKey 1:8");
    check(r#"{"a":{"a":1},"b":{"a":1}}"#, "ok");
    check(r#"{"a":1,"A":2,"a ":3,"á":4}"#, "ok");
}

#[test]
fn large_objects_are_checked_for_duplicates() {
    let members: Vec<_> = (0..50_000).map(|n| format!("\"k{n}\":{{\"x\":0}}")).collect();
    check(format!("{{{}}}", members.join(",")), "ok");
    let twice = format!("{{{},\"k777\":0}}", members.join(","));
    let column = twice.len() - "\"k777\":0}".len() + 1;
    check(twice, &format!("DuplicateKey 1:{column}"));
}

#[test]
fn depth_is_limited_without_recursion() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    check(nested(64), "ok");
    check(nested(65), "TooDeep 1:65");
    check("{\"a\":".repeat(64) + "0" + &"}".repeat(64), "ok");
    check("{\"a\":".repeat(100_000), "TooDeep 1:321");
    let deep = move || validate(nested(1_000_000).as_bytes(), &JsonLimits { depth: usize::MAX });
    let small = std::thread::Builder::new().stack_size(64 << 10).spawn(deep).unwrap();
    assert_eq!(small.join().unwrap(), Ok(()));
}

#[test]
fn members_are_visited_in_order() {
    let body = " {\"b\\u0061\": \"x\\n\" , \"c\":{\"d\":[1]},\"e\":[ ],\n\"f\":-1.5e3,\"g\":true,\"h\":null}";
    let mut shown = Vec::new();
    members(body.as_bytes(), &LIMITS, |member| {
        assert_eq!(&body[member.value_span.clone()], member.value());
        assert_eq!(unescape(&body[member.key_span.clone()]), member.key);
        shown.push(format!("{}={:?}:{}", member.key, member.kind, member.value()));
    })
    .unwrap();
    let expected = [
        "ba=String:\"x\\n\"",
        "c=Object:{\"d\":[1]}",
        "e=Array:[ ]",
        "f=Number:-1.5e3",
        "g=Bool(true):true",
        "h=Null:null",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn document_without_object_has_no_members() {
    #[track_caller]
    fn check(document: &str, expected: JsonErrorKind) {
        assert_eq!(members(document.as_bytes(), &LIMITS, |_| ()).unwrap_err().what, expected);
    }
    check("", JsonErrorKind::Empty);
    check(" \n", JsonErrorKind::Empty);
    check("[\"m\"]", JsonErrorKind::NotAnObject);
    check("\"m\"", JsonErrorKind::NotAnObject);
    check("null", JsonErrorKind::NotAnObject);
    check("model", JsonErrorKind::Invalid);
}

/// The depth of a document according to `serde_json`; no object in it has a duplicate key.
struct Reference(usize);

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Reference, E> {
        Ok(Reference(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Reference, E> {
        Ok(Reference(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Reference, E> {
        Ok(Reference(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Reference, E> {
        Ok(Reference(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Reference, E> {
        Ok(Reference(0))
    }

    fn visit_unit<E>(self) -> Result<Reference, E> {
        Ok(Reference(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Reference, A::Error> {
        let mut depth = 0;
        while let Some(Reference(inner)) = seq.next_element()? {
            depth = depth.max(inner);
        }
        Ok(Reference(depth + 1))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reference, A::Error> {
        let (mut depth, mut keys) = (0, HashSet::new());
        while let Some((key, Reference(inner))) = map.next_entry::<String, Reference>()? {
            depth = depth.max(inner);
            if !keys.insert(key) {
                return Err(de::Error::custom("duplicate key"));
            }
        }
        Ok(Reference(depth + 1))
    }
}

/// Asserts that we and the reference are of one mind about `document`.
fn compare(document: &[u8]) {
    let reference = serde_json::from_slice::<Reference>(document);
    let expected = reference.is_ok_and(|Reference(depth)| depth <= LIMITS.depth);
    let told = validate(document, &LIMITS);
    assert_eq!(told.is_ok(), expected, "{told:?} {:?}", String::from_utf8_lossy(document));
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let object = prop::collection::hash_map(any::<String>(), inner.clone(), 0..8);
        prop_oneof![
            prop::collection::vec(inner, 0..8).prop_map(Value::from),
            object.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const TOKENS: [&str; 36] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "{",
    "}",
    "\"a\":",
    "\"b\":",
    "\"\\u0061\":",
    "\"\":",
    ",\"a\":",
    ",\"c\":",
    "\"",
    "\\",
    "\\u",
    "\\ud83d",
    "\\ude00",
    "0",
    "-1",
    "1.5",
    "e5",
    "e308",
    "1e309",
    "true",
    "null",
    "fals",
    " ",
    "\n",
    "\u{1}",
    "é",
    "\"x\"",
    "\"x\",",
    "[]",
    "{}",
];

proptest! {
    #[test]
    fn arbitrary_json_is_accepted(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        compare(text.as_bytes());
        if let Value::Object(object) = value {
            let mut seen = serde_json::Map::new();
            members(text.as_bytes(), &LIMITS, |member| {
                let value = serde_json::from_str(member.value()).unwrap();
                seen.insert(member.key.into_owned(), value);
            }).unwrap();
            let reread: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(object.len(), seen.len());
            prop_assert_eq!(reread, seen);
        }
    }

    #[test]
    fn mutated_json_is_judged_like_serde(
        value in json(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3, prop_oneof![select(&b"\"\\{}[],:0-.eEu\x00\x1f \n\xc3\xff"[..]), any::<u8>()]), 1..4),
    ) {
        let mut bytes = serde_json::to_vec(&value).unwrap();
        for (index, change, byte) in changes {
            let at = index.index(bytes.len().max(1));
            match change {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                _ if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        compare(&bytes);
    }

    #[test]
    fn random_tokens_are_judged_like_serde(tokens in prop::collection::vec(select(&TOKENS[..]), 0..14)) {
        compare(tokens.concat().as_bytes());
    }

    #[test]
    fn random_bytes_are_judged_like_serde(bytes: Vec<u8>) {
        compare(&bytes);
    }

    #[test]
    fn duplicate_key_is_found_in_object_of_any_size(
        keys in prop::collection::vec(("[a-c]{1,5}", any::<u8>()), 0..70),
        distinct: bool,
    ) {
        let mut members = Vec::new();
        for (index, (key, escaped)) in keys.iter().enumerate() {
            let spell = |(at, c): (usize, char)| match escaped >> at & 1 {
                1 => format!("\\u{:04X}", u32::from(c)),
                _ => c.to_string(),
            };
            let spelt: String = key.chars().enumerate().map(spell).collect();
            let suffix = if distinct { index.to_string() } else { String::new() };
            members.push(format!("\"{spelt}{suffix}\":[{{\"a\":0}}]"));
        }
        compare(format!("{{{}}}", members.join(",")).as_bytes());
    }
}
