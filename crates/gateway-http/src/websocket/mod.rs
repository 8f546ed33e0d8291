//! Responses over WebSocket: `GET /v1/responses` with an upgrade.
//!
//! ```text
//!   handshake --> connection --> lanes: a turn at a time each --> turn --> POST /v1/responses
//! ```
//!
//! Each `response.create` is a request of its own: it passes through the whole HTTP service as a
//! streamed `POST`, with its key, limits, accounting and configuration, and its events are sent as
//! they come, one frame each.

mod connection;
mod frames;
mod handshake;
mod lanes;
mod memory;
mod turn;

pub(crate) use self::handshake::accept;

use crate::HttpService;
use http::{HeaderMap, Request, header::UPGRADE};
use std::{fmt, sync::Arc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The most connections that are open at once.
const MAX_CONNECTIONS: usize = 4096;

/// The program that WebSocket connections live in. Given to the service as an extension of each
/// request that wants an upgrade; without it, upgrades are refused.
#[derive(Clone)]
pub struct WebSocketHost {
    /// Returns the service that answers requests now.
    current: CurrentService,
    /// Runs the connections.
    tasks: TaskTracker,
    /// No more requests are taken: connections say goodbye and end with their last response.
    closing: CancellationToken,
    /// Everything ends now.
    terminated: CancellationToken,
}

/// Returns the service that answers requests now.
type CurrentService = Arc<dyn Fn() -> Arc<HttpService> + Send + Sync>;

impl WebSocketHost {
    /// Creates a host whose requests are answered by the `current` service. From `closing` on
    /// connections end with their last response; at `terminated` they are cut.
    pub fn new(
        current: Arc<dyn Fn() -> Arc<HttpService> + Send + Sync>,
        closing: CancellationToken,
        terminated: CancellationToken,
    ) -> Self {
        Self { current, tasks: TaskTracker::new(), closing, terminated }
    }

    /// Waits until the last connection has ended.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Returns whether a request wants to leave HTTP.
pub fn wants_upgrade<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(UPGRADE)
}

/// Returns whether one of the words of the header `name` is `word`.
fn names(headers: &HeaderMap, name: http::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name);
    let mut words = values.iter().filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    words.any(|it| it.trim().eq_ignore_ascii_case(word))
}

impl fmt::Debug for WebSocketHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketHost")
            .field("connections", &self.tasks.len())
            .finish_non_exhaustive()
    }
}
