//! Token counting through `countTokens`.

use super::{GeminiOutbound, encode_request, errors::fault};
use crate::{EncodedRequest, TokenCounter, unreadable};
use gateway_core::{DroppedParams, ProviderRequest, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CountTokensResponseWire<'a> {
    total_tokens: Option<u64>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl TokenCounter for GeminiOutbound {
    fn encode_count(&self, call: &ProviderRequest) -> Result<EncodedRequest> {
        let mut dropped = DroppedParams::default();
        let body = encode_request::encode_count(call.request()?, &call.target, &mut dropped)?;
        Ok(EncodedRequest::whole(body, dropped))
    }

    fn read_count(&self, body: &[u8]) -> Result<u64> {
        let count: CountTokensResponseWire<'_> =
            serde_json::from_slice(body).map_err(unreadable)?;
        if let Some(error) = count.error {
            return Err(fault(error.get()).into_error());
        }
        // Nothing is written for nought.
        Ok(count.total_tokens.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ChatRequest, ErrorKind};

    #[test]
    fn count_request_holds_whole_request() {
        let call = ProviderRequest::new(ChatRequest::user("gemini-2.5-flash", "a"));
        let body = GeminiOutbound.encode_count(&call).unwrap().to_vec();
        let expected = r#"{"generateContentRequest":{"model":"models/gemini-2.5-flash","#
            .to_owned()
            + r#""contents":[{"role":"user","parts":[{"text":"a"}]}],"generationConfig":{}}}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn count_response_is_decoded() {
        let read = |body: &str| GeminiOutbound.read_count(body.as_bytes());
        assert_eq!(read(r#"{"totalTokens":5,"promptTokensDetails":[]}"#).unwrap(), 5);
        assert_eq!(read("{}").unwrap(), 0);
        assert_eq!(read("5").unwrap_err().kind(), ErrorKind::UpstreamInvalid);
        assert_eq!(read(r#"{"error":{"code":500}}"#).unwrap_err().kind(), ErrorKind::Upstream);
    }
}
