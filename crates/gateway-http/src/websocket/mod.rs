//! Responses over WebSocket: `GET /v1/responses` with an upgrade.
//!
//! ```text
//!   handshake --> connection --> lanes: a turn at a time each --> turn --> POST /v1/responses
//! ```
//!
//! Each `response.create` is a request of its own: it passes through the whole HTTP service as a
//! streamed `POST`, with its key, limits, accounting and configuration, and its events are sent as
//! they come, one frame each.

mod charged_io;
mod connection;
mod frames;
mod handshake;
mod lanes;
mod memory;
mod places;
mod turn;

pub(crate) use self::{
    charged_io::ConnectionBudget,
    handshake::{accept, is_websocket},
};

use self::places::ConnectionPlaces;
use crate::reply;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header::UPGRADE};
use http_body_util::Full;
use std::{fmt, net::IpAddr, pin::Pin, sync::Arc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The reply to a request of a connection.
pub type DispatchFuture = Pin<Box<dyn Future<Output = Response<reply::Body>> + Send>>;

/// The dispatch of a request from an address, with the active configuration.
pub type RequestDispatch =
    Arc<dyn Fn(IpAddr, Request<Full<Bytes>>) -> DispatchFuture + Send + Sync>;

/// The host of WebSocket connections. Passed to the service as an extension of each request that
/// may be upgraded; without it, upgrades are rejected.
#[derive(Clone)]
pub struct WebSocketHost {
    dispatch: RequestDispatch,
    is_enabled: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Runs the connections.
    tasks: TaskTracker,
    places: ConnectionPlaces,
    /// Cancelled when no more requests are taken: connections end with their last response.
    closing: CancellationToken,
    /// Cancelled when connections are cut.
    terminated: CancellationToken,
}

impl WebSocketHost {
    /// Creates a host whose requests are served by `dispatch`. From `closing` on, connections end
    /// with their last response; at `terminated` they are cut.
    pub fn new(
        dispatch: RequestDispatch,
        closing: CancellationToken,
        terminated: CancellationToken,
    ) -> Self {
        let is_enabled = Arc::new(|| true);
        let (tasks, places) = (TaskTracker::new(), ConnectionPlaces::default());
        Self { dispatch, is_enabled, tasks, places, closing, terminated }
    }

    /// Offers upgrades only while `is_enabled` returns true.
    #[must_use]
    pub fn enabled_while(self, is_enabled: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        Self { is_enabled, ..self }
    }

    /// Lets `request` upgrade its connection, if it is a handshake.
    pub fn offer<B>(&self, request: &mut Request<B>) {
        if request.headers().contains_key(UPGRADE) && (self.is_enabled)() {
            request.extensions_mut().insert(self.clone());
        }
    }

    /// Waits until the last connection has ended.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
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
