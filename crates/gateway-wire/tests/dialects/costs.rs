//! The cost of responses, for each format of token counts.

use bytes::Bytes;
use gateway_core::{ChatRequest, Price, ProviderRequest, StreamEvent, TokenRates, Usage};
use gateway_wire::{
    IdGenerator, OutboundDialect, chat::ChatOutbound, gemini::GeminiOutbound,
    messages::MessagesOutbound, ollama::OllamaOutbound, responses::ResponsesOutbound,
};

/// The number of nano-dollars for a token of each class: another prime for each, so that no token
/// can be taken for one of another class.
fn price() -> Price {
    const MILLION: u64 = 1_000_000;
    Price::from(TokenRates {
        input: 2 * MILLION,
        output: 3 * MILLION,
        cache_read: Some(5 * MILLION),
        cache_write: Some(7 * MILLION),
        cache_write_1h: Some(11 * MILLION),
        reasoning: Some(13 * MILLION),
        audio_input: Some(17 * MILLION),
        audio_output: Some(19 * MILLION),
        ..TokenRates::default()
    })
}

/// Returns the usage of `response`.
fn usage(upstream: &dyn OutboundDialect, answer: &str) -> Usage {
    let call = ProviderRequest::new(ChatRequest::user("m", "Hello"));
    let body = Bytes::copy_from_slice(answer.as_bytes());
    let chunk = upstream.read_whole(&call, body, IdGenerator::new(1)).expect("an answer");
    let told =
        chunk.events.iter().rev().find_map(|event| {
            if let StreamEvent::Usage(usage) = event { Some(*usage) } else { None }
        });
    told.expect("counts")
}

/// `response` has these classes, of which `total` is the sum, and costs so many nano-dollars.
#[track_caller]
fn check(
    upstream: &dyn OutboundDialect,
    answer: &str,
    classes: Usage,
    total: u64,
    nano_dollars: u64,
) {
    let read = usage(upstream, answer);
    assert_eq!(read, classes, "{answer}");
    assert_eq!(read.stated_total, None, "its total is the sum: {answer}");
    assert_eq!(read.prompt() + read.completion(), total, "{answer}");
    assert_eq!(price().cost(&read).0, nano_dollars, "{answer}");
}

#[track_caller]
fn check_chat(usage: &str, classes: Usage, total: u64, nano_dollars: u64) {
    let said = r#"{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}"#;
    let answer =
        format!(r#"{{"object":"chat.completion","choices":[{said}],"usage":{{{usage}}}}}"#);
    check(&ChatOutbound::default(), &answer, classes, total, nano_dollars);
}

#[test]
fn openai_usage_is_priced() {
    check_chat(
        r#""prompt_tokens":12,"completion_tokens":8,"total_tokens":20"#,
        Usage { input: 12, output: 8, ..Usage::NONE },
        20,
        24 + 24,
    );
    check_chat(
        r#""prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
           "prompt_tokens_details":{"cached_tokens":40,"audio_tokens":10},
           "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":5,
             "accepted_prediction_tokens":4,"rejected_prediction_tokens":1}"#,
        Usage {
            input: 50,
            cache_read: 40,
            audio_input: 10,
            output: 25,
            reasoning: 20,
            audio_output: 5,
            ..Usage::NONE
        },
        150,
        100 + 200 + 170 + 75 + 260 + 95,
    );
}

#[test]
fn openai_compatible_usage_is_priced() {
    // DeepSeek, who tells hits and misses of the cache.
    check_chat(
        r#""prompt_tokens":30,"completion_tokens":9,"total_tokens":39,
           "prompt_cache_hit_tokens":20,"prompt_cache_miss_tokens":10,
           "prompt_tokens_details":{"cached_tokens":20},
           "completion_tokens_details":{"reasoning_tokens":4}"#,
        Usage { input: 10, cache_read: 20, output: 5, reasoning: 4, ..Usage::NONE },
        39,
        20 + 100 + 15 + 52,
    );
    check_chat(
        r#""prompt_tokens":30,"completion_tokens":9,"total_tokens":39,
           "prompt_cache_hit_tokens":20,"prompt_cache_miss_tokens":10"#,
        Usage { input: 10, cache_read: 20, output: 9, ..Usage::NONE },
        39,
        20 + 100 + 27,
    );
    // Groq, who tells times among the counts.
    check_chat(
        r#""queue_time":0.03,"prompt_tokens":18,"prompt_time":0.001,"completion_tokens":6,
           "completion_time":0.02,"total_tokens":24,"total_time":0.021,
           "prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":2}"#,
        Usage { input: 18, output: 4, reasoning: 2, ..Usage::NONE },
        24,
        36 + 12 + 26,
    );
    // Mistral, for whom sound has a length and not a number of tokens.
    check_chat(
        r#""prompt_audio_seconds":{},"prompt_tokens":14,"total_tokens":17,"completion_tokens":3"#,
        Usage { input: 14, output: 3, ..Usage::NONE },
        17,
        28 + 9,
    );
    // And who counts its tokens beside those of the prompt when it does.
    check_chat(
        r#""prompt_audio_seconds":2,"prompt_tokens":11,"total_tokens":35,"completion_tokens":4,
           "prompt_tokens_details":{"cached_tokens":9,"audio_tokens":20}"#,
        Usage { input: 2, cache_read: 9, audio_input: 20, output: 4, ..Usage::NONE },
        35,
        4 + 45 + 340 + 12,
    );
    // xAI, who counts thinking beside the completion.
    check_chat(
        r#""prompt_tokens":10,"completion_tokens":5,"total_tokens":22,"num_sources_used":0,
           "prompt_tokens_details":{"text_tokens":10,"audio_tokens":0,"image_tokens":0,
             "cached_tokens":3},
           "completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":0}"#,
        Usage { input: 7, cache_read: 3, output: 5, reasoning: 7, ..Usage::NONE },
        22,
        14 + 15 + 15 + 91,
    );
    // OpenRouter, who tells what was written to a cache.
    check_chat(
        r#""prompt_tokens":50,"completion_tokens":4,"total_tokens":54,"cost":0.0012,
           "prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":15}"#,
        Usage { input: 25, cache_read: 10, cache_write: 15, output: 4, ..Usage::NONE },
        54,
        50 + 50 + 105 + 12,
    );
}

