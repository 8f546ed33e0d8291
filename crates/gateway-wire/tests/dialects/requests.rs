//! A request goes from one dialect to another and back.

use gateway_core::{ChatRequest, Dialect};
use gateway_wire::{
    InboundDialect, OutboundDialect,
    chat::{ChatInbound, ChatOutbound, Quirks},
    feature_matrix::{self, FEATURES, FeatureSupport, RequestFeature, columns},
    messages::{MessagesInbound, MessagesOutbound},
    responses::{ResponsesInbound, ResponsesOutbound},
};
use proptest::{prelude::*, sample::subsequence};
use std::collections::BTreeSet;

/// The dialects that are spoken on both sides.
fn both() -> Vec<(Box<dyn OutboundDialect>, Box<dyn InboundDialect>)> {
    vec![
        (Box::new(ChatOutbound { quirks: Quirks::OPENAI }), Box::new(ChatInbound)),
        (Box::new(ResponsesOutbound), Box::new(ResponsesInbound)),
        (Box::new(MessagesOutbound), Box::new(MessagesInbound)),
    ]
}

/// Returns the features of `features` that a request has.
fn features_of(request: &ChatRequest, features: &[&RequestFeature]) -> BTreeSet<&'static str> {
    features.iter().filter(|it| (it.seen)(request)).map(|it| it.name).collect()
}

/// Encodes and decodes in a dialect: returns the result, and whether anything was dropped.
fn through(
    (upstream, caller): &(Box<dyn OutboundDialect>, Box<dyn InboundDialect>),
    request: ChatRequest,
) -> Option<(ChatRequest, BTreeSet<String>)> {
    let (body, dropped) = feature_matrix::encode(&**upstream, request).ok()?;
    let decoded = caller.decode()(&body).expect("what we write we can read");
    Some((decoded, dropped.iter().map(str::to_owned).collect()))
}

/// The parameters that the gateway adds to every reasoning request of `responses`; they were not in
/// the request, and so are not lost.
const OURS: [&str; 2] = ["include", "store"];

/// The features that are merged with others, and do not come back as the same.
const MERGED: &[(&str, Dialect)] = &[
    // A result says so itself.
    ("tool error flag", Dialect::Chat),
    ("tool error flag", Dialect::Responses),
    // Images are the user's: they follow the result.
    ("image as tool result", Dialect::Chat),
];

fn is_merged(name: &str, dialect: Dialect) -> bool {
    MERGED.contains(&(name, dialect))
}

/// Whether the features can be combined in a real request.
fn are_compatible(features: &[&RequestFeature]) -> bool {
    let count = |part: &str| features.iter().filter(|it| it.name.contains(part)).count();
    let choices = ["`tool_choice`: none", "`tool_choice`: required", "`tool_choice`: named tool"];
    let choices = features.iter().filter(|it| choices.contains(&it.name)).count();
    let formats = count("response_format");
    let calls = ["tool call and result", "tool error flag", "image as tool result"];
    let calls = features.iter().filter(|it| calls.contains(&it.name)).count();
    // Thinking forbids to sample, to be told what to call, and to go on without what was thought.
    let thinks = count("reasoning_effort");
    let bound = count("temperature") + count("top_") + choices + calls;
    // Some take one of these two, and who calls nothing does not call one by one.
    let samples = count("`temperature`") + count("`top_p`");
    let none = count("`tool_choice`: none") + count("`parallel_tool_calls`: false");
    let thinking = thinks == 0 || bound == 0;
    choices < 2 && formats < 2 && calls < 2 && samples < 2 && none < 2 && thinking
}

fn features() -> impl Strategy<Value = Vec<&'static RequestFeature>> {
    let all: Vec<&RequestFeature> = FEATURES.iter().collect();
    subsequence(all, 0..6).prop_filter("they go together", |it| are_compatible(it))
}

