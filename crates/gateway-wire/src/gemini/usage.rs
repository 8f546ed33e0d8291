//! Tokens, as Gemini counts them.

use super::decode_response_wire::{EnumWordWire, ModalityCountWire, UsageMetadataWire};
use crate::token_count::CountReader;
use gateway_core::{ServiceTier, Usage};
use serde::Serialize;

impl UsageMetadataWire {
    /// The tokens by class.
    ///
    /// What is cached is a part of the prompt; what tools put into it and what the model thinks
    /// are not parts of the other counts.
    pub(super) fn usage(&self) -> Usage {
        let mut reading = CountReader::default();
        let mut input = reading.count(self.prompt_token_count);
        let mut output = reading.count(self.candidates_token_count);
        let cache_read = reading.take(&mut input, self.cached_content_token_count);
        // What is cached may be sound too.
        let audio_input = audio(&mut reading, self.prompt_tokens_details.as_deref()).min(input);
        let audio_output = audio(&mut reading, self.candidates_tokens_details.as_deref());
        let audio_output = reading.take(&mut output, Some(audio_output.into()));
        let by_tools = reading.count(self.tool_use_prompt_token_count);
        let mut usage = Usage {
            input: (input - audio_input).saturating_add(by_tools),
            cache_read,
            audio_input,
            output,
            reasoning: reading.count(self.thoughts_token_count),
            audio_output,
            tier: self.service_tier.as_ref().or(self.traffic_type.as_ref()).and_then(tier),
            ..Usage::default()
        };
        let total = self.total_token_count.map(|total| reading.count(Some(total)));
        usage.stated_total = total.filter(|total| *total != usage.total());
        usage.is_odd = reading.is_odd;
        usage
    }
}

/// The counts of a response to a caller.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadataOutWire {
    prompt_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    candidates_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    total_token_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_tokens_details: Vec<ModalityCountOutWire>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates_tokens_details: Vec<ModalityCountOutWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

/// The tokens of one kind of content.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ModalityCountOutWire {
    modality: &'static str,
    token_count: u64,
}

impl UsageMetadataOutWire {
    /// The counts of `usage`.
    pub(super) fn of(usage: &Usage) -> Self {
        let output = usage.completion().saturating_sub(usage.reasoning);
        Self {
            prompt_token_count: usage.prompt(),
            cached_content_token_count: usage.cache_read,
            candidates_token_count: output,
            thoughts_token_count: usage.reasoning,
            total_token_count: usage.total(),
            prompt_tokens_details: details(usage.prompt(), usage.audio_input, usage.image_input),
            candidates_tokens_details: details(output, usage.audio_output, usage.image_output),
            service_tier: match usage.tier {
                Some(ServiceTier::Priority | ServiceTier::Fast | ServiceTier::Ultrafast) => {
                    Some("priority")
                }
                Some(ServiceTier::Flex) => Some("flex"),
                Some(ServiceTier::Standard | ServiceTier::Batch) | None => None,
            },
        }
    }
}

/// The kinds of content in `all` tokens, if they are not text alone.
fn details(all: u64, audio: u64, image: u64) -> Vec<ModalityCountOutWire> {
    if audio == 0 && image == 0 {
        return Vec::new();
    }
    let text = all.saturating_sub(audio).saturating_sub(image);
    let counts = [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)].into_iter();
    let said = counts.filter(|(_, count)| *count > 0);
    said.map(|(modality, token_count)| ModalityCountOutWire { modality, token_count }).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The tier of a word: of the Gemini API for a tier, or of Vertex AI for a kind of capacity.
fn tier(word: &EnumWordWire) -> Option<ServiceTier> {
    let EnumWordWire::Name(name) = word else { return None };
    match name.to_ascii_lowercase().as_str() {
        "priority" | "service_tier_priority" | "on_demand_priority" => Some(ServiceTier::Priority),
        "flex" | "service_tier_flex" | "on_demand_flex" => Some(ServiceTier::Flex),
        "batch" => Some(ServiceTier::Batch),
        _ => None,
    }
}

fn audio(reading: &mut CountReader, details: Option<&[ModalityCountWire]>) -> u64 {
    let details = details.unwrap_or_default().iter();
    let audio =
        details.filter(|detail| detail.modality.as_ref().is_some_and(EnumWordWire::is_audio));
    audio.map(|detail| reading.count(detail.token_count)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metadata: &str, expected: Usage) {
        let metadata: UsageMetadataWire = serde_json::from_str(metadata).unwrap();
        assert_eq!(metadata.usage(), expected);
    }

    #[test]
    fn thoughts_count_as_output_and_cache_as_read() {
        check(
            r#"{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":3,
                "thoughtsTokenCount":5,"toolUsePromptTokenCount":2,"totalTokenCount":20}"#,
            Usage { input: 8, cache_read: 4, output: 3, reasoning: 5, ..Usage::default() },
        );
    }

    #[test]
    fn provider_total_is_preserved() {
        check(
            r#"{"promptTokenCount":5,"totalTokenCount":9}"#,
            Usage { input: 5, stated_total: Some(9), ..Usage::default() },
        );
    }

    #[test]
    fn audio_tokens_are_separate() {
        check(
            r#"{"promptTokenCount":5,"candidatesTokenCount":7,"totalTokenCount":12,
                "promptTokensDetails":[{"modality":"AUDIO","tokenCount":3},{"modality":"TEXT"}],
                "candidatesTokensDetails":[{"modality":4,"tokenCount":7}]}"#,
            Usage { input: 2, audio_input: 3, audio_output: 7, ..Usage::default() },
        );
    }

    #[test]
    fn served_tier_is_read_in_the_words_of_both_apis() {
        for (member, tier) in [
            (r#""serviceTier":"priority""#, Some(ServiceTier::Priority)),
            (r#""serviceTier":"SERVICE_TIER_FLEX""#, Some(ServiceTier::Flex)),
            (r#""serviceTier":"standard","trafficType":"ON_DEMAND""#, None),
            (r#""trafficType":"ON_DEMAND_PRIORITY""#, Some(ServiceTier::Priority)),
            (r#""trafficType":"ON_DEMAND_FLEX""#, Some(ServiceTier::Flex)),
        ] {
            let metadata = format!(r#"{{"promptTokenCount":5,{member}}}"#);
            check(&metadata, Usage { input: 5, tier, ..Usage::default() });
        }
    }

    #[test]
    fn missing_counts_are_accepted() {
        check(r#"{"trafficType":"ON_DEMAND"}"#, Usage::default());
    }

    #[test]
    fn counts_are_read_back_as_they_were() {
        for usage in [
            Usage::default(),
            Usage { input: 8, cache_read: 4, output: 3, reasoning: 5, ..Usage::default() },
            Usage { input: 2, audio_input: 3, output: 1, audio_output: 7, ..Usage::default() },
            Usage { input: 5, tier: Some(ServiceTier::Flex), ..Usage::default() },
            Usage { input: 5, stated_total: Some(9), ..Usage::default() },
        ] {
            check(&serde_json::to_string(&UsageMetadataOutWire::of(&usage)).unwrap(), usage);
        }
    }
}
