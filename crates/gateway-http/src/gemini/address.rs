//! The address of a request for generation: its model, and the form of its response.

use crate::{Endpoint, models::percent_decoded, request::query::QueryParams};

/// The model that a path names, and whether the response is streamed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct GenerationAddress {
    /// The model, as the caller named it.
    pub(crate) model: String,
    /// Whether the response is streamed.
    pub(crate) stream: bool,
}

impl GenerationAddress {
    /// Returns what the path of `endpoint` says, if it says it of a generation.
    pub(crate) fn of(endpoint: Endpoint<'_>) -> Option<Self> {
        let (model, stream) = if let Endpoint::GeminiGenerate(model) = endpoint {
            (model, false)
        } else if let Endpoint::GeminiStream(model) = endpoint {
            (model, true)
        } else {
            return None;
        };
        Some(Self { model: percent_decoded(model), stream })
    }
}

/// Whether a streamed response is wanted as server-sent events, and not as an array.
pub(super) fn wants_events(query: Option<&str>) -> bool {
    QueryParams::parse(query).text("alt").is_some_and(|alt| alt.eq_ignore_ascii_case("sse"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, bool)>) {
        let address = Endpoint::at(path).and_then(GenerationAddress::of);
        let address = address.as_ref().map(|it| (it.model.as_str(), it.stream));
        assert_eq!(address, expected, "{path}");
    }

    #[test]
    fn model_and_stream_are_in_the_path() {
        check("/v1beta/models/m:generateContent", Some(("m", false)));
        check("/v1beta/models/m:streamGenerateContent", Some(("m", true)));
        check("/v1beta/models/lab/m%3A7b:generateContent", Some(("lab/m:7b", false)));
        check("/v1beta/models/lab%2Fm:1b:generateContent", Some(("lab/m:1b", false)));
        check("/v1beta/models/m", None);
        check("/v1beta/models/:generateContent", None);
    }

    #[test]
    fn events_have_to_be_asked_for() {
        assert!(wants_events(Some("alt=sse&key=x")) && wants_events(Some("alt=SSE")));
        assert!(!wants_events(None) && !wants_events(Some("alt=json")));
    }
}
