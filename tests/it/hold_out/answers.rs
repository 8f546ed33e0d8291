//! What a provider answers, in the dialect in which it is asked.

use gateway_tests::{Script, openai};

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":3}}"#;
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"g","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi.","annotations":[]}]}],"usage":{"input_tokens":7,"output_tokens":3,"total_tokens":10}}"#;
const GEMINI: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi."}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":3,"totalTokenCount":10}}"#;

/// Returns the answer to a request at this path.
pub(super) fn answer(path: &str) -> Script {
    let body = if path.contains(":generateContent") {
        GEMINI.to_owned()
    } else if path.ends_with("/messages") {
        MESSAGE.to_owned()
    } else if path.ends_with("/responses") {
        RESPONSE.to_owned()
    } else {
        openai::whole("Hi.")
    };
    Script::json(200, body)
}
