//! Parameters of requests as metric labels.

/// The parameters that dialects define.
const PARAMETERS: &[&str] = &[
    "audio",
    "cache_control",
    "container",
    "context_management",
    "frequency_penalty",
    "include",
    "logit_bias",
    "logprobs",
    "max_tool_calls",
    "mcp_servers",
    "messages",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream_options",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "verbosity",
    "web_search_options",
];

/// A parameter as a label: its first part if a dialect defines it, else `other`.
pub(super) fn label(name: &str) -> &'static str {
    let first = name.split(['.', '[']).next().unwrap_or_default();
    PARAMETERS.iter().find(|known| **known == first).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_parameter_is_labelled_other() {
        assert_eq!(label("seed"), "seed");
        assert_eq!(label("tools[0].strict"), "tools");
        assert_eq!(label("reasoning.summary"), "reasoning");
        assert_eq!(label("made-up-by-a-caller"), "other");
        assert_eq!(label(""), "other");
    }
}
