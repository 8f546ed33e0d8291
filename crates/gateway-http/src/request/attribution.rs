//! The tags and the user that the headers of a request name.

use crate::names;
use gateway_core::{Attribution, GatewayError, InvalidAttribution, Result};
use gateway_limits::Client;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{str, sync::Arc};

/// Returns the attribution of a request of `client`: the tags of its key, and those of
/// `x-gateway-tags`; and the user of `x-gateway-user`.
///
/// # Errors
///
/// If a tag or the user is not text, too long or has control characters, or there are too many tags.
pub(crate) fn read(client: &Client, headers: &HeaderMap) -> Result<Option<Arc<Attribution>>> {
    if !(headers.contains_key(names::TAGS) || headers.contains_key(names::USER)) {
        return Ok(client.attribution.clone());
    }
    let mut attribution = client.attribution.as_deref().cloned().unwrap_or_default();
    for value in headers.get_all(names::TAGS) {
        let added =
            text(value).ok_or(InvalidAttribution::Tag).and_then(|it| attribution.add_tags(it));
        added.map_err(|error| invalid(&names::TAGS, error))?;
    }
    if let Some(value) = headers.get(names::USER) {
        let set =
            text(value).ok_or(InvalidAttribution::User).and_then(|it| attribution.set_user(it));
        set.map_err(|error| invalid(&names::USER, error))?;
    }
    Ok((!attribution.is_empty()).then(|| Arc::new(attribution)))
}

fn text(value: &HeaderValue) -> Option<&str> {
    str::from_utf8(value.as_bytes()).ok()
}

fn invalid(header: &HeaderName, error: InvalidAttribution) -> GatewayError {
    GatewayError::invalid(header.as_str().to_owned(), error.to_string())
}
