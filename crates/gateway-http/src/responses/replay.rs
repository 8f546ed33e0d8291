//! The steps of a kept answer, told again; of one that is being made, told as they come.

use super::synthetic;
use crate::{App, reply};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gateway_core::{BoxError, Result, state::Key};
use http::{
    HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::{sync::Arc, time::Duration};
use tokio::time::{self, Instant};

/// How often new steps are looked for.
const PAUSE: Duration = Duration::from_millis(50);
/// How many are read at once.
const PAGE: u64 = 256;

/// The steps behind the first `from` of the answer under `key`, until it ends.
pub(super) fn live(app: &Arc<App>, key: Key, from: u64) -> Response<reply::Body> {
    let told = Instant::now();
    let following = Following { app: Arc::clone(app), key, from, told, is_synthetic: false };
    let blocks =
        stream::unfold(Some(following), |following| async move { following?.next().await });
    let chunks = blocks.map(|block| Ok::<_, BoxError>(Frame::data(block)));
    let mut reply = Response::new(StreamBody::new(chunks).boxed_unsync());
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply
}

struct Following {
    app: Arc<App>,
    key: Key,
    from: u64,
    told: Instant,
    is_synthetic: bool,
}

impl Following {
    /// The next block of steps; a comment if there were none for long.
    async fn next(mut self) -> Option<(Bytes, Option<Self>)> {
        if self.is_synthetic {
            return None;
        }
        loop {
            // A store that fails ends the reply: the caller can come back for the rest.
            let page = self.app.responses.store.events(&self.key, self.from, PAGE).await;
            let page = page.ok()??;
            if !page.events.is_empty() {
                self.from += page.events.len() as u64;
                self.told = Instant::now();
                return Some((page.events.concat().into(), Some(self)));
            }
            if !page.in_progress {
                return self.synthetic().await;
            }
            if self.app.responses.closing.is_cancelled() {
                return None;
            }
            time::sleep(PAUSE).await;
            if self.told.elapsed() >= self.app.times.keep_alive {
                self.told = Instant::now();
                return Some((Bytes::from_static(b": keep-alive\n\n"), Some(self)));
            }
        }
    }

    /// Steps that spell an answer of which none are kept.
    async fn synthetic(mut self) -> Option<(Bytes, Option<Self>)> {
        let responses = &self.app.responses;
        let first = responses.store.events(&self.key, 0, 1).await.ok()??;
        if !first.events.is_empty() {
            return None;
        }
        let (record, _) = responses.get(&self.key).await.ok()??;
        let steps = synthetic::events(&record.response);
        let from = usize::try_from(self.from).unwrap_or(usize::MAX);
        let rest = steps.get(from..).unwrap_or_default().concat();
        self.is_synthetic = true;
        (!rest.is_empty()).then(|| (rest.into(), Some(self)))
    }
}

/// The number of the first step that a caller wants who has seen all up to `starting_after`.
pub(super) fn from(starting_after: Option<&str>) -> Result<u64> {
    let Some(seen) = starting_after else { return Ok(0) };
    seen.parse::<u64>().map(|seen| seen.saturating_add(1)).map_err(|error| {
        let message = "starting_after is the number of an event";
        gateway_core::GatewayError::invalid("starting_after", message).with_source(error)
    })
}
