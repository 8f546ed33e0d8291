//! The client of the platform's context-management service.

use crate::{
    client::{ServiceClient, ServiceRequest},
    service_circuit::ServiceCircuit,
};
use async_trait::async_trait;
use gateway_core::{
    Context, ContextService, ContextShortening, ErrorKind, GatewayError, Result, ToolContext,
    ToolError, ToolErrorCode, sync,
};
use gateway_resilience::breaker;
use http::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{self, Instant};

/// The context-management service at an address.
///
/// It is asked nothing while it is known to fail. Whether it is healthy is asked every two seconds
/// at most, however many requests want to know.
pub struct ContextManagementClient {
    /// Without a slash at its end.
    base_url: String,
    timeout: Duration,
    client: ServiceClient,
    guard: ServiceCircuit,
    health: Mutex<Option<ServiceHealth>>,
}

/// Lifetime of a cached health result.
const FRESH: Duration = Duration::from_secs(2);
/// The longest answer that is read: a text may be as long as a request's body.
const MAX_BYTES: usize = 32 << 20;

/// The last known health of the service.
#[derive(Clone, Copy, Debug)]
struct ServiceHealth {
    healthy: bool,
    until: Instant,
}

#[derive(Serialize)]
struct ProcessRequest<'a> {
    text: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    optimization_config: Option<ChunkingReply>,
}

#[derive(Serialize)]
struct ChunkingReply {
    chunking: bool,
}

#[derive(Deserialize)]
struct TokenCountReply {
    token_count: u64,
}

#[derive(Deserialize)]
struct ProcessReply {
    #[serde(default)]
    optimized_text: Option<String>,
    #[serde(default)]
    chunks: Option<Vec<TextChunk>>,
    #[serde(default)]
    fidelity_passed: Option<bool>,
    #[serde(default)]
    rolled_back: bool,
}

#[derive(Deserialize)]
struct TextChunk {
    #[serde(default)]
    sequence: u64,
    content: String,
    #[serde(default)]
    start_offset: Option<usize>,
    #[serde(default)]
    end_offset: Option<usize>,
}

impl ContextManagementClient {
    /// The service at `base_url`, each of whose answers may take `timeout`. `random` draws from 0
    /// to 1.
    pub fn new(
        base_url: &str,
        timeout: Duration,
        client: ServiceClient,
        random: fn() -> f64,
    ) -> Self {
        Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            timeout,
            client,
            guard: ServiceCircuit::new(breaker::BreakerPolicy::default(), random),
            health: Mutex::new(None),
        }
    }

    /// Returns the last known health, unless this caller is to check it. Others use the last result
    /// while one checks.
    fn known(&self) -> Option<bool> {
        let mut health = sync::lock(&self.health);
        let last = health.as_mut()?;
        let now = Instant::now();
        if now < last.until {
            return Some(last.healthy);
        }
        last.until = now + self.timeout;
        None
    }

    fn learn(&self, healthy: bool) {
        let news = ServiceHealth { healthy, until: Instant::now() + FRESH };
        *sync::lock(&self.health) = Some(news);
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        context: &Context,
    ) -> Result<bytes::Bytes, ToolError> {
        let permit = self.guard.admit()?;
        let url = format!("{}{path}", self.base_url);
        let question = ServiceRequest { method, url, body, max_bytes: MAX_BYTES };
        let beside = beside(context);
        let asking = time::timeout(self.timeout, self.client.ask(question, &beside));
        let reply = asking.await.unwrap_or_else(|_| {
            Err(ToolError::new(ToolErrorCode::Timeout, "the context service timed out"))
        });
        let answer = reply.and_then(|reply| {
            if reply.status.is_success() {
                return Ok(reply.body);
            }
            let message = format!("the context service returned {}", reply.status.as_u16());
            let error = ToolError::new(ToolErrorCode::UpstreamStatus, message);
            Err(error.with_upstream_status(reply.status.as_u16()))
        });
        permit.report(answer.as_ref().err());
        answer
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        text: &ProcessRequest<'_>,
        context: &Context,
    ) -> Result<T> {
        let body = serde_json::to_vec(text).unwrap_or_default();
        let answer = self.ask(Method::POST, path, Some(body), context).await;
        let answer = answer.map_err(|error| unavailable(error.to_string()))?;
        serde_json::from_slice(&answer).map_err(|error| {
            unavailable("the context service's response is unreadable".to_owned())
                .with_source(error)
        })
    }
}

