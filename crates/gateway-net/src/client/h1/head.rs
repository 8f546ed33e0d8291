//! The head of a response, and the framing that it announces.
//!
//! Sans-IO: bytes and the time go in. A head that one read brings whole is parsed where it was read;
//! only one that comes in parts is buffered.

use super::{error::InvalidResponse, framing::BodyDecoder};
use crate::client::response::ResponseHead;
use http::StatusCode;
use httparse::{ParserConfig, Status};
use std::{mem::MaybeUninit, time::Duration};
use tokio::time::Instant;

/// The bound on interim (1xx) responses before the final one.
const MAX_INTERIM: u32 = 100;
/// The bound on header fields.
const MAX_HEADERS: usize = 100;
/// The bound on the size of a head, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// A head that is shorter than this is parsed again with every read.
const REPARSE_SMALL: usize = 1 << 10;

/// The parser of the head of one response, interim responses before it included.
#[derive(Debug)]
pub struct HeadParser {
    /// Whether the request was `HEAD`, whose response has no body.
    bodiless: bool,
    /// The time for a head, from its first byte to its last.
    limit: Duration,
    interim: u32,
    /// The first bytes of a head that is not whole.
    partial: Vec<u8>,
    /// The time at which its first byte came.
    since: Option<Instant>,
    /// The length at which it is worth parsing again though no empty line came.
    parse_at: usize,
}

/// The final head of a response.
#[derive(Debug)]
pub struct ParsedHead {
    /// The status and the header fields.
    pub head: ResponseHead,
    /// The decoder of the body.
    pub body: BodyDecoder,
    /// Whether the connection may be used again after the body.
    pub keep_alive: bool,
}

impl HeadParser {
    /// A parser for the response to a request, which was `HEAD` if `bodiless`. Each head must come
    /// within `limit`.
    pub const fn new(bodiless: bool, limit: Duration) -> Self {
        Self { bodiless, limit, interim: 0, partial: Vec::new(), since: None, parse_at: 0 }
    }

    /// Takes bytes that came at `now`. Returns the final head, and how many bytes of `input` belong
    /// to heads; `None` if more are needed.
    ///
    /// # Errors
    ///
    /// If a head is malformed, exceeds a bound, or came too slowly.
    pub fn push(
        &mut self,
        input: &[u8],
        now: Instant,
    ) -> Result<Option<(ParsedHead, usize)>, InvalidResponse> {
        if self.partial.is_empty() {
            let (parsed, used) = self.parse(input)?;
            if parsed.is_none() {
                self.partial.extend_from_slice(input.get(used..).unwrap_or_default());
                self.parse_at = self.partial.len() * 2;
                self.wait_for_more(now)?;
            }
            return Ok(parsed.map(|parsed| (parsed, used)));
        }
        let searched = self.partial.len();
        self.partial.extend_from_slice(input);
        if self.is_worth_parsing(searched) {
            let bytes = std::mem::take(&mut self.partial);
            let (parsed, used) = self.parse(&bytes)?;
            let rest = bytes.len() - used;
            if let Some(parsed) = parsed {
                return Ok(Some((parsed, input.len().saturating_sub(rest))));
            }
            if used > 0 {
                // A new head began with this input.
                self.since = None;
            }
            self.partial = bytes;
            self.partial.drain(..used);
            self.parse_at = self.partial.len() * 2;
        }
        self.wait_for_more(now)?;
        Ok(None)
    }

    /// Whether an empty line came since `searched` bytes were looked at, or so much that what is
    /// there should be checked.
    fn is_worth_parsing(&self, searched: usize) -> bool {
        let length = self.partial.len();
        if length < REPARSE_SMALL || length >= self.parse_at {
            return true;
        }
        let fresh = self.partial.get(searched.saturating_sub(3)..).unwrap_or_default();
        memchr::memmem::find(fresh, b"\n\r\n").is_some()
            || memchr::memmem::find(fresh, b"\n\n").is_some()
    }

