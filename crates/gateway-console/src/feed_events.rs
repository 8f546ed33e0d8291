//! The feed as server-sent events.
//!
//! ```text
//! event: snapshot   {"live": [...], "recent": [...]}    first, and after events were lost
//! event: began      {...}
//! event: progress   [{"request_id": "...", "pieces": 3}]    every second, of those in progress
//! event: ended      {...}
//! ```

use super::{
    feed::{FeedEvent, FeedSubscription, SubscriberLag},
    row::{EndedRow, LiveRow, RequestProgress},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The interval of progress events; they also keep the connection alive.
const TICK: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct FeedSnapshot {
    live: Vec<LiveRow>,
    recent: Vec<EndedRow>,
}

#[derive(Serialize)]
struct ProgressRow {
    #[serde(serialize_with = "super::row::text")]
    request_id: Arc<str>,
    #[serde(flatten)]
    progress: RequestProgress,
}

/// Writes the events of one subscription.
struct FeedWriter {
    subscription: FeedSubscription,
    tenant: Arc<str>,
    tick: Interval,
    started: bool,
}

/// The events of `subscription` about requests of `tenant`, until the gateway stops. Dropping the
/// stream ends the subscription.
pub fn feed_events(
    subscription: FeedSubscription,
    tenant: Arc<str>,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let writer = FeedWriter { subscription, tenant, tick, started: false };
    stream::unfold(writer, |mut writer| async move {
        let event = writer.next().await?;
        Some((event, writer))
    })
}

impl FeedWriter {
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.started, true) {
            return Some(self.snapshot());
        }
        loop {
            let event_of_feed = tokio::select! {
                _ = self.tick.tick() => {
                    self.subscription.keep_alive();
                    return Some(self.progress());
                }
                next = self.subscription.next() => next?,
            };
            match event_of_feed {
                Ok(FeedEvent::Started(started)) if started.tenant == self.tenant => {
                    return Some(event("began", &*started));
                }
                Ok(FeedEvent::Ended(row)) if row.started.tenant == self.tenant => {
                    return Some(event("ended", &*row));
                }
                Ok(FeedEvent::Started(_) | FeedEvent::Ended(_)) => {}
                Err(SubscriberLag) => return Some(self.snapshot()),
            }
        }
    }

    fn snapshot(&self) -> Bytes {
        let (live, recent) = self.subscription.feed().rows(&self.tenant);
        event("snapshot", &FeedSnapshot { live, recent })
    }

    fn progress(&self) -> Bytes {
        let rows = self.subscription.feed().progress(&self.tenant).into_iter();
        let rows: Vec<_> =
            rows.map(|(request_id, progress)| ProgressRow { request_id, progress }).collect();
        event("progress", &rows)
    }
}

fn event(name: &str, content: &impl Serialize) -> Bytes {
    let content = serde_json::to_string(content).unwrap_or_default();
    format!("event: {name}\ndata: {content}\n\n").into()
}
