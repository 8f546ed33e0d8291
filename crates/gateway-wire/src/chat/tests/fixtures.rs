//! One small response in the format of each family of upstreams, streamed and complete.

use super::super::Quirks;

/// A response in both forms.
pub(super) struct Fixture {
    pub(super) quirks: Quirks,
    pub(super) stream: &'static str,
    pub(super) whole: &'static str,
}

pub(super) const ALL: [Fixture; 11] = [
    OPENAI, CALLS, CHOICES, LEGACY, DEEPSEEK, OPENROUTER, MISTRAL, GROQ, PERPLEXITY, AZURE,
    LLAMACPP,
];

pub(super) const OPENAI: Fixture = Fixture {
    quirks: Quirks::OPENAI,
    stream: r#"data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":"Hé"},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":"llo \"finish_reason\":\"x\""},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null}

data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}

data: [DONE]

"#,
    whole: r#"{"id":"a1","object":"chat.completion","created":5,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"message":{"role":"assistant","content":"Héllo \"finish_reason\":\"x\"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
};

pub(super) const CALLS: Fixture = Fixture {
    quirks: Quirks::OPENAI,
    stream: r#"data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]},"finish_reason":null}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":" 1.0}"}}]},"finish_reason":null}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","type":"custom","custom":{"name":"g","input":"a"}}]},"finish_reason":null}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"custom":{"input":"b"}}]},"finish_reason":null}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: [DONE]

"#,
    whole: r#"{"id":"a1","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\": 1.0}"}},{"id":"c2","type":"custom","custom":{"name":"g","input":"ab"}}]},"finish_reason":"tool_calls"}]}"#,
};

const CHOICES: Fixture = Fixture {
    quirks: Quirks::OPENAI,
    stream: r#"data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"logprobs":{"content":[{"token":"a"}],"refusal":null},"finish_reason":null}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":1,"delta":{"role":"assistant","refusal":"no"},"finish_reason":null}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}

data: [DONE]

"#,
    whole: r#"{"id":"a1","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"logprobs":{"content":[{"token":"a"}],"refusal":null},"finish_reason":"content_filter"},{"index":1,"message":{"role":"assistant","content":null,"refusal":"no"},"finish_reason":"stop"}]}"#,
};

const LEGACY: Fixture = Fixture {
    quirks: Quirks::OPENAI,
    stream: r#"data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"function_call":{"name":"f","arguments":""}},"finish_reason":null}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{"function_call":{"arguments":"{}"}},"finish_reason":null}]}

data: {"id":"a1","created":5,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"function_call"}]}

data: [DONE]

"#,
    whole: r#"{"id":"a1","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},"finish_reason":"function_call"}]}"#,
};

const DEEPSEEK: Fixture = Fixture {
    quirks: Quirks::DEEPSEEK,
    stream: r#"data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"finish_reason":null}],"usage":null}

data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"hm"},"finish_reason":null}],"usage":null}

data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"yes","reasoning_content":null},"finish_reason":null}],"usage":null}

data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_cache_hit_tokens":3,"prompt_cache_miss_tokens":6}}

data: [DONE]

"#,
    whole: r#"{"id":"a1","object":"chat.completion","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"yes","reasoning_content":"hm"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_cache_hit_tokens":3,"prompt_cache_miss_tokens":6}}"#,
};

pub(super) const OPENROUTER: Fixture = Fixture {
    quirks: Quirks::OPENROUTER,
    stream: r#": OPENROUTER PROCESSING

data: {"id":"a1","provider":"P","model":"m","object":"chat.completion.chunk","created":5,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","index":0}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}

: OPENROUTER PROCESSING

data: {"id":"a1","provider":"P","model":"m","object":"chat.completion.chunk","created":5,"choices":[{"index":0,"delta":{"role":"assistant","content":"yes"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}

data: {"id":"a1","provider":"P","model":"m","object":"chat.completion.chunk","created":5,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"end_turn","logprobs":null}]}

data: {"id":"a1","provider":"P","model":"m","object":"chat.completion.chunk","created":5,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"end_turn","logprobs":null}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"cost":0.00012,"prompt_tokens_details":{"cached_tokens":1,"cache_write_tokens":2}}}

data: [DONE]

"#,
    whole: r#"

   {"id":"a1","provider":"P","model":"m","object":"chat.completion","created":5,"choices":[{"logprobs":null,"finish_reason":"stop","native_finish_reason":"end_turn","index":0,"message":{"role":"assistant","content":"yes","refusal":null,"reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","index":0}]}}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"cost":0.00012,"prompt_tokens_details":{"cached_tokens":1,"cache_write_tokens":2}}}"#,
};