#[test]
fn responses_usage_is_priced() {
    let said = r#"{"type":"message","role":"assistant",
        "content":[{"type":"output_text","text":"x"}]}"#;
    let counts = r#"{"input_tokens":60,"input_tokens_details":{"cached_tokens":24},
        "output_tokens":30,"output_tokens_details":{"reasoning_tokens":12},"total_tokens":90}"#;
    check(
        &ResponsesOutbound,
        &format!(
            r#"{{"object":"response","status":"completed","output":[{said}],"usage":{counts}}}"#
        ),
        Usage { input: 36, cache_read: 24, output: 18, reasoning: 12, ..Usage::NONE },
        90,
        72 + 120 + 54 + 156,
    );
}

#[track_caller]
fn check_messages(usage: &str, classes: Usage, total: u64, nano_dollars: u64) {
    let said = r#""role":"assistant","content":[{"type":"text","text":"x"}]"#;
    let answer =
        format!(r#"{{"type":"message",{said},"stop_reason":"end_turn","usage":{{{usage}}}}}"#);
    check(&MessagesOutbound, &answer, classes, total, nano_dollars);
}

#[test]
fn anthropic_usage_is_priced() {
    check_messages(
        r#""input_tokens":10,"cache_creation_input_tokens":9,"cache_read_input_tokens":20,
           "cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":5},
           "output_tokens":30,"output_tokens_details":{"thinking_tokens":8},
           "service_tier":"standard","server_tool_use":{"web_search_requests":1}"#,
        Usage {
            input: 10,
            cache_read: 20,
            cache_write: 4,
            cache_write_1h: 5,
            output: 22,
            reasoning: 8,
            searches: 1,
            ..Usage::NONE
        },
        69,
        20 + 100 + 28 + 55 + 66 + 104,
    );
    check_messages(
        r#""input_tokens":10,"cache_creation_input_tokens":9,"cache_read_input_tokens":20,
           "output_tokens":30"#,
        Usage { input: 10, cache_read: 20, cache_write: 9, output: 30, ..Usage::NONE },
        69,
        20 + 100 + 63 + 90,
    );
}

#[test]
fn gemini_usage_is_priced() {
    let said = r#"{"content":{"role":"model","parts":[{"text":"x"}]},"finishReason":"STOP"}"#;
    let counts = r#"{"promptTokenCount":40,"cachedContentTokenCount":15,
        "toolUsePromptTokenCount":6,"candidatesTokenCount":12,"thoughtsTokenCount":9,
        "totalTokenCount":67,"trafficType":"ON_DEMAND",
        "promptTokensDetails":[{"modality":"TEXT","tokenCount":35},
          {"modality":"AUDIO","tokenCount":5}],
        "candidatesTokensDetails":[{"modality":"TEXT","tokenCount":12}]}"#;
    check(
        &GeminiOutbound,
        &format!(r#"{{"candidates":[{said}],"usageMetadata":{counts}}}"#),
        Usage {
            input: 26,
            cache_read: 15,
            audio_input: 5,
            output: 12,
            reasoning: 9,
            ..Usage::NONE
        },
        67,
        52 + 75 + 85 + 36 + 117,
    );
}

#[test]
fn ollama_usage_is_priced() {
    check(
        &OllamaOutbound::default(),
        r#"{"model":"m","message":{"role":"assistant","content":"x"},"done":true,
            "done_reason":"stop","prompt_eval_count":11,"prompt_eval_duration":5,"eval_count":7}"#,
        Usage { input: 11, output: 7, ..Usage::NONE },
        18,
        22 + 21,
    );
}
