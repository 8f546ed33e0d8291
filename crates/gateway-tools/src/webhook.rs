//! Notifications to a URL of the operator.

use crate::client::{ServiceClient, ServiceRequest};
use gateway_core::{ToolContext, ToolError};
use http::Method;
use std::time::Duration;
use thiserror::Error;
use tokio::time;

/// The timeout of one delivery.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest reply that is read.
const MAX_BYTES: usize = 1 << 16;

/// The failure of a delivery.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// The receiver did not reply in time.
    #[error("timed out")]
    TimedOut,
    /// The receiver is unreachable, or its reply is too large.
    #[error("{0}")]
    Failed(ToolError),
    /// The receiver returned a status other than 2xx.
    #[error("returned {0}")]
    Status(u16),
}

/// Sends `body` as JSON to `url`, once.
///
/// # Errors
///
/// If the receiver is unreachable, too slow, or returns a status other than 2xx.
pub async fn notify(client: &ServiceClient, url: &str, body: Vec<u8>) -> Result<(), DeliveryError> {
    let request = ServiceRequest {
        method: Method::POST,
        url: url.to_owned(),
        body: Some(body),
        max_bytes: MAX_BYTES,
    };
    let context = ToolContext::default();
    let reply = time::timeout(TIMEOUT, client.ask(request, &context)).await;
    let reply = reply.map_err(|_| DeliveryError::TimedOut)?.map_err(DeliveryError::Failed)?;
    if reply.status.is_success() {
        Ok(())
    } else {
        Err(DeliveryError::Status(reply.status.as_u16()))
    }
}