    /// Checks the bounds of a head of which more is to come.
    fn wait_for_more(&mut self, now: Instant) -> Result<(), InvalidResponse> {
        let length = self.partial.len();
        if length == 0 {
            self.since = None;
            return Ok(());
        }
        if length > MAX_HEAD {
            return Err(InvalidResponse::HeadTooLong);
        }
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) > self.limit {
            return Err(InvalidResponse::HeadTooSlow);
        }
        Ok(())
    }

    /// Parses heads from the front of `bytes`: the final one if it is whole, and the number of bytes
    /// of those that are.
    fn parse(&mut self, bytes: &[u8]) -> Result<(Option<ParsedHead>, usize), InvalidResponse> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Ok((None, used));
            }
            let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut []);
            let parsed = ParserConfig::default()
                .parse_response_with_uninit_headers(&mut response, rest, &mut headers)
                .map_err(|error| match error {
                    httparse::Error::TooManyHeaders => InvalidResponse::HeadTooLong,
                    httparse::Error::HeaderName
                    | httparse::Error::HeaderValue
                    | httparse::Error::NewLine
                    | httparse::Error::Status
                    | httparse::Error::Token
                    | httparse::Error::Version => InvalidResponse::Head,
                })?;
            let Status::Complete(length) = parsed else { return Ok((None, used)) };
            if length > MAX_HEAD {
                return Err(InvalidResponse::HeadTooLong);
            }
            let framing = FramingFields::read(response.headers, response.version == Some(1))?;
            let status = StatusCode::from_u16(response.code.unwrap_or_default())
                .map_err(|_| InvalidResponse::Head)?;
            used += length;
            match status.as_u16() {
                101 => return Err(InvalidResponse::SwitchedProtocols),
                100..=199 => {
                    self.interim += 1;
                    if self.interim > MAX_INTERIM {
                        return Err(InvalidResponse::TooManyInterim);
                    }
                }
                _ => {
                    return Ok((Some(self.finish(status, response.headers, &framing)?), used));
                }
            }
        }
    }

    fn finish(
        &self,
        status: StatusCode,
        headers: &[httparse::Header<'_>],
        framing: &FramingFields,
    ) -> Result<ParsedHead, InvalidResponse> {
        let is_bodiless = self.bodiless || matches!(status.as_u16(), 204 | 304);
        let body = if is_bodiless { BodyDecoder::with_length(0) } else { framing.decoder()? };
        let is_delimited = is_bodiless || framing.chunked || framing.length.is_some();
        let fields = headers.iter().map(|header| (header.name, header.value.trim_ascii()));
        let head = ResponseHead::from_fields(status, fields);
        Ok(ParsedHead { head, body, keep_alive: framing.keep_alive && is_delimited })
    }
}

/// The header fields that decide on framing and on reuse.
struct FramingFields {
    is_1_1: bool,
    length: Option<u64>,
    chunked: bool,
    keep_alive: bool,
}

impl FramingFields {
    fn read(headers: &[httparse::Header<'_>], is_1_1: bool) -> Result<Self, InvalidResponse> {
        let mut fields = Self { is_1_1, length: None, chunked: false, keep_alive: is_1_1 };
        let mut closes = false;
        let mut encoded = false;
        for header in headers {
            let name = header.name;
            if name.eq_ignore_ascii_case("content-length") {
                fields.add_length(header.value)?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                // One coding, once: what else there might be was not asked for.
                fields.chunked = !encoded && header.value.eq_ignore_ascii_case(b"chunked");
                encoded = true;
            } else if name.eq_ignore_ascii_case("connection") {
                closes |= has_token(header.value, b"close");
                fields.keep_alive |= has_token(header.value, b"keep-alive");
            }
        }
        fields.keep_alive &= !closes;
        if encoded && fields.length.is_some() {
            return Err(InvalidResponse::ConflictingLength);
        }
        if encoded && !fields.chunked {
            return Err(InvalidResponse::TransferEncoding);
        }
        Ok(fields)
    }

    /// Takes a content length; several are accepted if they are equal.
    fn add_length(&mut self, value: &[u8]) -> Result<(), InvalidResponse> {
        for item in value.split(|&byte| byte == b',') {
            let length = parse_length(item.trim_ascii()).ok_or(InvalidResponse::ContentLength)?;
            if self.length.is_some_and(|other| other != length) {
                return Err(InvalidResponse::ContentLength);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    fn decoder(&self) -> Result<BodyDecoder, InvalidResponse> {
        match self.length {
            // HTTP/1.0 has no transfer codings.
            _ if self.chunked && !self.is_1_1 => Err(InvalidResponse::TransferEncoding),
            _ if self.chunked => Ok(BodyDecoder::chunked()),
            Some(length) => Ok(BodyDecoder::with_length(length)),
            None => Ok(BodyDecoder::until_close()),
        }
    }
}

/// Digits only, and less than [`u64::MAX`] by enough to count with.
fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let length = digits.iter().try_fold(0_u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })?;
    (length < u64::MAX - 1).then_some(length)
}

fn has_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|it| it.trim_ascii().eq_ignore_ascii_case(token))
}