pub(super) const MISTRAL: Fixture = Fixture {
    quirks: Quirks::MISTRAL,
    stream: r#"data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","p":"abc","choices":[{"index":0,"delta":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]},"finish_reason":null}]}

data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"content":[{"type":"text","text":"ye"}]},"finish_reason":null}]}

data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"s","tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"x\": 1}"}},{"id":"c2","function":{"name":"g","arguments":{"y":2.0}}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"total_tokens":13,"completion_tokens":4}}

data: [DONE]

"#,
    whole: r#"{"id":"a1","object":"chat.completion","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"yes"}],"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"x\": 1}"}},{"id":"c2","function":{"name":"g","arguments":{"y":2.0}}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"total_tokens":13,"completion_tokens":4}}"#,
};

const GROQ: Fixture = Fixture {
    quirks: Quirks::GROQ,
    stream: r#"data: {"id":"a1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","reasoning":"hm"},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"r"}}

data: {"id":"a2","object":"chat.completion.chunk","created":6,"model":"m","choices":[{"index":0,"delta":{"content":"yes"},"logprobs":null,"finish_reason":null}]}

data: {"id":"a2","object":"chat.completion.chunk","created":6,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"queue_time":0.1}}}

data: [DONE]

"#,
    whole: r#"{"id":"a1","object":"chat.completion","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"yes","reasoning":"hm"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"queue_time":0.1}}"#,
};

/// Without `[DONE]`, with the text so far in every chunk, under changing ids.
const PERPLEXITY: Fixture = Fixture {
    quirks: Quirks::PERPLEXITY,
    stream: r#"data: {"id":"a1","model":"m","created":5,"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10},"citations":["u"],"object":"chat.completion.chunk","choices":[{"index":0,"message":{"role":"assistant","content":"ye"},"delta":{"role":"assistant","content":"ye"}}]}

data: {"id":"a2","model":"m","created":5,"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13},"citations":["u"],"object":"chat.completion.done","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"yes"},"delta":{"role":"assistant","content":"s"}}]}

"#,
    whole: r#"{"id":"a1","model":"m","created":5,"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13},"citations":["u"],"object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"yes"},"delta":{"role":"assistant","content":""}}]}"#,
};

const AZURE: Fixture = Fixture {
    quirks: Quirks::AZURE,
    stream: r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}

data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":5,"id":"a1","model":"m","object":"chat.completion.chunk","system_fingerprint":"fp"}

data: {"choices":[{"content_filter_results":{"hate":{"filtered":false}},"delta":{"content":"yes"},"finish_reason":null,"index":0,"logprobs":null}],"created":5,"id":"a1","model":"m","object":"chat.completion.chunk","system_fingerprint":"fp"}

data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":5,"id":"a1","model":"m","object":"chat.completion.chunk","system_fingerprint":"fp"}

data: [DONE]

"#,
    whole: r#"{"choices":[{"content_filter_results":{},"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":"yes","refusal":null,"role":"assistant"}}],"created":5,"id":"a1","model":"m","object":"chat.completion","system_fingerprint":"fp"}"#,
};

pub(super) const LLAMACPP: Fixture = Fixture {
    quirks: Quirks::LLAMACPP,
    stream: r#"data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":5,"id":"a1","model":"/models/secret.gguf","system_fingerprint":"b1","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"yes"}}],"created":5,"id":"a1","model":"/models/secret.gguf","system_fingerprint":"b1","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":"eos","index":0,"delta":{}}],"created":5,"id":"a1","model":"/models/secret.gguf","system_fingerprint":"b1","object":"chat.completion.chunk"}

data: {"choices":[],"created":5,"id":"a1","model":"/models/secret.gguf","system_fingerprint":"b1","object":"chat.completion.chunk","usage":{"completion_tokens":4,"prompt_tokens":9,"total_tokens":13},"timings":{"prompt_n":9}}

data: [DONE]

"#,
    whole: r#"{"choices":[{"finish_reason":"eos","index":0,"message":{"role":"assistant","content":"yes"}}],"created":5,"model":"/models/secret.gguf","system_fingerprint":"b1","object":"chat.completion","usage":{"completion_tokens":4,"prompt_tokens":9,"total_tokens":13},"id":"a1","timings":{"prompt_n":9}}"#,
};