fn request_of(features: &[&RequestFeature]) -> ChatRequest {
    let mut request = feature_matrix::plain();
    for feature in features {
        (feature.add)(&mut request);
    }
    // Each brings the functions that it needs.
    let mut names = BTreeSet::new();
    request.tools.retain(|tool| names.insert(format!("{:?}", tool.kind)));
    request
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// From A through B and back to A, a request loses only the features that the table names for A
    /// or B; all that B drops is reported.
    #[test]
    fn translated_request_loses_only_documented_features(features in features(), from in 0..3_usize, to in 0..3_usize) {
        let dialects = both();
        let (a, b) = (&dialects[from], &dialects[to]);
        // What the caller can say in its dialect.
        let can_say = |it: &&RequestFeature| it.support(&*a.0) == FeatureSupport::Carried;
        let features: Vec<_> = features.into_iter().filter(can_say).collect();
        let Some((asked, _)) = through(a, request_of(&features)) else { return Ok(()) };
        let features: Vec<_> = features.into_iter().filter(|it| (it.seen)(&asked)).collect();
        let fates: Vec<_> = features.iter().map(|it| it.support(&*b.0)).collect();
        let (plain, _) = through(a, feature_matrix::plain()).expect("it can be said everywhere");
        let (_, always) = through(b, plain).expect("it can be said everywhere");
        let Some((sent, told)) = through(b, asked) else {
            prop_assert!(fates.contains(&FeatureSupport::Refused), "refused, though the table says otherwise");
            return Ok(());
        };
        prop_assert!(!fates.contains(&FeatureSupport::Refused), "not refused, though the table says so");
        let mut missed = told.difference(&always).filter(|name| !OURS.contains(&name.as_str()));
        prop_assert_eq!(fates.contains(&FeatureSupport::Dropped), missed.next().is_some(), "{:?}", told);
        let (back, _) = through(a, sent).expect("what was said once can be said again");
        let expected: BTreeSet<_> = features
            .iter()
            .zip(&fates)
            .filter(|(it, support)| **support == FeatureSupport::Carried && !is_merged(it.name, b.0.dialect()))
            .map(|(it, _)| it.name)
            .collect();
        let kept = features_of(&back, &features);
        prop_assert!(kept.is_superset(&expected), "lost: {:?}", expected.difference(&kept));
    }

    /// The dropped parameters of a set of features are the union of those of each.
    #[test]
    fn dropped_features_are_reported_in_every_dialect(features in features(), at in 0..6_usize) {
        let columns = columns();
        let upstream = &*columns[at].upstream;
        let fates: Vec<_> = features.iter().map(|it| it.support(upstream)).collect();
        match feature_matrix::encode(upstream, request_of(&features)) {
            Ok((body, dropped)) => {
                prop_assert!(!fates.contains(&FeatureSupport::Refused));
                prop_assert_eq!(fates.contains(&FeatureSupport::Dropped), !dropped.is_empty());
                serde_json::from_slice::<serde::de::IgnoredAny>(&body).expect("JSON");
            }
            Err(_) => prop_assert!(fates.contains(&FeatureSupport::Refused)),
        }
    }

    /// Words are what a request is about: not one of them is lost anywhere.
    #[test]
    fn translated_request_keeps_every_word(words in prop::collection::vec("[a-z]{8}", 1..6), at in 0..6_usize) {
        use gateway_core::{Message, Role};
        let mut request = feature_matrix::plain();
        let roles = [Role::User, Role::Assistant, Role::System, Role::Developer];
        for (at, word) in words.iter().enumerate() {
            request.messages.push(Message::text(roles[at % roles.len()], word.clone()));
        }
        request.messages.push(Message::text(Role::User, "the end"));
        let (body, _) = feature_matrix::encode(&*columns()[at].upstream, request).expect("it can be said");
        let body = String::from_utf8(body).expect("text");
        for word in words {
            prop_assert!(body.contains(&word), "{}", body);
        }
    }

    /// A prompt that was cached is found again: tools stand in the caller's order, their schemas to
    /// the letter, and the same request is the same bytes.
    #[test]
    fn encoded_prompt_is_stable_across_requests(names in prop::collection::btree_set("[a-z]{6}", 1..8), at in 0..6_usize) {
        use gateway_core::{Json, ToolSpec};
        let names: Vec<_> = names.into_iter().rev().collect();
        let mut request = feature_matrix::plain();
        for name in &names {
            let schema = format!(r#"{{"type":"object","required":["z{name}","a"],"properties":{{"z{name}":{{"type":"string"}},"a":{{"type":"number"}}}},"additionalProperties":false}}"#);
            request.tools.push(ToolSpec::function(name.clone(), "d", Json::parse(schema).expect("JSON")));
        }
        let columns = columns();
        let upstream = &*columns[at].upstream;
        let (body, _) = feature_matrix::encode(upstream, request.clone()).expect("it can be said");
        let (again, _) = feature_matrix::encode(upstream, request).expect("it can be said");
        prop_assert_eq!(&body, &again);
        let text = String::from_utf8(body).expect("text");
        let places: Vec<_> = names.iter().map(|it| text.find(&format!("\"{it}\""))).collect();
        prop_assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{}", text);
        for name in names {
            let (z, a) = (text.find(&format!("\"z{name}\":")), text.find(&format!("\"z{name}\",\"a\"")));
            prop_assert!(z.is_some() && a.is_some(), "{}", text);
        }
    }
}
