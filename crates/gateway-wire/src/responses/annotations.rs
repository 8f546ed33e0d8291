//! Annotations and likelihoods: as Responses writes them, and as Chat does.

use crate::responses::body::Members;
use gateway_core::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Number, value::RawValue};

/// The annotation that Chat writes nested.
const CITATION: &str = "url_citation";

/// An annotation in Chat's form.
pub(super) fn to_chat(annotation: &RawValue) -> Json {
    #[derive(Serialize)]
    struct Nested<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        url_citation: Members<'a>,
    }
    let Ok(mut members) = serde_json::from_str::<Members<'_>>(annotation.get()) else {
        return annotation.into();
    };
    if members.string("type").as_deref() != Some(CITATION) || members.get(CITATION).is_some() {
        return annotation.into();
    }
    members.remove("type");
    Json::of(&Nested { kind: CITATION, url_citation: members })
}

/// An annotation in the form of Responses, from Chat's.
pub(super) fn from_chat(annotation: &Json) -> Json {
    #[derive(Deserialize)]
    struct Nested {
        url_citation: Citation,
    }
    #[derive(Deserialize)]
    struct Citation {
        #[serde(default)]
        start_index: u64,
        #[serde(default)]
        end_index: u64,
        #[serde(default)]
        url: String,
        title: Option<String>,
    }
    #[derive(Serialize)]
    struct Flat {
        #[serde(rename = "type")]
        kind: &'static str,
        start_index: u64,
        end_index: u64,
        url: String,
        title: String,
    }
    let Ok(Nested { url_citation }) = annotation.read() else { return annotation.clone() };
    let Citation { start_index, end_index, url, title } = url_citation;
    let title = title.unwrap_or_default();
    Json::of(&Flat { kind: CITATION, start_index, end_index, url, title })
}

/// The likelihood of a token.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Likelihood {
    token: String,
    logprob: Number,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<Self>>,
}

/// Likelihoods as Chat writes them.
#[derive(Deserialize, Serialize)]
struct ChatLogprobs<T> {
    content: Option<Vec<T>>,
    refusal: Option<Vec<T>>,
}

/// Likelihoods in Chat's form; none if there are none.
pub(super) fn logprobs_to_chat(logprobs: Option<Vec<&RawValue>>) -> Option<Json> {
    let content = logprobs.filter(|list| !list.is_empty());
    content.map(|list| Json::of(&ChatLogprobs { content: Some(list), refusal: None }))
}

/// Likelihoods in the form of Responses, from Chat's.
pub(super) fn logprobs_from_chat(logprobs: &Json) -> Vec<Likelihood> {
    let nested = logprobs.read::<ChatLogprobs<Likelihood>>();
    let list = nested.map(|it| it.content.or(it.refusal).unwrap_or_default());
    let list = list.or_else(|_| logprobs.read::<Vec<Likelihood>>()).unwrap_or_default();
    list.into_iter().map(|it| it.complete(true)).collect()
}

impl Likelihood {
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
    fn a_citation_is_nested_in_chat_and_flat_here() {
        check(
            r#"{"type":"url_citation","start_index":1,"end_index":2,"url":"https://a.example","title":"A"}"#,
            r#"{"type":"url_citation","url_citation":{"start_index":1,"end_index":2,"url":"https://a.example","title":"A"}}"#,
        );
    }

    #[test]
    fn other_annotations_travel_as_they_are() {
        let file = r#"{"type":"file_citation","index":3,"file_id":"file-1","filename":"a"}"#;
        check(file, file);
        check("3", "3");
    }

    #[test]
    fn what_chat_leaves_out_is_filled_in() {
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
