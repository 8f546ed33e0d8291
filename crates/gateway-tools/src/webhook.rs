//! Notifications to a URL of the operator.

use crate::client::{ServiceClient, ServiceRequest};
use gateway_core::ToolContext;
use http::Method;
use std::time::Duration;
use tokio::time;

/// The timeout of one delivery.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest reply that is read.
const MAX_BYTES: usize = 1 << 16;

/// Sends `body` as JSON to `url`, once.
///
/// # Errors
///
/// If the receiver is unreachable, too slow, or returns a status other than 2xx.
pub async fn notify(client: &ServiceClient, url: &str, body: Vec<u8>) -> Result<(), String> {
    let request = ServiceRequest {
        method: Method::POST,
        url: url.to_owned(),
        body: Some(body),
        max_bytes: MAX_BYTES,
    };
    let context = ToolContext::default();
    let reply = time::timeout(TIMEOUT, client.ask(request, &context)).await;
    let reply = reply.map_err(|_| "timed out".to_owned())?.map_err(|it| it.to_string())?;
    if reply.status.is_success() {
        Ok(())
    } else {
        Err(format!("returned {}", reply.status.as_u16()))
    }
}
