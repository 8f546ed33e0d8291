//! The endpoints of the console and of the API reference.

use crate::{HttpService, names, reply};
use gateway_console::{
    Asset, CONTENT_SECURITY_POLICY, console_asset, feed_events, reference_asset,
};
use gateway_core::{ErrorKind, GatewayError, Result};
use gateway_limits::Client;
use http::{HeaderValue, Response, StatusCode, header};
use std::{sync::Arc, time::Duration};

/// `GET /console/feed`: the requests of the caller's tenant, as they happen.
///
/// # Errors
///
/// If there is no console, or too many watch.
pub(crate) fn watch(service: &HttpService, client: &Client) -> Result<Response<reply::Body>> {
    let feed = service.console.as_ref().ok_or_else(off)?;
    let watch = feed.subscribe().ok_or_else(|| {
        GatewayError::new(ErrorKind::Overloaded, "too many subscribers of the console feed")
            .with_retry_after(Some(Duration::from_secs(10)))
    })?;
    Ok(reply::event_stream(feed_events(watch, Arc::clone(&client.tenant))))
}

/// `GET /console` and the files it consists of.
///
/// # Errors
///
/// If there is no such file, or no console.
pub(crate) fn page(service: &HttpService, name: &str) -> Result<Response<reply::Body>> {
    if service.console.is_none() {
        return Err(off());
    }
    file(console_asset(name))
}

/// `GET /docs` and the files it consists of.
///
/// # Errors
///
/// If there is no such file, or the API reference is switched off.
pub(crate) fn docs(service: &HttpService, name: &str) -> Result<Response<reply::Body>> {
    if service.about.docs.is_none() {
        let message = "the API reference is disabled";
        return Err(GatewayError::new(ErrorKind::NotFound, message));
    }
    file(reference_asset(name))
}

fn file(asset: Option<Asset>) -> Result<Response<reply::Body>> {
    let Some(Asset { content_type, text }) = asset else {
        return Err(GatewayError::new(ErrorKind::NotFound, "unknown endpoint"));
    };
    let mut reply = reply::bytes(StatusCode::OK, content_type, text);
    let headers = reply.headers_mut();
    let mut add = |name, value| headers.insert(name, HeaderValue::from_static(value));
    add(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::REFERRER_POLICY, "no-referrer");
    add(names::CROSS_ORIGIN_OPENER_POLICY, "same-origin");
    add(header::CACHE_CONTROL, "no-cache");
    Ok(reply)
}

fn off() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "the console is disabled")
}
