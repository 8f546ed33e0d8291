//! The inbound side of `generateContent`.
//!
//! The model's name and whether to stream are in the address of a request. The members `model` and
//! `stream`, which this API does not have, carry them in the body: see [`body_with_address`].

use super::{decode_request, encode_error, encode_response, stream_writer::GeminiStreamWriter};
use crate::{
    InboundDialect, ResponseContext, StreamWriter,
    json::{self, JsonLimits},
    splice,
};
use bytes::Bytes;
use gateway_core::{
    ChatRequest, ChatResponse, Dialect, Envelope, GatewayError, Result, ServiceTier,
};
use serde::Deserialize;

/// The inbound side of `generateContent`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GeminiInbound;

impl InboundDialect for GeminiInbound {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn complete_envelope(&self, body: &[u8], envelope: &mut Envelope) {
        let bounds: BoundsWire = serde_json::from_slice(body).unwrap_or_default();
        let config = bounds.generation_config.unwrap_or_default();
        envelope.max_output = config.max_output_tokens;
        let tier = bounds.service_tier.as_deref().map(decode_request::service_tier);
        envelope.tier = tier.and_then(|tier| ServiceTier::from_request(&tier));
    }

    fn decode(&self) -> fn(&[u8]) -> Result<ChatRequest> {
        decode_request::decode
    }

    fn write_whole(&self, answer: ChatResponse, reply: ResponseContext) -> Vec<u8> {
        encode_response::encode(&answer, reply)
    }

    fn writer(&self, reply: ResponseContext) -> Box<dyn StreamWriter> {
        Box::new(GeminiStreamWriter::new(reply))
    }

    fn write_error(&self, error: &GatewayError, request_id: &str) -> Vec<u8> {
        serde_json::to_vec(&encode_error::body(error, request_id)).unwrap_or_default()
    }
}

/// The members of a request by which its client's limits and its price are reckoned.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BoundsWire {
    #[serde(alias = "generation_config")]
    generation_config: Option<ConfigBoundsWire>,
    #[serde(alias = "service_tier")]
    service_tier: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConfigBoundsWire {
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<u64>,
}

/// Returns `body` with what the address says: the model, and whether to stream. A body that is no
/// object is returned as it is; a model in the body gives way to the one in the address.
///
/// ```
/// use bytes::Bytes;
/// use gateway_wire::gemini::body_with_address;
///
/// let body = body_with_address(&Bytes::from_static(br#"{"contents":[]}"#), "m", true);
/// assert_eq!(body, r#"{"model":"m","stream":true,"contents":[]}"#);
/// ```
pub fn body_with_address(body: &Bytes, model: &str, stream: bool) -> Bytes {
    let mut own = Vec::new();
    let limits = JsonLimits { depth: usize::MAX };
    let mut end = None;
    let read = json::members(body, &limits, |member| {
        if member.key == "model" {
            // With the comma before it, or else the one behind it.
            own.push((end.unwrap_or(member.key_span.start), member.value_span.end, end.is_none()));
        } else if let Some((_, until, is_first @ true)) = own.last_mut() {
            *until = member.key_span.start;
            *is_first = false;
        }
        end = Some(member.value_span.end);
    });
    if read.is_err() {
        return body.clone();
    }
    let edits = own.into_iter().map(|(from, until, _)| (from..until, Bytes::new())).collect();
    let rest: Bytes = splice::splice(body, edits).concat().into();
    let Some(open) = rest.iter().position(|byte| *byte == b'{') else { return rest };
    let members = rest.get(open + 1..).unwrap_or_default();
    let mut out = Vec::with_capacity(rest.len() + model.len() + 32);
    out.extend_from_slice(b"{\"model\":");
    out.extend_from_slice(&splice::literal(model));
    out.extend_from_slice(if stream { b",\"stream\":true" } else { b"" });
    let is_empty = members.trim_ascii_start().starts_with(b"}");
    out.extend_from_slice(if is_empty { b"" } else { b"," });
    out.extend_from_slice(members);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &'static str, expected: &str) {
        let body = body_with_address(&Bytes::from_static(body.as_bytes()), "a\"b", true);
        assert_eq!(body, expected);
    }

    #[test]
    fn model_of_the_address_replaces_the_one_in_the_body() {
        let (start, end) = (r#"{"model":"a\"b","stream":true"#, r#""x":{"model":"y"}}"#);
        check("{}", &format!("{start}}}"));
        check(r#" { "x":{"model":"y"}}"#, &format!("{start}, {end}"));
        check(r#"{"model":"m"}"#, &format!("{start}}}"));
        check(r#"{"model":"m", "x":{"model":"y"}}"#, &format!("{start},{end}"));
        check(r#"{"a":1,"model":"m","x":{"model":"y"}}"#, &format!(r#"{start},"a":1,{end}"#));
        check("[1]", "[1]");
        check("{", "{");
    }

    #[test]
    fn limits_are_read_of_the_generation_config() {
        let check = |body: &str, expected| {
            let mut envelope = Envelope::default();
            GeminiInbound.complete_envelope(body.as_bytes(), &mut envelope);
            assert_eq!((envelope.max_output, envelope.tier), expected);
        };
        let flex = Some(ServiceTier::Flex);
        check(
            r#"{"generationConfig":{"maxOutputTokens":7},"serviceTier":"flex"}"#,
            (Some(7), flex),
        );
        check(r#"{"generation_config":{"max_output_tokens":7}}"#, (Some(7), None));
        check(r#"{"max_tokens":7,"serviceTier":"standard"}"#, (None, None));
    }
}
