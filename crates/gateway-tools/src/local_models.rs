//! The models of local servers, as they report them.

use crate::client::{ServiceClient, ServiceRequest};
use gateway_core::{ToolContext, ToolError};
use http::Method;
use serde::Deserialize;
use std::time::Duration;
use thiserror::Error;
use tokio::time;

/// A model that a local server has, and its context window in tokens if the server reports it.
pub type ReportedModel = (String, Option<u64>);

/// Timeout of the service.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest list that is read.
const MAX_BYTES: usize = 1 << 20;

/// The reason why the models of a local server are unknown.
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

#[derive(Deserialize)]
struct OllamaList {
    models: Vec<OllamaModel>,
}

#[derive(Deserialize)]
struct OllamaModel {
    name: String,
}

/// Fetches the models of the server at `base_url`, which has Ollama's API if `is_ollama`, else
/// OpenAI's.
///
/// # Errors
///
/// If the server is unreachable, too slow, or sends an unexpected reply.
pub async fn reported_models(
    client: &ServiceClient,
    base_url: &str,
    is_ollama: bool,
) -> Result<Vec<ReportedModel>, ModelListError> {
    let base = base_url.trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let url = format!("{base}{}", if is_ollama { "/api/tags" } else { "/v1/models" });
    let question = ServiceRequest { method: Method::GET, url, body: None, max_bytes: MAX_BYTES };
    let context = ToolContext::default();
    let reply = time::timeout(TIMEOUT, client.ask(question, &context)).await;
    let reply = reply.map_err(|_| ModelListError::TimedOut)?.map_err(ModelListError::Call)?;
    if !reply.status.is_success() {
        return Err(ModelListError::Status(reply.status.as_u16()));
    }
    Ok(read(&reply.body, is_ollama)?)
}

fn read(body: &[u8], is_ollama: bool) -> serde_json::Result<Vec<ReportedModel>> {
    if is_ollama {
        let list: OllamaList = serde_json::from_slice(body)?;
        return Ok(list.models.into_iter().map(|model| (model.name, None)).collect());
    }
    let list: ModelList = serde_json::from_slice(body)?;
    let window = |model: &ListedModel| model.context_length.filter(|it| *it > 0);
    Ok(list
        .data
        .into_iter()
        .map(|model| (window(&model), model.id))
        .map(|(it, id)| (id, it))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_read_with_the_windows_that_are_known() {
        let body = br#"{"data":[{"id":"phi-4","status":"loaded","context_length":4096},
            {"id":"x","context_length":null},{"id":"z","context_length":0}],"config":{}}"#;
        let expected =
            [("phi-4".to_owned(), Some(4096)), ("x".to_owned(), None), ("z".to_owned(), None)];
        assert_eq!(read(body, false).unwrap(), expected);
        let body = br#"{"models":[{"name":"qwen3:8b","size":1}]}"#;
        assert_eq!(read(body, true).unwrap(), [("qwen3:8b".to_owned(), None)]);
    }

    #[test]
    fn unexpected_model_list_is_rejected() {
        assert!(read(b"{}", false).is_err());
        assert!(read(b"<html>", true).is_err());
    }
}
