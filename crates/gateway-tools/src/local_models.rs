//! Context windows of local models, from the inference service.

use crate::client::{ServiceClient, ServiceRequest};
use gateway_core::{ToolContext, ToolError};
use http::Method;
use serde::Deserialize;
use std::{collections::HashMap, time::Duration};
use thiserror::Error;
use tokio::time;

/// The context windows of an inference service, in tokens, by model name.
pub type ContextWindows = HashMap<String, u64>;

/// Timeout of the service.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest list that is read.
const MAX_BYTES: usize = 1 << 20;

/// The reason why the context windows of an inference service are unknown.
#[derive(Debug, Error)]
pub enum ModelListError {
    /// The service did not reply in time.
    #[error("timed out")]
    TimedOut,
    /// The service is unreachable, or its reply is cut or too large.
    #[error("{}", .0.message)]
    Call(ToolError),
    /// The service replied with another status than success.
    #[error("returned {0}")]
    Status(u16),
    /// The reply is not a list of models.
    #[error(transparent)]
    Unreadable(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct ModelList {
    data: Vec<ListedModel>,
}

#[derive(Deserialize)]
struct ListedModel {
    id: String,
    #[serde(default)]
    context_length: Option<u64>,
}

/// Fetches the context windows of the models at `base_url`.
///
/// # Errors
///
/// If the service is unreachable, too slow, or sends an unexpected reply.
pub async fn windows(
    client: &ServiceClient,
    base_url: &str,
) -> Result<ContextWindows, ModelListError> {
    let base = base_url.trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let url = format!("{base}/v1/models");
    let question = ServiceRequest { method: Method::GET, url, body: None, max_bytes: MAX_BYTES };
    let context = ToolContext::default();
    let reply = time::timeout(TIMEOUT, client.ask(question, &context)).await;
    let reply = reply.map_err(|_| ModelListError::TimedOut)?.map_err(ModelListError::Call)?;
    if !reply.status.is_success() {
        return Err(ModelListError::Status(reply.status.as_u16()));
    }
    Ok(read(&reply.body)?)
}

fn read(body: &[u8]) -> serde_json::Result<ContextWindows> {
    let list: ModelList = serde_json::from_slice(body)?;
    let windows = list.data.into_iter().filter_map(|model| Some((model.id, model.context_length?)));
    Ok(windows.filter(|(_, window)| *window > 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_windows_are_read_and_missing_ones_skipped() {
        let body = br#"{"data":[{"id":"phi-4","status":"loaded","context_length":4096},
            {"id":"x","context_length":null},{"id":"y"},{"id":"z","context_length":0}],"config":{}}"#;
        assert_eq!(read(body).unwrap(), ContextWindows::from([("phi-4".to_owned(), 4096)]));
    }

    #[test]
    fn unexpected_model_list_is_rejected() {
        assert!(read(b"{}").is_err());
        assert!(read(b"<html>").is_err());
    }
}
