//! The table of relayed endpoints.

use gateway_core::ReplyUnit;

/// An endpoint whose requests are relayed.
#[derive(Clone, Copy, Debug)]
pub struct RelayEndpoint {
    /// The path under which callers reach it.
    pub path: &'static str,
    /// The path below the base URL of a provider.
    pub upstream: &'static str,
    /// The form of its requests.
    pub body: RelayBodyKind,
    /// The model of a request that names none.
    pub default_model: Option<&'static str>,
    /// The unit of a request that is counted before it is sent.
    pub request_unit: RequestUnit,
    /// The unit that a reply without tokens is billed by.
    pub reply_unit: ReplyUnit,
}

/// The form of a request's body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RelayBodyKind {
    /// A JSON object with a member `model`.
    Json,
    /// A multipart form with a field `model`, which passes on while it arrives.
    Form,
}

/// The unit of a request that is counted before it is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RequestUnit {
    /// None: its tokens are estimated by its length.
    None,
    /// The images that it asks for, in `n`.
    Images,
    /// The characters of `input`, which are spoken.
    Characters,
    /// The seconds of sound in it, by its length.
    Seconds,
}

/// A row of the table: path, path below the base URL, and what is read of requests and replies.
const fn row(
    path: &'static str,
    upstream: &'static str,
    (body, default_model): (RelayBodyKind, Option<&'static str>),
    (request_unit, reply_unit): (RequestUnit, ReplyUnit),
) -> RelayEndpoint {
    RelayEndpoint { path, upstream, body, default_model, request_unit, reply_unit }
}

/// Every relayed endpoint.
#[rustfmt::skip]
pub const RELAY_ENDPOINTS: &[RelayEndpoint] = &[
    row("/v1/images/generations", "/images/generations", (RelayBodyKind::Json, None),
        (RequestUnit::Images, ReplyUnit::Image)),
    row("/v1/images/edits", "/images/edits", (RelayBodyKind::Form, None),
        (RequestUnit::Images, ReplyUnit::Image)),
    row("/v1/images/variations", "/images/variations", (RelayBodyKind::Form, None),
        (RequestUnit::Images, ReplyUnit::Image)),
    row("/v1/audio/transcriptions", "/audio/transcriptions", (RelayBodyKind::Form, None),
        (RequestUnit::Seconds, ReplyUnit::Second)),
    row("/v1/audio/translations", "/audio/translations", (RelayBodyKind::Form, None),
        (RequestUnit::Seconds, ReplyUnit::Second)),
    row("/v1/audio/speech", "/audio/speech", (RelayBodyKind::Json, None),
        (RequestUnit::Characters, ReplyUnit::Request)),
    row("/v1/moderations", "/moderations", (RelayBodyKind::Json, Some("omni-moderation-latest")),
        (RequestUnit::None, ReplyUnit::Request)),
    row("/v1/rerank", "/rerank", (RelayBodyKind::Json, None),
        (RequestUnit::None, ReplyUnit::Request)),
    row("/v2/rerank", "/rerank", (RelayBodyKind::Json, None),
        (RequestUnit::None, ReplyUnit::Request)),
];

impl RelayEndpoint {
    /// Returns the endpoint at `path`.
    pub fn at(path: &str) -> Option<&'static Self> {
        RELAY_ENDPOINTS.iter().find(|endpoint| endpoint.path == path)
    }
}
