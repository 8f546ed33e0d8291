//! The failure of a request: the error, and the facts for its reply.

use gateway_core::GatewayError;
use gateway_engine::RequestFailure;
use gateway_limits::{Client, LimitError, RateLimitStatus};
use std::sync::Arc;

/// A request that failed before its reply began. Boxed, because it is seldom and large.
#[derive(Debug)]
pub(crate) struct FailedDispatch(pub(crate) Box<RequestFailure>);

impl FailedDispatch {
    /// The same failure, with the state of the caller's rate limits.
    pub(crate) fn with_rate_limits(mut self, status: RateLimitStatus) -> Self {
        self.0.facts.rate_limits = status;
        self
    }

    /// The same failure, of a request of `client`.
    pub(crate) fn of(mut self, client: &Arc<Client>) -> Self {
        let request = &mut self.0.request;
        request.client.get_or_insert_with(|| Arc::clone(client));
        request.attribution = request.attribution.take().or_else(|| client.attribution.clone());
        self
    }
}

impl From<GatewayError> for FailedDispatch {
    fn from(error: GatewayError) -> Self {
        Self(RequestFailure::early(error))
    }
}

impl From<LimitError> for FailedDispatch {
    fn from(LimitError { error, status }: LimitError) -> Self {
        Self::from(error).with_rate_limits(status)
    }
}

impl From<Box<RequestFailure>> for FailedDispatch {
    fn from(failure: Box<RequestFailure>) -> Self {
        Self(failure)
    }
}
