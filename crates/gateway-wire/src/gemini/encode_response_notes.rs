//! Notes on a response's text as Gemini writes them: its sources and the log probabilities of its
//! tokens.

use gateway_core::Json;
use serde::{Deserialize, Serialize};
use serde_json::Number;

#[derive(Deserialize)]
struct NoteWire {
    url_citation: CitedUrlWire,
}

#[derive(Deserialize)]
struct CitedUrlWire {
    #[serde(default)]
    start_index: usize,
    #[serde(default)]
    end_index: usize,
    url: String,
    #[serde(default)]
    title: Option<String>,
}

/// The sources of a text, and which stretch of it is from which.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroundingOutWire {
    grounding_chunks: Vec<GroundingSourceWire>,
    grounding_supports: Vec<GroundingStretchWire>,
}

#[derive(Debug, Serialize)]
struct GroundingSourceWire {
    web: WebPageWire,
}

#[derive(Debug, Serialize)]
struct WebPageWire {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroundingStretchWire {
    segment: TextStretchWire,
    grounding_chunk_indices: [usize; 1],
}

/// A stretch of a text, in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TextStretchWire {
    start_index: usize,
    end_index: usize,
    text: String,
}

impl GroundingOutWire {
    /// The sources that `notes`, written as OpenAI Chat does, name for stretches of `text`.
    pub(super) fn of(notes: &[Json], text: &str) -> Option<Self> {
        let mut all = Self { grounding_chunks: Vec::new(), grounding_supports: Vec::new() };
        for note in notes {
            let Ok(NoteWire { url_citation: cited }) = note.read() else { continue };
            let start_index = bytes(text, cited.start_index);
            let end_index = bytes(text, cited.end_index);
            let stretch = text.get(start_index..end_index).unwrap_or_default().to_owned();
            let known = all.grounding_chunks.iter().position(|source| source.web.uri == cited.url);
            let at = known.unwrap_or_else(|| {
                let web = WebPageWire { uri: cited.url, title: cited.title };
                all.grounding_chunks.push(GroundingSourceWire { web });
                all.grounding_chunks.len() - 1
            });
            all.grounding_supports.push(GroundingStretchWire {
                segment: TextStretchWire { start_index, end_index, text: stretch },
                grounding_chunk_indices: [at],
            });
        }
        (!all.grounding_chunks.is_empty()).then_some(all)
    }
}

/// The position of a character of `text`, in bytes.
fn bytes(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
}

#[derive(Deserialize)]
struct ChatLogprobsWire {
    #[serde(default)]
    content: Option<Vec<ChatTokenWire>>,
}

#[derive(Deserialize)]
struct ChatTokenWire {
    token: String,
    logprob: Option<Number>,
    #[serde(default)]
    top_logprobs: Option<Vec<ChatTokenWire>>,
}

/// The log probabilities of the tokens of a text.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogprobsResultWire {
    chosen_candidates: Vec<LikelyTokenWire>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_candidates: Vec<LikelyTokensWire>,
}

#[derive(Debug, Serialize)]
struct LikelyTokensWire {
    candidates: Vec<LikelyTokenWire>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LikelyTokenWire {
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_probability: Option<Number>,
}

impl LogprobsResultWire {
    /// Converts log probabilities that are written as OpenAI Chat does; `None` if there are none.
    pub(super) fn of(all: &[Json]) -> Option<Self> {
        let mut result = Self::default();
        let read = |json: &Json| json.read::<ChatLogprobsWire>().ok()?.content;
        for token in all.iter().filter_map(read).flatten() {
            let ChatTokenWire { token, logprob, top_logprobs } = token;
            let others = top_logprobs.unwrap_or_default().into_iter();
            let candidates = others.map(|it| LikelyTokenWire::new(it.token, it.logprob)).collect();
            result.top_candidates.push(LikelyTokensWire { candidates });
            result.chosen_candidates.push(LikelyTokenWire::new(token, logprob));
        }
        if result.top_candidates.iter().all(|others| others.candidates.is_empty()) {
            result.top_candidates.clear();
        }
        (!result.chosen_candidates.is_empty()).then_some(result)
    }
}

impl LikelyTokenWire {
    const fn new(token: String, log_probability: Option<Number>) -> Self {
        Self { token, log_probability }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{annotations, decode_response_wire::GroundingWire};
    use super::*;

    #[test]
    fn sources_are_read_back_as_they_were() {
        let note = |start, end, url: &str| {
            Json::parse(format!(
                r#"{{"type":"url_citation","url_citation":{{"start_index":{start},"end_index":{end},"url":"{url}","title":"t"}}}}"#
            ))
            .unwrap()
        };
        let notes = [note(0, 5, "https://a.example"), note(6, 9, "https://b.example")];
        let written = GroundingOutWire::of(&notes, "zwölf Uhr").unwrap();
        let written = serde_json::to_string(&written).unwrap();
        assert!(written.contains(r#""startIndex":7,"endIndex":10,"text":"Uhr""#), "{written}");
        let grounding: GroundingWire<'_> = serde_json::from_str(&written).unwrap();
        assert_eq!(annotations::grounded(&grounding, "zwölf Uhr"), notes);
        assert!(GroundingOutWire::of(&[Json::null()], "a").is_none());
    }

    #[test]
    fn logprobs_are_read_back_as_they_were() {
        let chat = r#"{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1,"bytes":[98]}]}],"refusal":null}"#;
        let chat = Json::parse(chat).unwrap();
        let written = LogprobsResultWire::of(std::slice::from_ref(&chat)).unwrap();
        let written = serde_json::to_string(&written).unwrap();
        let read = serde_json::from_str(&written).unwrap();
        assert_eq!(annotations::logprobs(&read), Some(chat));
        assert!(LogprobsResultWire::of(&[]).is_none());
    }
}
