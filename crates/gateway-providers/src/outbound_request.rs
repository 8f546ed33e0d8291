//! A request to an upstream: its target, body and headers.

use bytes::Bytes;
use gateway_core::Context;
use gateway_net::client::{RequestTemplate, UploadBody};

/// A request as it is posted.
pub(crate) struct OutboundRequest {
    pub(crate) template: RequestTemplate,
    pub(crate) body: Vec<Bytes>,
    pub(crate) accept: &'static str,
    /// The body, if it is sent while it arrives.
    pub(crate) upload: Option<UploadBody>,
    /// Further fields, names in lower case.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl OutboundRequest {
    /// A request with a body that is at hand.
    pub(crate) const fn new(
        template: RequestTemplate,
        body: Vec<Bytes>,
        accept: &'static str,
    ) -> Self {
        Self { template, body, accept, upload: None, fields: Vec::new() }
    }

    /// A request for JSON.
    pub(crate) const fn json(template: RequestTemplate, body: Vec<Bytes>) -> Self {
        Self::new(template, body, "application/json")
    }
}

/// The fields that identify the request, and those of the caller that an upstream of the same
/// dialect is given.
pub(crate) fn context_headers(
    context: &Context,
    same_dialect: bool,
) -> impl Iterator<Item = (&str, &str)> + Clone {
    let request_id = Some(&*context.request_id).filter(|id| !id.is_empty());
    let known = [
        ("x-request-id", request_id),
        ("traceparent", context.traceparent.as_deref()),
        ("tracestate", context.tracestate.as_deref()),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let passed = if same_dialect { &*context.headers } else { &[] };
    known.chain(passed.iter().map(|(name, value)| (*name, value.as_str())))
}
