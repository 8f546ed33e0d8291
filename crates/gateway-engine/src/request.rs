//! A request as it enters the engine: where it comes from, and what its headers ask for.

use crate::{InFlight, SessionDirective, context_fit::ContextMode, tools::ToolSelection};
use bytes::Bytes;
use gateway_core::{Attribution, CacheDirective, ProviderKey};
use gateway_limits::{AdmissionPermit, Client, Priority};
use gateway_sessions::idempotency::IdempotencyToken;
use gateway_wire::messages::VERSION_HEADER;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock},
};
use tokio::time::Instant;
use uuid::Uuid;

/// The origin of a request, and its options outside of the body.
#[derive(Debug)]
pub struct RequestHead {
    /// The request id: in the log, in the reply, and sent upstream.
    pub request_id: Arc<str>,
    /// The label of the endpoint, `/v1/messages` for example.
    pub path: &'static str,
    /// The caller's IP address.
    pub peer: IpAddr,
    /// The client that the caller is.
    pub client: Arc<Client>,
    /// The options outside of the body.
    pub options: Arc<RequestOptions>,
    /// The tags and the user of the request; absent if it has neither.
    pub attribution: Option<Arc<Attribution>>,
    /// The arrival time of the request.
    pub started: Instant,
    /// Counts the request as in progress until it is dropped.
    pub in_flight: Option<InFlight>,
}

/// A request whose body has been read.
#[derive(Debug)]
pub struct InboundRequest {
    /// The origin and the options.
    pub head: RequestHead,
    /// Its slot among the requests in progress, if there is a limit.
    pub permit: Option<AdmissionPermit>,
    /// The body as received.
    pub body: Bytes,
}

/// The options of a request outside of its body. The default sets none.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Clone, Debug, Default)]
pub struct RequestOptions {
    /// Refuse what a translation cannot carry, instead of dropping it.
    pub strict: bool,
    /// The cache directives.
    pub cache: CacheOptions,
    /// The session that the request names beside its body, and how its turn is taken.
    pub session: SessionDirective,
    /// The gateway's tools to offer.
    pub tools: ToolSelection,
    /// Show the gateway's tools at work in the stream.
    pub show_tool_events: bool,
    /// The handling of a long conversation by the context service; by its length if absent.
    pub context_mode: Option<ContextMode>,
    /// Report the routing decision in the reply.
    pub explain: bool,
    /// Report the cost at the end of a stream.
    pub report_stream_cost: bool,
    /// The request's priority; the client's default if absent.
    pub priority: Option<Priority>,
    /// The attempt of an idempotent request.
    pub idempotency: Option<IdempotencyToken>,
    /// The caller's `Idempotency-Key`, for tools that write.
    pub idempotency_key: Option<Arc<str>>,
    /// The caller's own key for the provider.
    pub provider_key: Option<ProviderKey>,
    /// W3C trace context, if the caller is tracing.
    pub traceparent: Option<Arc<str>>,
    /// Vendor part of the trace context.
    pub tracestate: Option<Arc<str>>,
    /// Headers that an upstream of the same dialect gets, names in lower case.
    pub forwarded_headers: Arc<[(&'static str, String)]>,
    /// The length of the reply must be known before it begins: to its caller, the end of the
    /// connection is the end of any other.
    pub needs_length: bool,
    /// The request comes from the platform's context service, and must not be sent back to it.
    pub from_context_service: bool,
}

/// The caller's cache directives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheOptions {
    /// The reason not to use the cache, if the caller forbids it.
    pub bypass: Option<&'static str>,
    /// The caller says that the request can be repeated, whatever its sampling.
    pub wanted: bool,
    /// The caller wants a response that does not come from the cache.
    pub refresh: bool,
}

impl RequestOptions {
    /// The options of a request that asks for nothing; most requests share them.
    pub fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<RequestOptions>> = LazyLock::new(Arc::default);
        Arc::clone(&NONE)
    }

    /// The version of its dialect's API that the caller asks for.
    pub(crate) fn api_version(&self) -> Option<&str> {
        let is_version = |(name, _): &&(&str, String)| *name == VERSION_HEADER;
        self.forwarded_headers.iter().find(is_version).map(|(_, version)| version.as_str())
    }
}

impl RequestHead {
    /// Returns the client and the attribution, for the failure of the request.
    pub(crate) fn sender(self) -> (Arc<Client>, Option<Arc<Attribution>>) {
        (self.client, self.attribution)
    }
}

impl InboundRequest {
    /// Creates a request of a program that embeds the engine, from this process.
    pub fn new(client: Arc<Client>, body: impl Into<Bytes>) -> Self {
        let attribution = client.attribution.clone();
        let head = RequestHead {
            request_id: Uuid::now_v7().to_string().into(),
            path: "embedded",
            peer: Ipv4Addr::LOCALHOST.into(),
            client,
            options: RequestOptions::none(),
            attribution,
            started: Instant::now(),
            in_flight: None,
        };
        Self { head, permit: None, body: body.into() }
    }
}

impl CacheOptions {
    /// Returns the cache directive for a request, depending on whether it continues a session.
    pub(crate) fn mode(self, has_session: bool) -> CacheDirective {
        match self.bypass {
            Some(reason) => CacheDirective::Bypass(reason),
            None if has_session => CacheDirective::Bypass("session"),
            None => CacheDirective::Allowed { wanted: self.wanted, refresh: self.refresh },
        }
    }
}
