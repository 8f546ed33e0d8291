//! Mends what an answer tells besides words: its class of service, its likelihoods.

use super::{
    encode_response_parts,
    tree::{Members, Node},
};
use std::borrow::Cow;

/// Says the class of service in a word that callers know; what has no such word is not said.
pub(super) fn service_tier(answer: &mut Members<'_>) {
    let Some(word) = answer.get("service_tier").and_then(Node::text) else { return };
    match encode_response_parts::tier(&word) {
        Some(known) if known == word => {}
        Some(known) => answer.set("service_tier", Node::Text(Cow::Borrowed(known))),
        None => answer.set("service_tier", Node::Null),
    }
}

/// Gives the likelihoods of a choice the lists that they must have.
pub(super) fn logprobs(choice: &mut Members<'_>) {
    if let Some(logprobs) = choice.get_mut("logprobs").and_then(Node::object) {
        logprobs.fill("content", Node::Null);
        logprobs.fill("refusal", Node::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mend: fn(&mut Members<'_>), json: &str, expected: &str) {
        let mut node = Node::Raw(serde_json::from_str(json).unwrap());
        let members = node.object().unwrap();
        mend(members);
        assert_eq!(members.to_json(), expected);
    }

    #[test]
    fn a_class_of_service_has_a_word_that_callers_know() {
        check(service_tier, r#"{"service_tier":"flex"}"#, r#"{"service_tier":"flex"}"#);
        check(service_tier, r#"{"service_tier":"on_demand"}"#, r#"{"service_tier":"default"}"#);
        check(service_tier, r#"{"service_tier":"standard"}"#, r#"{"service_tier":"default"}"#);
        check(service_tier, r#"{"service_tier":"provisioned"}"#, r#"{"service_tier":null}"#);
        check(service_tier, r#"{"service_tier":null}"#, r#"{"service_tier":null}"#);
        check(service_tier, "{}", "{}");
    }

    #[test]
    fn likelihoods_have_both_lists() {
        check(
            logprobs,
            r#"{"logprobs":{"content":[{"logprob":-1e-5}]}}"#,
            r#"{"logprobs":{"content":[{"logprob":-1e-5}],"refusal":null}}"#,
        );
        check(
            logprobs,
            r#"{"logprobs":{"reasoning_content":[]}}"#,
            r#"{"logprobs":{"reasoning_content":[],"content":null,"refusal":null}}"#,
        );
        check(logprobs, r#"{"logprobs":null}"#, r#"{"logprobs":null}"#);
        check(logprobs, "{}", "{}");
    }
}
