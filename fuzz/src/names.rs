//! Names, paths, and what is kept.

use gateway_core::{Message, Routes};
use gateway_http::Endpoint;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// However it is said, the wait is neither negative nor endless.
pub(crate) fn retry_after(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["retry-after-ms", "retry-after", "date"] {
        if let Ok(value) = HeaderValue::from_bytes(parts.next().unwrap_or_default()) {
            headers.insert(name, value);
        }
    }
    let delay = gateway_providers::retry_after(&headers);
    assert!(delay.unwrap_or_default() <= Duration::from_mins(10));
}

/// A model's name leads to a provider that there is, and to the same one however it is spelt; a
/// path names an endpoint without what separates paths.
pub(crate) fn names(data: &[u8]) {
    let name = String::from_utf8_lossy(data);
    let mut routes = Routes::default();
    routes.prefix("openai", "openai");
    routes.prefix("local", "llamacpp");
    routes.family("gpt-", "openai");
    routes.alias("best", "gpt-5");
    routes.alias("circle", "circle");
    let of = |name: &str| routes.route(name).ok().map(|route| route.provider);
    let route = of(&name);
    assert!(route.as_deref().is_none_or(|it| it == "openai" || it == "llamacpp"));
    assert_eq!(route, of(&name.to_ascii_uppercase()), "{name:?}");
    let path = format!("/v1/models/{name}");
    if let Some(endpoint) = Endpoint::at(&path) {
        assert!(endpoint.label().starts_with("/v1/models"), "{path:?}");
    }
    let path = format!("/v1/sessions/{name}");
    if let Some(endpoint) = Endpoint::at(&path) {
        assert!(endpoint.label().starts_with("/v1/sessions"), "{path:?}");
    }
    let _ = Endpoint::at(&name);
}

/// A stored message is read as it was written, or not at all.
pub(crate) fn kept_message(data: &[u8]) {
    let Ok(message) = serde_json::from_slice::<Message>(data) else { return };
    let written = serde_json::to_vec(&message).expect("it can be written");
    let again: Message = serde_json::from_slice(&written).expect("what we write we can read");
    assert_eq!(again, message);
}
