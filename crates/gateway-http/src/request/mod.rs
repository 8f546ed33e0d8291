//! What is known of a request before its body is read.

pub(crate) mod id;
pub(crate) mod options;
pub mod peer;

use gateway_engine::InFlight;
use std::{net::IpAddr, sync::Arc};
use tokio::time::Instant;

/// Where a request comes from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The label of the endpoint.
    pub(crate) path: &'static str,
    /// The request id.
    pub(crate) request_id: Arc<str>,
    /// The caller's address.
    pub(crate) peer: IpAddr,
    /// When the request arrived.
    pub(crate) started: Instant,
    /// Counts the request as in progress until it is dropped.
    pub(crate) in_flight: InFlight,
}
