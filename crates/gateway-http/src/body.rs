//! Reading the body of a request.

use crate::RequestBody;
use bytes::{Bytes, BytesMut};
use gateway_core::{BoxError, ErrorKind, GatewayError, Result};
use gateway_engine::{MemoryBudget, MemoryLease};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::{sync::Arc, time::Duration};
use tokio::time;

/// The limits of request bodies.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum size of a body, in bytes.
    pub max_bytes: usize,
    /// The timeout for receiving a body.
    pub timeout: Duration,
    /// The memory budget of all bodies together, in bytes.
    pub budget: Arc<MemoryBudget>,
}

/// Reads a JSON body completely. Its lease must be held as long as the bytes.
///
/// # Errors
///
/// If the content type is not JSON; if the body is too large, too slow, or incomplete; or if the
/// memory budget of bodies is exhausted.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: RequestBody,
    limits: &Limits,
) -> Result<(Bytes, MemoryLease)> {
    check_type(headers, body.is_end_stream())?;
    let announced = announced(headers).unwrap_or(0);
    if announced > limits.max_bytes {
        return Err(too_large(limits.max_bytes));
    }
    let lease = limits.budget.take(announced)?;
    let reading = collect(body, announced, limits.max_bytes, lease);
    time::timeout(limits.timeout, reading).await.unwrap_or_else(|_| {
        Err(GatewayError::new(ErrorKind::RequestTimeout, "the request body timed out"))
    })
}

async fn collect(
    mut body: RequestBody,
    announced: usize,
    max: usize,
    mut lease: MemoryLease,
) -> Result<(Bytes, MemoryLease)> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(broken)?;
        // Trailers of a request are not believed.
        let Ok(chunk) = frame.into_data() else { continue };
        let length = whole.len() + chunk.len();
        if length > max {
            return Err(too_large(max));
        }
        if length > lease.bytes() {
            lease.grow(length - lease.bytes())?;
        }
        if whole.is_empty() && (chunk.len() == announced || body.is_end_stream()) {
            return Ok((chunk, lease));
        }
        whole.reserve(announced.saturating_sub(whole.len()));
        whole.extend_from_slice(&chunk);
    }
    Ok((whole.freeze(), lease))
}

/// The server may know better than the parser why there is no more: a caller that is too slow.
fn broken(error: BoxError) -> GatewayError {
    error.downcast::<GatewayError>().map_or_else(
        |error| {
            GatewayError::new(ErrorKind::InvalidRequest, "the request body is incomplete")
                .with_code("invalid_body")
                .with_source(error)
        },
        |known| *known,
    )
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// JSON in UTF-8, uncompressed, and declared as that: a page of another origin can send any other
/// type without asking. Only an empty body needs no type.
fn check_type(headers: &HeaderMap, is_empty: bool) -> Result<()> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(
            unsupported("content encodings are not supported").with_code("unsupported_encoding")
        );
    }
    if is_empty {
        return Ok(());
    }
    let Some(kind) = text(CONTENT_TYPE) else {
        return Err(unsupported("the body needs `Content-Type: application/json`"));
    };
    if kind == "application/json" {
        return Ok(());
    }
    let kind = kind.to_ascii_lowercase();
    let mut pieces = kind.split(';').map(str::trim);
    let media = pieces.next().unwrap_or_default();
    let is_json = media == "application/json" || media.ends_with("+json");
    let charset = pieces.find_map(|piece| piece.strip_prefix("charset="));
    let is_utf8 = charset.is_none_or(|it| matches!(it.trim_matches('"'), "utf-8" | "utf8"));
    if is_json && is_utf8 {
        return Ok(());
    }
    Err(unsupported("the body must be application/json in UTF-8"))
}

fn unsupported(message: &'static str) -> GatewayError {
    GatewayError::new(ErrorKind::UnsupportedMedia, message)
}

fn too_large(max: usize) -> GatewayError {
    GatewayError::new(ErrorKind::TooLarge, format!("the body is larger than {max} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use std::convert::Infallible;

    const JSON: (&str, &str) = ("content-type", "application/json");

    fn limits() -> Limits {
        let timeout = Duration::from_mins(1);
        Limits { max_bytes: 8, timeout, budget: Arc::new(MemoryBudget::new(12)) }
    }

    fn json() -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().unwrap())])
    }

    async fn take(headers: &[(&'static str, &str)], chunks: &[&'static str]) -> Result<String> {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let chunks =
            chunks.iter().map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(*chunk))));
        let body = StreamBody::new(stream::iter(chunks.collect::<Vec<_>>()));
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let (bytes, _share) = read(&headers.collect(), body, &limits()).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn check(headers: &[(&'static str, &str)], chunks: &[&'static str], expected: &str) {
        let told = match take(headers, chunks).await {
            Ok(body) => body,
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(told, expected, "{headers:?}");
    }

    #[tokio::test]
    async fn body_within_limit_is_read() {
        check(&[JSON], &[], "").await;
        check(&[JSON], &["{}"], "{}").await;
        check(&[JSON, ("content-length", "4")], &["{", " ", " ", "}"], "{  }").await;
        check(&[JSON], &["12345678"], "12345678").await;
    }

    #[tokio::test]
    async fn body_above_limit_is_refused() {
        check(&[JSON, ("content-length", "9")], &["x"], "request_too_large").await;
        check(&[JSON], &["12345678", "9"], "request_too_large").await;
    }

    #[tokio::test]
    async fn takes_json_only() {
        let kind = |value| [("content-type", value)];
        check(&kind("application/json"), &["{}"], "{}").await;
        check(&kind("Application/JSON; Charset=UTF-8"), &["{}"], "{}").await;
        check(&kind("text/plain"), &["{}"], "unsupported_media_type").await;
        check(&[], &["{}"], "unsupported_media_type").await;
        check(&kind("application/json; charset=utf-16"), &["{}"], "unsupported_media_type").await;
        check(&[("content-encoding", "gzip")], &["{}"], "unsupported_encoding").await;
    }

    #[tokio::test]
    async fn broken_body_error_names_cause() {
        async fn code(error: impl Into<gateway_core::BoxError>) -> String {
            let frames = stream::iter([Err::<Frame<Bytes>, _>(error.into())]);
            let body = StreamBody::new(frames).boxed_unsync();
            read(&json(), body, &limits()).await.unwrap_err().code().to_owned()
        }
        assert_eq!(code("cut").await, "invalid_body");
        let slow = GatewayError::new(ErrorKind::RequestTimeout, "too slow");
        assert_eq!(code(slow).await, "request_timeout");
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_ever() {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let error = read(&json(), body, &limits()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RequestTimeout);
    }
}
