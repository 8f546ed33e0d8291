//! The console: a page for operators, and the feed that shows it what happens.
//!
//! The page holds nothing of anybody; what it shows it fetches with the key of whoever looks, so that
//! each tenant sees its own.

mod feed;
mod files;
mod row;
mod stream;

pub use self::feed::Feed;
pub(crate) use self::{
    feed::Live,
    files::{docs, page},
    row::{Begun, Ended, milliseconds, now},
};

use crate::{App, auth::Client, reply};
use gateway_core::{ErrorKind, GatewayError, Result};
use http::Response;
use std::{sync::Arc, time::Duration};

/// `GET /console/feed`: what happens to the requests of the caller's tenant, as it happens.
///
/// # Errors
///
/// If there is no console, or too many watch.
pub(crate) fn watch(app: &App, client: &Client) -> Result<Response<reply::Body>> {
    let feed = app.console.as_ref().ok_or_else(off)?;
    let watch = feed.watch().ok_or_else(|| {
        GatewayError::new(ErrorKind::Overloaded, "too many watch already")
            .retry_after(Some(Duration::from_secs(10)))
    })?;
    Ok(stream::reply(watch, Arc::clone(&client.tenant)))
}

fn off() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "the console is switched off")
}
