//! Tokens, as Gemini counts them.

use super::wire::{Detail, UsageMetadata, Word};
use gateway_core::Usage;

impl UsageMetadata {
    /// The tokens by class.
    ///
    /// What is cached is a part of the prompt; what tools put into it and what the model thinks
    /// are not parts of the other counts.
    pub(super) fn usage(&self) -> Usage {
        let prompt = self.prompt_token_count.unwrap_or(0);
        let cache_read = self.cached_content_token_count.unwrap_or(0).min(prompt);
        let audio_input = audio(self.prompt_tokens_details.as_deref()).min(prompt - cache_read);
        let written = self.candidates_token_count.unwrap_or(0);
        let audio_output = audio(self.candidates_tokens_details.as_deref()).min(written);
        let mut usage = Usage {
            input: (prompt - cache_read - audio_input)
                .saturating_add(self.tool_use_prompt_token_count.unwrap_or(0)),
            cache_read,
            audio_input,
            output: written - audio_output,
            reasoning: self.thoughts_token_count.unwrap_or(0),
            audio_output,
            ..Usage::default()
        };
        usage.stated_total = self.total_token_count.filter(|total| *total != usage.total());
        usage
    }
}

fn audio(details: Option<&[Detail]>) -> u64 {
    let details = details.unwrap_or_default().iter();
    let audio = details.filter(|detail| detail.modality.as_ref().is_some_and(Word::is_audio));
    audio.filter_map(|detail| detail.token_count).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metadata: &str, expected: Usage) {
        let metadata: UsageMetadata = serde_json::from_str(metadata).unwrap();
        assert_eq!(metadata.usage(), expected);
    }

    #[test]
    fn thinking_counts_as_written_and_the_cached_as_read() {
        check(
            r#"{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":3,
                "thoughtsTokenCount":5,"toolUsePromptTokenCount":2,"totalTokenCount":20}"#,
            Usage { input: 8, cache_read: 4, output: 3, reasoning: 5, ..Usage::default() },
        );
    }

    #[test]
    fn a_total_of_its_own_is_kept() {
        check(
            r#"{"promptTokenCount":5,"totalTokenCount":9}"#,
            Usage { input: 5, stated_total: Some(9), ..Usage::default() },
        );
    }

    #[test]
    fn sound_is_a_class_of_its_own() {
        check(
            r#"{"promptTokenCount":5,"candidatesTokenCount":7,"totalTokenCount":12,
                "promptTokensDetails":[{"modality":"AUDIO","tokenCount":3},{"modality":"TEXT"}],
                "candidatesTokensDetails":[{"modality":4,"tokenCount":7}]}"#,
            Usage { input: 2, audio_input: 3, audio_output: 7, ..Usage::default() },
        );
    }

    #[test]
    fn counts_may_be_missing() {
        check(r#"{"trafficType":"ON_DEMAND"}"#, Usage::default());
    }
}
