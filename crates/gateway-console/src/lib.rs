//! The console: a page for operators, and the feed that shows it requests as they happen.
//!
//! The page holds no data. It fetches what it shows with the key of the person who looks, so that
//! each tenant sees its own requests.

mod assets;
mod feed;
mod feed_events;
mod observer;
mod row;

pub use self::{
    assets::{Asset, CONTENT_SECURITY_POLICY, console_asset, reference_asset},
    feed::{FeedEvent, FeedSubscription, LiveFeed, LiveRequest, SubscriberLag},
    feed_events::feed_events,
    row::{EndedRequest, EndedRow, LiveRow, RequestProgress, StartedRequest},
};
