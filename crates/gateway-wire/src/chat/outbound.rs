//! The side that faces upstreams.

use super::{
    decode_response::Decoder,
    encode_request, errors, normalize,
    passthrough::Relay,
    quirks::{Answers, Quirks},
    request_edits::adapt,
    stream_reader::Reader,
    usage_scan,
};
use crate::{Encoded, ErrorReply, Ids, StreamReader, Upstream, unreadable};
use bytes::Bytes;
use gateway_core::{
    Chunk, Dialect, DroppedParams, GatewayError, Inspection, ProviderRequest, RawRequest, Result,
};
use memchr::memmem;

/// The side that faces upstreams.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChatUpstream {
    /// What the upstream makes of the dialect.
    pub quirks: Quirks,
}

impl ChatUpstream {
    /// The caller's own bytes, if they are what is sent and the answer is to be passed on.
    fn relayed(call: &ProviderRequest) -> Option<&RawRequest> {
        call.original(Dialect::Chat).filter(|original| original.envelope.stream == call.stream)
    }

    /// How many choices the answer must have.
    fn expected(call: &ProviderRequest) -> usize {
        if let Some(original) = Self::relayed(call)
            && memmem::find(&original.body, b"\"n\"").is_none()
        {
            return 1;
        }
        let n = call.request().ok().and_then(|request| request.options.n);
        n.and_then(|n| usize::try_from(n).ok()).unwrap_or(1)
    }

    /// The model's name, as the caller knows it.
    fn asked(call: &ProviderRequest) -> String {
        match &call.payload {
            gateway_core::Payload::Raw(original) => original.envelope.model.clone(),
            gateway_core::Payload::Parsed(request) => request.model.clone(),
        }
    }
}

impl Upstream for ChatUpstream {
    fn dialect(&self) -> Dialect {
        Dialect::Chat
    }

    fn encode(&self, call: &ProviderRequest) -> Result<Encoded> {
        let model = &call.target.model;
        if let Some(original) = Self::relayed(call) {
            let body = adapt(&self.quirks, original, model);
            return Ok(Encoded { body, dropped: DroppedParams::default() });
        }
        let mut dropped = DroppedParams::default();
        let request = call.request()?;
        let body = encode_request::encode(&self.quirks, request, model, call.stream, &mut dropped);
        if call.strict {
            dropped.require_empty()?;
        }
        Ok(Encoded::whole(body, dropped))
    }

    fn read_whole(&self, call: &ProviderRequest, body: Bytes, ids: Ids) -> Result<Chunk> {
        let start = body.len() - body.trim_ascii_start().len();
        let body = body.slice(start..);
        let text = std::str::from_utf8(&body).map_err(|_| unreadable("an answer is not UTF-8"))?;
        let relays = Self::relayed(call).is_some();
        let mended = match self.quirks.answers {
            Answers::Verbatim => None,
            Answers::Mended | Answers::Renamed => {
                let renames = self.quirks.answers == Answers::Renamed;
                Some(normalize::whole(text, ids.clone(), &Self::asked(call), renames)?)
            }
        };
        let text = mended.as_deref().unwrap_or(text);
        let events = if relays && call.inspection == Inspection::UsageOnly {
            usage_scan::read(text)?
        } else {
            let mut events = Vec::new();
            Decoder::whole(ids).read(text, &mut events)?;
            events
        };
        if !relays {
            return Ok(Chunk::from_events(events));
        }
        let verbatim = Some(mended.map_or_else(|| body.clone(), Bytes::from));
        Ok(Chunk { events, verbatim, output: true, ..Chunk::default() })
    }

    fn reader(&self, call: &ProviderRequest, ids: Ids) -> Box<dyn StreamReader> {
        let expected = Self::expected(call);
        let relayed = Self::relayed(call);
        let wants_usage = relayed.is_some_and(|original| original.envelope.stream_usage);
        let decoder = Decoder::chunks(ids.clone());
        let mender = match self.quirks.answers {
            Answers::Verbatim => None,
            Answers::Mended => {
                Some(normalize::Mender::new(ids, Self::asked(call), false, wants_usage))
            }
            Answers::Renamed => {
                Some(normalize::Mender::new(ids, Self::asked(call), true, wants_usage))
            }
        };
        match (mender, relayed) {
            (None, Some(_)) => {
                Box::new(Relay::new(decoder, call.inspection, expected, wants_usage))
            }
            (Some(mender), Some(_)) => {
                Box::new(Reader::mending(decoder, mender, call.inspection, expected))
            }
            (mender, None) => Box::new(Reader::translating(decoder, mender, expected)),
        }
    }

    fn read_error(&self, reply: &ErrorReply<'_>) -> GatewayError {
        errors::read(reply, self.quirks.permanent_failures)
    }
}
