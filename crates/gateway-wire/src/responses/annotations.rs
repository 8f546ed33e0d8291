//! Annotations and log probabilities: as Responses writes them, and as Chat does.

use crate::json::lazy_object::LazyObject;
use gateway_core::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Number, value::RawValue};

/// The annotation that Chat writes nested.
const CITATION: &str = "url_citation";

/// An annotation in Chat's form.
pub(super) fn to_chat(annotation: &RawValue) -> Json {
    #[derive(Serialize)]
    struct NestedCitationOutWire<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        url_citation: LazyObject<'a>,
    }
    let Ok(mut members) = serde_json::from_str::<LazyObject<'_>>(annotation.get()) else {
        return annotation.into();
    };
    if members.text("type").as_deref() != Some(CITATION) || members.get(CITATION).is_some() {
        return annotation.into();
    }
    members.remove("type");
    Json::of(&NestedCitationOutWire { kind: CITATION, url_citation: members })
}

/// An annotation in the form of Responses, from Chat's.
pub(super) fn from_chat(annotation: &Json) -> Json {
    #[derive(Deserialize)]
    struct NestedCitationInWire {
        url_citation: UrlCitationInWire,
    }
    #[derive(Deserialize)]
    struct UrlCitationInWire {
        #[serde(default)]
        start_index: u64,
        #[serde(default)]
        end_index: u64,
        #[serde(default)]
        url: String,
        title: Option<String>,
    }
    #[derive(Serialize)]
    struct FlatCitationWire {
        #[serde(rename = "type")]
        kind: &'static str,
        start_index: u64,
        end_index: u64,
        url: String,
        title: String,
    }
    let Ok(NestedCitationInWire { url_citation }) = annotation.read() else {
        return annotation.clone();
    };
    let UrlCitationInWire { start_index, end_index, url, title } = url_citation;
    let title = title.unwrap_or_default();
    Json::of(&FlatCitationWire { kind: CITATION, start_index, end_index, url, title })
}

/// The log probability of a token.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct ResponsesLogprob {
    token: String,
    logprob: Number,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<Self>>,
}

/// Log probabilities as Chat writes them.
#[derive(Deserialize, Serialize)]
struct ChatLogprobListWire<T> {
    content: Option<Vec<T>>,
    refusal: Option<Vec<T>>,
}

/// Log probabilities in Chat's form; none if there are none.
pub(super) fn logprobs_to_chat(logprobs: Option<Vec<&RawValue>>) -> Option<Json> {
    let content = logprobs.filter(|list| !list.is_empty());
    content.map(|list| Json::of(&ChatLogprobListWire { content: Some(list), refusal: None }))
}

/// Log probabilities in the form of Responses, from Chat's.
pub(super) fn logprobs_from_chat(logprobs: &Json) -> Vec<ResponsesLogprob> {
    let nested = logprobs.read::<ChatLogprobListWire<ResponsesLogprob>>();
    let list = nested.map(|it| it.content.or(it.refusal).unwrap_or_default());
    let list = list.or_else(|_| logprobs.read::<Vec<ResponsesLogprob>>()).unwrap_or_default();
    list.into_iter().map(|it| it.complete(true)).collect()
}

impl ResponsesLogprob {
    /// With every member that Responses demands.
    fn complete(mut self, top: bool) -> Self {
        self.bytes.get_or_insert_with(|| self.token.clone().into_bytes());
        let alternatives = self.top_logprobs.unwrap_or_default();
        self.top_logprobs =
            top.then(|| alternatives.into_iter().map(|it| it.complete(false)).collect());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[track_caller]
    fn check(responses: &str, chat: &str) {
        let raw: Box<RawValue> = RawValue::from_string(responses.to_owned()).unwrap();
        assert_eq!(to_chat(&raw), json(chat), "to chat");
        assert_eq!(from_chat(&json(chat)), json(responses), "from chat");
    }

    #[test]
    fn citation_is_nested_in_chat_and_flat_in_responses() {
        check(
            r#"{"type":"url_citation","start_index":1,"end_index":2,"url":"https://a.example","title":"A"}"#,
            r#"{"type":"url_citation","url_citation":{"start_index":1,"end_index":2,"url":"https://a.example","title":"A"}}"#,
        );
    }

    #[test]
    fn other_annotations_are_unchanged() {
        let file = r#"{"type":"file_citation","index":3,"file_id":"file-1","filename":"a"}"#;
        check(file, file);
        check("3", "3");
    }

    #[test]
    fn missing_members_get_defaults() {
        let bare = json(r#"{"type":"url_citation","url_citation":{"url":"u"}}"#);
        let full = r#"{"type":"url_citation","start_index":0,"end_index":0,"url":"u","title":""}"#;
        assert_eq!(from_chat(&bare), json(full));
        let token = r#"{"token":"é","logprob":-0.5,"top_logprobs":[{"token":"e","logprob":-1}]}"#;
        let full = r#"[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"e","logprob":-1,"bytes":[101]}]}]"#;
        for chat in [format!(r#"{{"content":[{token}],"refusal":null}}"#), format!("[{token}]")] {
            assert_eq!(Json::of(&logprobs_from_chat(&json(&chat))), json(full));
        }
        assert_eq!(logprobs_from_chat(&json("null")), []);
    }
}
