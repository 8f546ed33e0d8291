//! Responses as Gemini writes them: the members that are read, all of which may be absent.

use crate::token_count::LenientCount;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A whole response, or one step of a streamed one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GeminiChunkWire<'a> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<CandidateWire<'a>>>,
    pub(super) prompt_feedback: Option<PromptFeedbackWire>,
    #[serde(borrow)]
    pub(super) usage_metadata: Option<&'a RawValue>,
    pub(super) model_version: Option<String>,
    pub(super) response_id: Option<String>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CandidateWire<'a> {
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) content: Option<GeminiContentWire<'a>>,
    pub(super) finish_reason: Option<EnumWordWire>,
    #[serde(borrow)]
    pub(super) grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) citation_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) logprobs_result: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GeminiContentWire<'a> {
    #[serde(borrow)]
    pub(super) parts: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GeminiPartWire<'a> {
    pub(super) text: Option<String>,
    pub(super) thought: Option<bool>,
    pub(super) thought_signature: Option<String>,
    #[serde(borrow)]
    pub(super) function_call: Option<GeminiFunctionCallWire<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GeminiFunctionCallWire<'a> {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PromptFeedbackWire {
    pub(super) block_reason: Option<EnumWordWire>,
}

/// A member of an enumeration: its name or, from some clients' servers, its number.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(untagged)]
pub(super) enum EnumWordWire {
    Name(String),
    Number(i64),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct UsageMetadataWire {
    pub(super) prompt_token_count: Option<LenientCount>,
    pub(super) tool_use_prompt_token_count: Option<LenientCount>,
    pub(super) cached_content_token_count: Option<LenientCount>,
    pub(super) candidates_token_count: Option<LenientCount>,
    pub(super) thoughts_token_count: Option<LenientCount>,
    pub(super) total_token_count: Option<LenientCount>,
    pub(super) prompt_tokens_details: Option<Vec<ModalityCountWire>>,
    pub(super) candidates_tokens_details: Option<Vec<ModalityCountWire>>,
    /// The kind of capacity that served it, such as `ON_DEMAND_PRIORITY`.
    pub(super) traffic_type: Option<EnumWordWire>,
    /// The tier that served it, such as `priority`.
    pub(super) service_tier: Option<EnumWordWire>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ModalityCountWire {
    pub(super) modality: Option<EnumWordWire>,
    pub(super) token_count: Option<LenientCount>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GroundingWire<'a> {
    #[serde(borrow)]
    pub(super) grounding_chunks: Option<Vec<GroundingChunkWire<'a>>>,
    pub(super) grounding_supports: Option<Vec<GroundingSupportWire>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GroundingChunkWire<'a> {
    #[serde(borrow)]
    pub(super) web: Option<WebSourceWire<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WebSourceWire<'a> {
    #[serde(borrow)]
    pub(super) uri: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) title: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GroundingSupportWire {
    pub(super) segment: Option<TextSegmentWire>,
    pub(super) grounding_chunk_indices: Option<Vec<usize>>,
}

/// A stretch of the response's text, in bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TextSegmentWire {
    pub(super) start_index: Option<usize>,
    pub(super) end_index: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CitationsWire<'a> {
    #[serde(borrow)]
    pub(super) citations: Option<Vec<GeminiCitationWire<'a>>>,
    #[serde(borrow)]
    pub(super) citation_sources: Option<Vec<GeminiCitationWire<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GeminiCitationWire<'a> {
    pub(super) start_index: Option<usize>,
    pub(super) end_index: Option<usize>,
    #[serde(borrow)]
    pub(super) uri: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) title: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GeminiLogprobsWire<'a> {
    #[serde(borrow)]
    pub(super) chosen_candidates: Option<Vec<GeminiLogprobWire<'a>>>,
    #[serde(borrow)]
    pub(super) top_candidates: Option<Vec<TopCandidatesWire<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TopCandidatesWire<'a> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<GeminiLogprobWire<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GeminiLogprobWire<'a> {
    #[serde(borrow)]
    pub(super) token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) log_probability: Option<&'a RawValue>,
}

/// Reads what a response is complete without: what cannot be read is taken for absent.
pub(super) fn lenient<'a, T: Default + Deserialize<'a>>(raw: &'a RawValue) -> T {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

impl EnumWordWire {
    /// Returns whether this is sound, among the kinds of tokens.
    pub(super) fn is_audio(&self) -> bool {
        match self {
            Self::Name(name) => name == "AUDIO",
            Self::Number(number) => *number == 4,
        }
    }
}

impl UsageMetadataWire {
    /// Merges the counts of a later chunk into these; members it omits keep their value.
    pub(super) fn merge(&mut self, later: Self) {
        fn take<T>(mine: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *mine = later;
            }
        }
        take(&mut self.prompt_token_count, later.prompt_token_count);
        take(&mut self.tool_use_prompt_token_count, later.tool_use_prompt_token_count);
        take(&mut self.cached_content_token_count, later.cached_content_token_count);
        take(&mut self.candidates_token_count, later.candidates_token_count);
        take(&mut self.thoughts_token_count, later.thoughts_token_count);
        take(&mut self.total_token_count, later.total_token_count);
        take(&mut self.prompt_tokens_details, later.prompt_tokens_details);
        take(&mut self.candidates_tokens_details, later.candidates_tokens_details);
        take(&mut self.traffic_type, later.traffic_type);
        take(&mut self.service_tier, later.service_tier);
    }
}
