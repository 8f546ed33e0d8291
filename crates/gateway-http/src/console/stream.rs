//! The feed as server-sent events.
//!
//! ```text
//! event: snapshot   {"live": [...], "recent": [...]}    first, and when too much came at once
//! event: began      {...}
//! event: progress   [{"request_id": "...", "pieces": 3}]    every second, of those under way
//! event: ended      {...}
//! ```

use super::{
    feed::{Missed, News, Watch},
    row::{Progress, Row, Underway},
};
use crate::reply;
use bytes::Bytes;
use futures_util::stream;
use gateway_core::BoxError;
use http::{
    HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often progress is told; it also keeps the connection alive.
const TICK: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Snapshot {
    live: Vec<Underway>,
    recent: Vec<Row>,
}

#[derive(Serialize)]
struct Step {
    #[serde(serialize_with = "super::row::text")]
    request_id: Arc<str>,
    #[serde(flatten)]
    progress: Progress,
}

/// What one watcher is told.
struct Telling {
    watch: Watch,
    tenant: Arc<str>,
    tick: Interval,
    begun: bool,
}

/// A reply that lasts until its reader leaves, or the gateway stops.
pub(crate) fn reply(watch: Watch, tenant: Arc<str>) -> Response<reply::Body> {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let telling = Telling { watch, tenant, tick, begun: false };
    let events = stream::unfold(telling, |mut telling| async move {
        let event = telling.next().await?;
        Some((Ok::<_, BoxError>(Frame::data(event)), telling))
    });
    let mut reply = Response::new(StreamBody::new(events).boxed_unsync());
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    reply
}

impl Telling {
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(self.snapshot());
        }
        loop {
            let news = tokio::select! {
                _ = self.tick.tick() => {
                    self.watch.still();
                    return Some(self.progress());
                }
                news = self.watch.next() => news?,
            };
            match news {
                Ok(News::Begun(begun)) if begun.tenant == self.tenant => {
                    return Some(event("began", &*begun));
                }
                Ok(News::Ended(row)) if row.begun.tenant == self.tenant => {
                    return Some(event("ended", &*row));
                }
                Ok(News::Begun(_) | News::Ended(_)) => {}
                Err(Missed) => return Some(self.snapshot()),
            }
        }
    }

    fn snapshot(&self) -> Bytes {
        let (live, recent) = self.watch.feed().rows(&self.tenant);
        event("snapshot", &Snapshot { live, recent })
    }

    fn progress(&self) -> Bytes {
        let steps = self.watch.feed().progress(&self.tenant).into_iter();
        let steps: Vec<_> =
            steps.map(|(request_id, progress)| Step { request_id, progress }).collect();
        event("progress", &steps)
    }
}

fn event(name: &str, content: &impl Serialize) -> Bytes {
    let content = serde_json::to_string(content).unwrap_or_default();
    format!("event: {name}\ndata: {content}\n\n").into()
}
