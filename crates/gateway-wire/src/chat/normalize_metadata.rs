//! Normalizes response metadata: the service tier and log probabilities.

use super::encode_response_parts;
use crate::json::editable_object::{EditableObject, JsonNode};
use std::borrow::Cow;

/// Says the service tier in a word that callers know; what has no such word is not said.
pub(super) fn service_tier(answer: &mut EditableObject<'_>) {
    let Some(word) = answer.get("service_tier").and_then(JsonNode::text) else { return };
    match encode_response_parts::tier(&word) {
        Some(known) if known == word => {}
        Some(known) => answer.set("service_tier", JsonNode::Text(Cow::Borrowed(known))),
        None => answer.set("service_tier", JsonNode::Null),
    }
}

/// Gives the log probabilities of a choice the lists that they must have.
pub(super) fn logprobs(choice: &mut EditableObject<'_>) {
    if let Some(logprobs) = choice.get_mut("logprobs").and_then(JsonNode::object) {
        logprobs.fill("content", JsonNode::Null);
        logprobs.fill("refusal", JsonNode::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mend: fn(&mut EditableObject<'_>), json: &str, expected: &str) {
        let mut node = JsonNode::Raw(serde_json::from_str(json).unwrap());
        let members = node.object().unwrap();
        mend(members);
        assert_eq!(members.to_json(), expected);
    }

    #[test]
    fn service_tier_maps_to_openai_words() {
        check(service_tier, r#"{"service_tier":"flex"}"#, r#"{"service_tier":"flex"}"#);
        check(service_tier, r#"{"service_tier":"on_demand"}"#, r#"{"service_tier":"default"}"#);
        check(service_tier, r#"{"service_tier":"standard"}"#, r#"{"service_tier":"default"}"#);
        check(service_tier, r#"{"service_tier":"provisioned"}"#, r#"{"service_tier":null}"#);
        check(service_tier, r#"{"service_tier":null}"#, r#"{"service_tier":null}"#);
        check(service_tier, "{}", "{}");
    }

    #[test]
    fn logprobs_have_content_and_refusal_lists() {
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