#[async_trait]
impl ContextService for ContextManagementClient {
    async fn is_healthy(&self) -> bool {
        if let Some(known) = self.known() {
            return known;
        }
        let asked = self.ask(Method::GET, "/health", None, &Context::default()).await;
        self.learn(asked.is_ok());
        asked.is_ok()
    }

    async fn count(&self, text: &str, model: &str, context: &Context) -> Result<u64> {
        let text = ProcessRequest { text, model, optimization_config: None };
        let counted: TokenCountReply = self.post("/v1/context/validate", &text, context).await?;
        Ok(counted.token_count)
    }

    async fn shorten(
        &self,
        text: &str,
        model: &str,
        how: ContextShortening,
        context: &Context,
    ) -> Result<Option<String>> {
        let optimization_config = match how {
            ContextShortening::Whole => None,
            ContextShortening::Pieces => Some(ChunkingReply { chunking: true }),
        };
        let question = ProcessRequest { text, model, optimization_config };
        let processed: ProcessReply = self.post("/v1/context/process", &question, context).await?;
        Ok(processed.text().filter(|shorter| shorter.len() < text.len()))
    }
}

impl ProcessReply {
    /// The text that was made, unless the service itself does not stand by it.
    fn text(self) -> Option<String> {
        if self.rolled_back || self.fidelity_passed == Some(false) {
            return None;
        }
        self.optimized_text.or_else(|| self.chunks.map(joined)).filter(|text| !text.is_empty())
    }
}

/// Returns the chunks joined in their order; the overlap of two unchanged neighbors appears once.
fn joined(mut chunks: Vec<TextChunk>) -> String {
    chunks.sort_by_key(|chunk| chunk.sequence);
    let (mut text, mut told) = (String::new(), 0);
    for chunk in chunks {
        let (start, end) = (chunk.start_offset.unwrap_or(told), chunk.end_offset.unwrap_or(0));
        let untouched = chunk.content.chars().count() == end.saturating_sub(start);
        let shared = if untouched { told.saturating_sub(start) } else { 0 };
        text.extend(chunk.content.chars().skip(shared));
        told = told.max(end);
    }
    text
}

/// Returns the tool context that forwards the request to the service.
fn beside(context: &Context) -> ToolContext {
    ToolContext {
        tenant: Arc::clone(&context.tenant),
        request_id: Arc::clone(&context.request_id),
        traceparent: context.traceparent.clone(),
        tracestate: context.tracestate.clone(),
        ..ToolContext::default()
    }
}

fn unavailable(why: String) -> GatewayError {
    GatewayError::new(ErrorKind::Unavailable, why)
}

impl fmt::Debug for ContextManagementClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextManagement")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: Option<&str>) {
        let processed: ProcessReply = serde_json::from_str(answer).unwrap();
        assert_eq!(processed.text().as_deref(), expected);
    }

    #[test]
    fn shortened_text_is_used_unchanged() {
        check(r#"{"optimized_text":"short","chunks":null,"rolled_back":false}"#, Some("short"));
        check(r#"{"optimized_text":null}"#, None);
        check(r#"{"optimized_text":""}"#, None);
    }

    #[test]
    fn unconfirmed_shortening_is_ignored() {
        check(r#"{"optimized_text":"short","rolled_back":true}"#, None);
        check(r#"{"optimized_text":"short","fidelity_passed":false}"#, None);
    }

    #[test]
    fn overlapping_chunks_are_joined_in_order() {
        check(
            r#"{"chunks":[
                {"sequence":1,"content":"öcd","start_offset":1,"end_offset":4},
                {"sequence":0,"content":"aöc","start_offset":0,"end_offset":3}]}"#,
            Some("aöcd"),
        );
        check(
            r#"{"chunks":[
                {"sequence":0,"content":"short ","start_offset":0,"end_offset":30},
                {"sequence":1,"content":"words","start_offset":20,"end_offset":60}]}"#,
            Some("short words"),
        );
        check(r#"{"chunks":[{"content":"a"},{"content":"b"}]}"#, Some("ab"));
    }
}
