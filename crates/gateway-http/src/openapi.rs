//! `GET /openapi.json`: the API description, made once.

use crate::reply;
use bytes::Bytes;
use gateway_core::{ErrorKind, GatewayError, Result};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::OnceLock;

pub(crate) const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// For how long it need not be asked for again.
const CACHING: HeaderValue = HeaderValue::from_static("max-age=60");

/// The API description of one version.
#[derive(Debug, Default)]
pub struct OpenApiDocument(OnceLock<(Bytes, HeaderValue)>);

impl OpenApiDocument {
    /// The reply with the description, or that it has not changed.
    ///
    /// # Errors
    ///
    /// If the document is unreadable, which a test rules out.
    pub(crate) fn reply(
        &self,
        version: &str,
        headers: &HeaderMap,
    ) -> Result<Response<reply::Body>> {
        let (document, tag) = if let Some(known) = self.0.get() {
            known
        } else {
            let written = write(version)?;
            self.0.get_or_init(|| written)
        };
        let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag);
        let mut reply = if is_known {
            reply::empty(StatusCode::NOT_MODIFIED)
        } else {
            reply::written(StatusCode::OK, document.clone())
        };
        reply.headers_mut().insert(header::ETAG, tag.clone());
        reply.headers_mut().insert(header::CACHE_CONTROL, CACHING);
        Ok(reply)
    }
}

/// Writes the document of `version`, with its tag.
fn write(version: &str) -> Result<(Bytes, HeaderValue)> {
    let unreadable = |error| {
        GatewayError::new(ErrorKind::Internal, "the document is unreadable").with_source(error)
    };
    let mut document: Value = serde_json::from_str(OPENAPI).map_err(unreadable)?;
    if let Some(place) = document.pointer_mut("/info/version") {
        *place = version.into();
    }
    let document = serde_json::to_vec(&document).map_err(unreadable)?;
    let digest = format!("\"{:x}\"", Sha256::digest(&document));
    let tag = HeaderValue::try_from(digest).unwrap_or(HeaderValue::from_static("\"\""));
    Ok((document.into(), tag))
}
