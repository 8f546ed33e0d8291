//! Notes on the text: sources and log probabilities, retold as OpenAI Chat writes them.

use super::decode_response_wire::{
    CitationsWire, GeminiLogprobWire, GeminiLogprobsWire, GroundingWire,
};
use crate::logprobs::{self, LogprobWire};
use gateway_core::Json;
use serde::Serialize;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum AnnotationWire<'a> {
    UrlCitation { url_citation: UrlCitationWire<'a> },
}

#[derive(Serialize)]
struct UrlCitationWire<'a> {
    start_index: usize,
    end_index: usize,
    url: &'a str,
    title: &'a str,
}

/// The sources that `grounding` names for stretches of `text`.
pub(super) fn grounded(grounding: &GroundingWire<'_>, text: &str) -> Vec<Json> {
    let sources = grounding.grounding_chunks.as_deref().unwrap_or_default();
    let mut notes = Vec::new();
    for support in grounding.grounding_supports.as_deref().unwrap_or_default() {
        let segment = support.segment.unwrap_or_default();
        let (start, end) = (segment.start_index.unwrap_or(0), segment.end_index.unwrap_or(0));
        for index in support.grounding_chunk_indices.as_deref().unwrap_or_default() {
            let web = sources.get(*index).and_then(|chunk| chunk.web.as_ref());
            let Some((url, web)) = web.and_then(|web| Some((web.uri.as_deref()?, web))) else {
                continue;
            };
            notes.push(note(text, (start, end), url, web.title.as_deref()));
        }
    }
    notes
}

/// The sources that `citations` names for stretches of `text`.
pub(super) fn cited(citations: &CitationsWire<'_>, text: &str) -> Vec<Json> {
    let lists = [&citations.citations, &citations.citation_sources];
    let notes = lists.into_iter().flatten().flatten().filter_map(|citation| {
        let span = (citation.start_index.unwrap_or(0), citation.end_index.unwrap_or(0));
        Some(note(text, span, citation.uri.as_deref()?, citation.title.as_deref()))
    });
    notes.collect()
}

/// Gemini counts bytes, OpenAI characters.
fn note(text: &str, (start, end): (usize, usize), url: &str, title: Option<&str>) -> Json {
    let characters = |bytes: usize| {
        let before = text.as_bytes().iter().take(bytes);
        before.filter(|byte| **byte & 0xc0 != 0x80).count()
    };
    let url_citation = UrlCitationWire {
        start_index: characters(start),
        end_index: characters(end),
        url,
        title: title.unwrap_or_default(),
    };
    Json::of(&AnnotationWire::UrlCitation { url_citation })
}

/// The log probabilities of the tokens just sent.
pub(super) fn logprobs(logprobs: &GeminiLogprobsWire<'_>) -> Option<Json> {
    let chosen = logprobs.chosen_candidates.as_deref().filter(|chosen| !chosen.is_empty())?;
    let others = logprobs.top_candidates.as_deref().unwrap_or_default();
    let mut content = Vec::with_capacity(chosen.len());
    for (at, likely) in chosen.iter().enumerate() {
        let others = others.get(at).and_then(|others| others.candidates.as_deref());
        let top = others.unwrap_or_default().iter().map(|other| token(other, None)).collect();
        content.push(token(likely, Some(top)));
    }
    Some(logprobs::chat_logprobs(content))
}

fn token<'a>(
    likely: &'a GeminiLogprobWire<'_>,
    top_logprobs: Option<Vec<LogprobWire<'a>>>,
) -> LogprobWire<'a> {
    let text = likely.token.as_deref().unwrap_or_default();
    LogprobWire { text, logprob: likely.log_probability, bytes: text.as_bytes(), top_logprobs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grounding_spans_are_converted_to_characters() {
        let grounding = r#"{"groundingChunks":[{"retrievedContext":{}},
            {"web":{"uri":"https://example.com","title":"Example"}}],
            "groundingSupports":[{"segment":{"startIndex":5,"endIndex":8},
            "groundingChunkIndices":[0,1,7]}]}"#;
        let notes = grounded(&serde_json::from_str(grounding).unwrap(), "zwölf Uhr");
        let expected = r#"{"type":"url_citation","url_citation":{"start_index":4,"end_index":7,"#
            .to_owned()
            + r#""url":"https://example.com","title":"Example"}}"#;
        assert_eq!(notes, [Json::parse(expected).unwrap()]);
    }

    #[test]
    fn citation_without_url_is_dropped() {
        let citations = r#"{"citationSources":[{"endIndex":2,"license":"mit"},
            {"endIndex":99,"uri":"https://example.com"}]}"#;
        let notes = cited(&serde_json::from_str(citations).unwrap(), "abc");
        assert_eq!(notes.len(), 1);
        assert!(notes[0].get().contains(r#""start_index":0,"end_index":3"#));
    }

    #[test]
    fn logprobs_keep_their_digits() {
        let wire = r#"{"chosenCandidates":[{"token":"é","logProbability":-1.05e-05,"tokenId":1}],
            "topCandidates":[{"candidates":[{"token":"a","logProbability":-1}]}]}"#;
        let told = logprobs(&serde_json::from_str(wire).unwrap()).unwrap();
        let expected = r#"{"content":[{"token":"é","logprob":-1.05e-05,"bytes":[195,169],"#
            .to_owned()
            + r#""top_logprobs":[{"token":"a","logprob":-1,"bytes":[97]}]}],"refusal":null}"#;
        assert_eq!(told.get(), expected);
        assert_eq!(logprobs(&GeminiLogprobsWire::default()), None);
    }
}
