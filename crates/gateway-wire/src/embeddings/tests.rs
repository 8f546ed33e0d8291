//! All dialects of vectors side by side.

use super::*;
use crate::{chat::Quirks, gemini::GeminiOutbound, ollama::OllamaOutbound};
use gateway_core::ErrorKind;

const OPENAI: OpenAiEmbeddings = OpenAiEmbeddings { quirks: Quirks::OPENAI };
const SIGNED_BYTES: OpenAiEmbeddings = OpenAiEmbeddings { quirks: Quirks::PERPLEXITY };

fn request(body: &str) -> EmbeddingRequest {
    read_request(body.as_bytes()).unwrap()
}

const TWO: &str = r#"{"model":"m","input":["a","b"],"dimensions":2,"user":"u","odd":1.0}"#;

#[track_caller]
fn check_request(upstream: &dyn EmbeddingDialect, body: &str, expected: &str, lost: &str) {
    let encoded = upstream.embed_request(&request(body), "n").unwrap();
    assert_eq!(String::from_utf8(encoded.to_vec()).unwrap(), expected);
    assert_eq!(encoded.dropped.iter().collect::<Vec<_>>().join(" "), lost);
}

/// Checks what the caller of two vectors in `format` reads of `response`.
#[track_caller]
fn check_answer(upstream: &dyn EmbeddingDialect, answer: &str, format: &str, expected: &str) {
    let asked = format!(r#"{{"model":"m","input":["a","b"],"encoding_format":"{format}"}}"#);
    let request = request(&asked);
    let answer = upstream.read_embeddings(&request, answer.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(write_answer(&answer, &request)).unwrap(), expected);
}

fn embeddings_reply(first: &str, second: &str, model: &str, tokens: u64) -> String {
    format!(
        concat!(
            r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":{}}},"#,
            r#"{{"object":"embedding","index":1,"embedding":{}}}],"model":"{}","#,
            r#""usage":{{"prompt_tokens":{},"total_tokens":{}}}}}"#,
        ),
        first, second, model, tokens, tokens
    )
}

#[test]
fn input_decodes_from_four_spellings() {
    let check = |input: &str, expected: &[EmbeddingInput]| {
        let body = format!(r#"{{"model":"m","input":{input}}}"#);
        assert_eq!(request(&body).inputs, expected);
    };
    let text = |text: &str| EmbeddingInput::Text(text.to_owned());
    let tokens = |tokens: &[u64]| EmbeddingInput::Tokens(tokens.to_vec());
    check(r#""a""#, &[text("a")]);
    check(r#"["a","b"]"#, &[text("a"), text("b")]);
    check("[1,2]", &[tokens(&[1, 2])]);
    check("[[1],[2]]", &[tokens(&[1]), tokens(&[2])]);
}

#[test]
fn invalid_member_is_named_in_error() {
    let check = |body: &str, param: &str| {
        let error = read_request(body.as_bytes()).unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::InvalidRequest, Some(param)));
    };
    check("[]", "body");
    check(r#"{"input":"a"}"#, "model");
    check(r#"{"model":5,"input":"a"}"#, "model");
    check(r#"{"model":"m"}"#, "input");
    check(r#"{"model":"m","input":[]}"#, "input");
    check(r#"{"model":"m","input":[{}]}"#, "input");
    check(r#"{"model":"m","input":"a","encoding_format":"hex"}"#, "encoding_format");
    check(r#"{"model":"m","input":"a","dimensions":"many"}"#, "dimensions");
}

#[test]
fn openai_request_matches_callers_request() {
    let expected = r#"{"model":"n","input":["a","b"],"dimensions":2,"user":"u","odd":1.0}"#;
    check_request(&OPENAI, TWO, expected, "");
    check_request(
        &OPENAI,
        r#"{"model":"m","input":[1,2],"encoding_format":"base64"}"#,
        r#"{"model":"n","input":[[1,2]],"encoding_format":"base64"}"#,
        "",
    );
}

#[test]
fn length_of_vectors_has_the_upstreams_name() {
    check_request(
        &OpenAiEmbeddings { quirks: Quirks::MISTRAL },
        r#"{"model":"m","input":"a","dimensions":2}"#,
        r#"{"model":"n","input":["a"],"output_dimension":2}"#,
        "",
    );
}

#[test]
fn gemini_embeds_in_batches() {
    let one = |text: &str| {
        format!(
            r#"{{"model":"models/n","content":{{"parts":[{{"text":"{text}"}}]}},"outputDimensionality":2}}"#
        )
    };
    let expected = format!(r#"{{"requests":[{},{}]}}"#, one("a"), one("b"));
    check_request(&GeminiOutbound, TWO, &expected, "user odd");
    check_request(
        &GeminiOutbound,
        r#"{"model":"m","input":"a","task_type":"CLUSTERING"}"#,
        r#"{"requests":[{"model":"models/n","content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING"}]}"#,
        "",
    );
}

#[test]
fn ollama_embedding_input_is_sent_as_list() {
    let expected = r#"{"model":"n","input":["a","b"],"dimensions":2}"#;
    check_request(&OllamaOutbound::default(), TWO, expected, "user odd");
    check_request(
        &OllamaOutbound { num_ctx: Some(64), keep_alive: Some("5m".to_owned()) },
        r#"{"model":"m","input":"a","truncate":false}"#,
        r#"{"model":"n","input":["a"],"truncate":false,"keep_alive":"5m","options":{"num_ctx":64}}"#,
        "",
    );
}

#[test]
fn token_input_is_rejected_by_text_only_upstream() {
    let request = request(r#"{"model":"m","input":[1]}"#);
    for upstream in [&GeminiOutbound as &dyn EmbeddingDialect, &OllamaOutbound::default()] {
        let error = upstream.embed_request(&request, "n").unwrap_err();
        assert_eq!(error.param(), Some("input"));
    }
}

#[test]
fn vector_numbers_keep_their_digits() {
    let (first, second) = ("[1.50,-2]", "[0.1,1e-7]");
    let openai = format!(
        r#"{{"data":[{{"index":1,"embedding":{second}}},{{"index":0,"embedding":{first}}}],"model":"x","usage":{{"prompt_tokens":3,"total_tokens":3}}}}"#
    );
    check_answer(&OPENAI, &openai, "float", &embeddings_reply(first, second, "x", 3));
    let gemini = format!(r#"{{"embeddings":[{{"values":{first}}},{{"values":{second}}}]}}"#);
    check_answer(&GeminiOutbound, &gemini, "float", &embeddings_reply(first, second, "m", 0));
    let ollama =
        format!(r#"{{"model":"x","embeddings":[{first},{second}],"prompt_eval_count":4}}"#);
    check_answer(
        &OllamaOutbound::default(),
        &ollama,
        "float",
        &embeddings_reply(first, second, "x", 4),
    );
}

#[test]
fn encoding_format_is_converted_on_request() {
    let numbers = r#"{"data":[{"embedding":[1.0,-2.5]},{"embedding":[0.1]}]}"#;
    let base64 = r#"{"data":[{"embedding":"AACAPwAAIMA="},{"embedding":"zczMPQ=="}]}"#;
    let wanted = embeddings_reply(r#""AACAPwAAIMA=""#, r#""zczMPQ==""#, "m", 0);
    check_answer(&OPENAI, numbers, "base64", &wanted);
    check_answer(&OPENAI, base64, "base64", &wanted);
    check_answer(&OPENAI, base64, "float", &embeddings_reply("[1.0,-2.5]", "[0.1]", "m", 0));
}

#[test]
fn signed_bytes_become_numbers() {
    check_request(
        &SIGNED_BYTES,
        r#"{"model":"m","input":"a","dimensions":4}"#,
        r#"{"model":"n","input":["a"],"dimensions":4,"encoding_format":"base64_int8"}"#,
        "",
    );
    // 1, -1, 127 and -128 as bytes; each vector has as many numbers as dimensions.
    let answer = r#"{"data":[{"embedding":"Af9/gA=="},{"embedding":"AAECAw=="}]}"#;
    check_answer(
        &SIGNED_BYTES,
        answer,
        "float",
        &embeddings_reply("[1,-1,127,-128]", "[0,1,2,3]", "m", 0),
    );
    let asked = r#"{"model":"m","input":"a","dimensions":4,"encoding_format":"base64"}"#;
    let one = br#"{"data":[{"embedding":"Af9/gA=="}]}"#;
    let response = SIGNED_BYTES.read_embeddings(&request(asked), one).unwrap();
    let written = String::from_utf8(write_answer(&response, &request(asked))).unwrap();
    assert!(written.contains(r#""embedding":"AACAPwAAgL8AAP5CAAAAww==""#), "{written}");
}

#[test]
fn vector_that_is_too_long_or_not_finite_is_refused() {
    let asked = request(r#"{"model":"m","input":"a","dimensions":2}"#);
    let read = |embedding: &str| {
        let body = format!(r#"{{"data":[{{"embedding":{embedding}}}]}}"#);
        OPENAI.read_embeddings(&asked, body.as_bytes()).map(|it| it.vectors)
    };
    for exact in ["[1,2]", r#""AACAPwAAIMA=""#] {
        assert!(check_lengths(&asked, &read(exact).unwrap()).is_ok(), "{exact}");
    }
    for shorter in ["[1]", r#""zczMPQ==""#] {
        assert!(check_lengths(&asked, &read(shorter).unwrap()).is_err(), "{shorter}");
    }
    assert!(read("[1,2,3]").is_err() && read(r#""AACAPwAAIMAAAIA/""#).is_err());
    let bytes = br#"{"data":[{"embedding":"Af9/gA=="}]}"#;
    assert!(SIGNED_BYTES.read_embeddings(&asked, bytes).is_err(), "four instead of two");
    // Not a number, and infinity.
    assert!(read(r#""AADAfwAAwH8=""#).is_err() && read("[1e39,0]").is_err());
    let gemini = br#"{"embeddings":[{"values":[1,2,3]}]}"#;
    assert!(GeminiOutbound.read_embeddings(&asked, gemini).is_err());
    let ollama = br#"{"embeddings":[[1,2,3]]}"#;
    assert!(OllamaOutbound::default().read_embeddings(&asked, ollama).is_err());
}

#[test]
fn single_vector_response_is_accepted() {
    let request = request(r#"{"model":"m","input":"a"}"#);
    let answer = br#"{"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":2}}"#;
    let answer = GeminiOutbound.read_embeddings(&request, answer).unwrap();
    assert_eq!((answer.vectors.len(), answer.usage.unwrap().prompt()), (1, 2));
}

#[test]
fn invalid_response_is_an_error() {
    let request = request(r#"{"model":"m","input":"a"}"#);
    let check = |upstream: &dyn EmbeddingDialect, body: &str, kind| {
        let error = upstream.read_embeddings(&request, body.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), kind, "{body}");
    };
    for body in [
        "",
        "{}",
        r#"{"data":[]}"#,
        r#"{"data":[{"embedding":"AAA"}]}"#,
        r#"{"data":[{"embedding":"AAAA"}]}"#,
        r#"{"data":[{"embedding":["a"]}]}"#,
        r#"{"data":[{"embedding":[1]},{"embedding":[2]}]}"#,
    ] {
        check(&OPENAI, body, ErrorKind::UpstreamInvalid);
    }
    check(&GeminiOutbound, r#"{"embeddings":[{"values":5}]}"#, ErrorKind::UpstreamInvalid);
    check(&OllamaOutbound::default(), r#"{"embeddings":[]}"#, ErrorKind::UpstreamInvalid);
    check(&OPENAI, r#"{"error":{"message":"x"}}"#, ErrorKind::Upstream);
    check(&OllamaOutbound::default(), r#"{"error":"x"}"#, ErrorKind::Upstream);
    let busy = r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#;
    check(&GeminiOutbound, busy, ErrorKind::UpstreamOverloaded);
}
