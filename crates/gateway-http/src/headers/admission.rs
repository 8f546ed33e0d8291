//! The load headers of replies and rejections.

use crate::names;
use gateway_core::{ErrorKind, GatewayError};
use gateway_limits::{Admission, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use std::{array, sync::LazyLock};

/// Adds the memory and load headers to a reply, which has none of them.
pub(crate) fn write_headers(admission: &Admission, headers: &mut HeaderMap) {
    if admission.max_concurrent().is_none() {
        return;
    }
    let level = admission.pressure.level().as_str();
    if let Ok(used) = HeaderValue::from_maybe_shared(admission.pressure.used_text()) {
        headers.append(names::MEMORY_RSS_MB, used);
    }
    headers.append(names::MEMORY_PRESSURE, HeaderValue::from_static(level));
    headers.append(names::ACTIVE_REQUESTS, number(admission.active()));
}

/// The values of small numbers, made once.
static SMALL_NUMBERS: LazyLock<[HeaderValue; 256]> =
    LazyLock::new(|| array::from_fn(HeaderValue::from));

/// Returns a number as a header value.
fn number(number: usize) -> HeaderValue {
    SMALL_NUMBERS.get(number).cloned().unwrap_or_else(|| number.into())
}

/// Adds the members that the platform's services read to the body of a rejection.
pub(crate) fn annotate_error(
    admission: &Admission,
    error: &GatewayError,
    body: Vec<u8>,
) -> Vec<u8> {
    let Some(places) = admission.max_concurrent().filter(|_| error.kind() == ErrorKind::Overloaded)
    else {
        return body;
    };
    let Ok(Value::Object(mut told)) = serde_json::from_slice(&body) else { return body };
    let facts = json!({
        "reason": "backpressure",
        "message": error.message(),
        "memory_mb": admission.pressure.used_mb(),
        "threshold_mb": admission.pressure.threshold_mb(),
        "active_requests": admission.active(),
        "max_concurrent": places,
        "retry_after_seconds": error.retry_after().unwrap_or(RETRY_AFTER).as_secs(),
    });
    if let Value::Object(facts) = facts {
        told.extend(facts);
    }
    Value::Object(told).to_string().into_bytes()
}
