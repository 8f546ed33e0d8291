//! An API of a provider.

use crate::endpoint::Endpoint;
use gateway_wire::OutboundDialect;
use std::sync::Arc;

/// An API of a provider: dialect and address.
pub(crate) struct Api {
    /// The dialect of the API.
    pub(crate) upstream: Arc<dyn OutboundDialect>,
    /// The address to post a request to.
    pub(crate) endpoint: Endpoint,
}
