//! The properties of a request that are known before its body is read.

pub(crate) mod attribution;
pub(crate) mod id;
pub(crate) mod options;
pub mod peer;
pub(crate) mod query;

use gateway_engine::InFlight;
use http::Method;
use std::{net::IpAddr, sync::Arc};
use tokio::time::Instant;

/// The origin of a request.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The label of the endpoint.
    pub(crate) path: &'static str,
    /// The id of the request, in logs and headers.
    pub(crate) request_id: Arc<str>,
    /// The caller's IP address.
    pub(crate) peer: IpAddr,
    /// The arrival time of the request.
    pub(crate) started: Instant,
    /// Counts the request as in progress until it is dropped.
    pub(crate) in_flight: InFlight,
}

/// A request as it arrives.
#[derive(Clone, Copy)]
pub(crate) struct ArrivedRequest<'a> {
    pub(crate) request_id: &'a Arc<str>,
    /// The address of the connection.
    pub(crate) peer: IpAddr,
    pub(crate) started: Instant,
}

/// A method as a metric label: one that no endpoint serves is `other`.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "PUT" => "PUT",
        "OPTIONS" => "OPTIONS",
        "HEAD" => "HEAD",
        _ => "other",
    }
}
