//! The outbound side of Chat Completions.

use super::{
    decode_response::ChatResponseDecoder,
    encode_request, errors, normalize,
    passthrough::ChatPassthrough,
    quirks::{Quirks, ResponseHandling},
    request_edits::edit_request,
    stream_reader::ChatStreamReader,
    usage_scan,
};
use crate::{
    EncodedRequest, ErrorReply, IdGenerator, OutboundDialect, StreamReader,
    seals::{
        filter::{SealFilter, SealMarker},
        release,
    },
    unreadable,
};
use bytes::Bytes;
use gateway_core::{
    Chunk, Dialect, DroppedParams, GatewayError, Inspection, Payload, ProviderRequest, RawRequest,
    Result,
};

/// The outbound side: `OpenAI` and compatible upstreams.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChatOutbound {
    /// The upstream's deviations from `OpenAI`.
    pub quirks: Quirks,
}

impl ChatOutbound {
    /// The caller's own bytes, if they are what is sent and the response is to be passed on.
    fn passthrough_request(call: &ProviderRequest) -> Option<&RawRequest> {
        call.original(Dialect::Chat).filter(|original| original.envelope.stream == call.stream)
    }

    /// The number of choices that the response must have.
    fn expected_choices(call: &ProviderRequest) -> usize {
        if let Some(original) = Self::passthrough_request(call)
            && !original.may_have("n")
        {
            return 1;
        }
        let n = call.request().ok().and_then(|request| request.options.n);
        n.and_then(|n| usize::try_from(n).ok()).unwrap_or(1)
    }

    /// The model's name, as the caller knows it.
    fn requested_model(call: &ProviderRequest) -> String {
        match &call.payload {
            gateway_core::Payload::Raw(original) => original.envelope.model.clone(),
            gateway_core::Payload::Parsed(request) => request.model.clone(),
            gateway_core::Payload::Relayed(_) => String::new(),
        }
    }
}

impl OutboundDialect for ChatOutbound {
    fn dialect(&self) -> Dialect {
        Dialect::Chat
    }

    fn encode(&self, call: &ProviderRequest) -> Result<EncodedRequest> {
        let mut dropped = DroppedParams::default();
        if let Some(original) = Self::passthrough_request(call) {
            let body = edit_request(&self.quirks, original, &call.target, &mut dropped);
            return Ok(EncodedRequest { body, dropped });
        }
        let request = call.request()?;
        let body =
            encode_request::encode(&self.quirks, request, &call.target, call.stream, &mut dropped);
        if call.strict {
            dropped.require_empty()?;
        }
        Ok(EncodedRequest::whole(body, dropped))
    }

    fn release_seals(
        &self,
        call: &ProviderRequest,
        filter: &mut SealFilter,
    ) -> Result<Option<Payload>> {
        release::release_request(call, Dialect::Chat, filter, |request, filter| {
            super::seals::release(&self.quirks, request, filter)
        })
    }

    fn seal_marker(&self) -> Option<SealMarker> {
        (self.quirks.answers != ResponseHandling::Verbatim).then_some(super::seals::mark)
    }

    fn read_whole(&self, call: &ProviderRequest, body: Bytes, ids: IdGenerator) -> Result<Chunk> {
        let start = body.len() - body.trim_ascii_start().len();
        let body = body.slice(start..);
        let text =
            std::str::from_utf8(&body).map_err(|_| unreadable("the response is not UTF-8"))?;
        let passes_through = Self::passthrough_request(call).is_some();
        let normalized = match self.quirks.answers {
            ResponseHandling::Verbatim => None,
            ResponseHandling::Normalized | ResponseHandling::Renamed => {
                let renames = self.quirks.answers == ResponseHandling::Renamed;
                Some(normalize::whole(text, ids.clone(), &Self::requested_model(call), renames)?)
            }
        };
        let text = normalized.as_deref().unwrap_or(text);
        let events = if passes_through && call.inspection == Inspection::UsageOnly {
            usage_scan::scan(text)?
        } else {
            let mut events = Vec::new();
            ChatResponseDecoder::whole(ids).read(text, &mut events)?;
            events
        };
        if !passes_through {
            return Ok(Chunk::from_events(events));
        }
        let verbatim = Some(normalized.map_or_else(|| body.clone(), Bytes::from));
        Ok(Chunk { events, verbatim, output: true, ..Chunk::default() })
    }

    fn passes_bytes_unchanged(&self) -> bool {
        self.quirks.answers == ResponseHandling::Verbatim
    }

    fn reader(&self, call: &ProviderRequest, ids: IdGenerator) -> Box<dyn StreamReader> {
        let expected = Self::expected_choices(call);
        let passthrough = Self::passthrough_request(call);
        let wants_usage = passthrough.is_some_and(|original| original.envelope.stream_usage);
        let decoder = ChatResponseDecoder::chunks(ids.clone());
        let normalizer = match self.quirks.answers {
            ResponseHandling::Verbatim => None,
            ResponseHandling::Normalized => Some(normalize::Normalizer::new(
                ids,
                Self::requested_model(call),
                false,
                wants_usage,
            )),
            ResponseHandling::Renamed => Some(normalize::Normalizer::new(
                ids,
                Self::requested_model(call),
                true,
                wants_usage,
            )),
        };
        match (normalizer, passthrough) {
            (None, Some(_)) => {
                Box::new(ChatPassthrough::new(decoder, call.inspection, expected, wants_usage))
            }
            (Some(normalizer), Some(_)) => Box::new(ChatStreamReader::normalizing(
                decoder,
                normalizer,
                call.inspection,
                expected,
            )),
            (normalizer, None) => {
                Box::new(ChatStreamReader::translating(decoder, normalizer, expected))
            }
        }
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        errors::read(reply, self.quirks.permanent_failures)
    }
}
