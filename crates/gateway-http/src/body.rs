//! Reading the body of a request.
//!
//! A small body is read at once. A larger one is first checked against its client's limits, and is
//! charged to its tenant's share of the memory as it arrives: what a caller announces is not
//! charged. Where the memory does not suffice, the connection is not read until it does. A body of
//! many small objects takes many times its size once it is decoded, and is charged for that too: here,
//! or by the engine, which counts its parts while it reads its envelope.

use crate::RequestBody;
use bytes::{Bytes, BytesMut};
use gateway_core::{
    BoxError, ErrorKind, GatewayError, MemoryBudget, MemoryLease, Result, UNCHARGED_BYTES,
};
use gateway_engine::{charged_footprint, grow_body_lease};
use gateway_limits::{BodyPermit, LimitError};
use gateway_wire::json;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::time;

/// The limits of request bodies.
#[derive(Clone, Debug)]
pub struct BodyLimits {
    /// The maximum size of a body, in bytes.
    pub max_bytes: usize,
    /// The maximum size of a form that passes on while it arrives, in bytes.
    pub max_upload_bytes: usize,
    /// The timeout for receiving a body.
    pub timeout: Duration,
    /// The memory for all bodies together.
    pub budget: Arc<MemoryBudget>,
}

/// The owner of a body.
pub(crate) struct BodyOwner<'a, F> {
    /// The tenant whose memory the body takes.
    pub(crate) tenant: &'a Arc<str>,
    /// Checks the owner's limits. Called once, for a body that is not small.
    pub(crate) permit: F,
    /// Whether the body is decoded without the engine.
    pub(crate) decodes: bool,
}

/// Reads a JSON body of `owner` completely.
///
/// # Errors
///
/// If the content type is not JSON; if the body is too large, too slow, or incomplete; or if it is
/// not small and the owner has reached a limit, or there is no memory for it in time.
pub(crate) async fn read<F>(
    headers: &HeaderMap,
    body: RequestBody,
    limits: &BodyLimits,
    owner: BodyOwner<'_, F>,
) -> Result<Bytes, LimitError>
where
    F: FnOnce() -> Result<Option<BodyPermit>, LimitError>,
{
    check_type(headers, body.is_end_stream())?;
    let announced = content_length(headers).unwrap_or(0);
    if announced > limits.max_bytes {
        return Err(too_large(limits.max_bytes).into());
    }
    let decodes = owner.decodes;
    let mut charge = BodyCharge { limits, owner: Some(owner), decodes, held: None };
    if announced > UNCHARGED_BYTES {
        charge.begin()?;
    }
    let mut reading = pin!(collect(body, announced, charge));
    // Most bodies are there with their head, and need no timer.
    if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
        return read;
    }
    time::timeout(limits.timeout, reading).await.unwrap_or_else(|_| {
        Err(GatewayError::new(ErrorKind::RequestTimeout, "the request body timed out").into())
    })
}

async fn collect<F>(
    mut body: RequestBody,
    announced: usize,
    mut charge: BodyCharge<'_, F>,
) -> Result<Bytes, LimitError>
where
    F: FnOnce() -> Result<Option<BodyPermit>, LimitError>,
{
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(body_error)?;
        // Trailers of a request are not believed.
        let Ok(chunk) = frame.into_data() else { continue };
        let length = whole.len() + chunk.len();
        if length > charge.limits.max_bytes {
            return Err(too_large(charge.limits.max_bytes).into());
        }
        if whole.is_empty() && (chunk.len() == announced || body.is_end_stream()) {
            charge.grow_to(chunk.len()).await?;
            return charge.finish(chunk).await;
        }
        if length > whole.capacity() {
            // Doubled, so that few bytes are moved, but not beyond what is announced.
            let capacity = length.max(announced.min(2 * length));
            charge.grow_to(capacity).await?;
            whole.reserve(capacity - whole.len());
        }
        whole.extend_from_slice(&chunk);
    }
    charge.finish(whole.freeze()).await
}

/// The memory that a body takes; nothing while it is small.
struct BodyCharge<'a, F> {
    limits: &'a BodyLimits,
    /// The owner, until its limits are checked.
    owner: Option<BodyOwner<'a, F>>,
    decodes: bool,
    held: Option<(Option<BodyPermit>, MemoryLease)>,
}

impl<F> BodyCharge<'_, F>
where
    F: FnOnce() -> Result<Option<BodyPermit>, LimitError>,
{
    /// Checks the owner's limits, and opens a lease.
    fn begin(&mut self) -> Result<(), LimitError> {
        if let Some(BodyOwner { tenant, permit, .. }) = self.owner.take() {
            let lease = self.limits.budget.lease(tenant);
            self.held = Some((permit()?, lease));
        }
        Ok(())
    }

    /// Takes memory for `bytes` in all.
    async fn grow_to(&mut self, bytes: usize) -> Result<(), LimitError> {
        if bytes <= UNCHARGED_BYTES {
            return Ok(());
        }
        self.begin()?;
        let Some((_, lease)) = &mut self.held else { return Ok(()) };
        let more = bytes.saturating_sub(lease.bytes());
        if more > 0 {
            grow_body_lease(lease, more).await?;
        }
        Ok(())
    }

    /// Returns the whole body `bytes`, which hold the lease from now on: for themselves, and for
    /// what they become when they are decoded.
    async fn finish(mut self, bytes: Bytes) -> Result<Bytes, LimitError> {
        if self.decodes && bytes.len() > UNCHARGED_BYTES {
            let (limit, footprint) = (self.limits.budget.limit(), json::decoded_footprint(&bytes));
            let footprint = charged_footprint(limit, bytes.len(), footprint);
            self.grow_to(bytes.len().saturating_add(footprint)).await?;
        }
        Ok(match self.held {
            Some((_, lease)) if lease.bytes() > 0 => lease.attach(bytes),
            Some(_) | None => bytes,
        })
    }
}

/// The server may know better than the parser why there is no more: a caller that is too slow.
pub(crate) fn body_error(error: BoxError) -> GatewayError {
    error.downcast::<GatewayError>().map_or_else(
        |error| {
            GatewayError::new(ErrorKind::InvalidRequest, "the request body is incomplete")
                .with_code("invalid_body")
                .with_source(error)
        },
        |known| *known,
    )
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether a body is declared as JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Refuses a body that is compressed.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<()> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    if encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity")) {
        return Ok(());
    }
    Err(unsupported("content encodings are not supported").with_code("unsupported_encoding"))
}

/// JSON in UTF-8, uncompressed, and declared as that: a page of another origin can send any other
/// type without asking. Only an empty body needs no type.
fn check_type(headers: &HeaderMap, is_empty: bool) -> Result<()> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    check_encoding(headers)?;
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

pub(crate) fn unsupported(message: &'static str) -> GatewayError {
    GatewayError::new(ErrorKind::UnsupportedMedia, message)
}

pub(crate) fn too_large(max: usize) -> GatewayError {
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

    fn limits() -> BodyLimits {
        let timeout = Duration::from_mins(1);
        BodyLimits {
            max_bytes: 8,
            max_upload_bytes: 8,
            timeout,
            budget: Arc::new(MemoryBudget::new(12)),
        }
    }

    fn json() -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().unwrap())])
    }

    async fn try_read(
        headers: &HeaderMap,
        body: RequestBody,
        limits: &BodyLimits,
    ) -> Result<Bytes> {
        let owner = BodyOwner { tenant: &"t".into(), permit: || Ok(None), decodes: true };
        read(headers, body, limits, owner).await.map_err(|refused| refused.error)
    }

    async fn take(headers: &[(&'static str, &str)], chunks: &[&'static str]) -> Result<String> {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let chunks =
            chunks.iter().map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(*chunk))));
        let body = StreamBody::new(stream::iter(chunks.collect::<Vec<_>>()));
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let bytes = try_read(&headers.collect(), body, &limits()).await?;
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
            try_read(&json(), body, &limits()).await.unwrap_err().code().to_owned()
        }
        assert_eq!(code("cut").await, "invalid_body");
        let slow = GatewayError::new(ErrorKind::RequestTimeout, "too slow");
        assert_eq!(code(slow).await, "request_timeout");
    }

    fn chunks(count: usize) -> RequestBody {
        let chunk = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; UNCHARGED_BYTES])));
        let body = StreamBody::new(stream::iter((0..count).map(move |_| chunk())));
        body.map_err(|never| match never {}).boxed_unsync()
    }

    #[tokio::test(start_paused = true)]
    async fn body_is_charged_as_it_arrives_for_as_long_as_it_is_held() {
        let budget = Arc::new(MemoryBudget::new(4 * UNCHARGED_BYTES));
        let max_bytes = 4 * UNCHARGED_BYTES;
        let limits = BodyLimits { max_bytes, budget: Arc::clone(&budget), ..limits() };
        let small = try_read(&json(), chunks(1), &limits).await.unwrap();
        assert_eq!((small.len(), budget.held()), (UNCHARGED_BYTES, 0));
        let large = try_read(&json(), chunks(3), &limits).await.unwrap();
        assert!(budget.held() >= large.len());
        let refused = try_read(&json(), chunks(3), &limits).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overloaded);
        drop(large);
        assert_eq!(budget.held(), 0);
        assert!(try_read(&json(), chunks(3), &limits).await.is_ok());
    }

    #[tokio::test]
    async fn limits_are_checked_before_a_large_body_is_read() {
        let refuse = || Err(GatewayError::new(ErrorKind::RateLimited, "no").into());
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let mut headers = json();
        headers.insert(CONTENT_LENGTH, (UNCHARGED_BYTES + 1).into());
        let limits = BodyLimits { max_bytes: 1 << 20, ..limits() };
        let owner = BodyOwner { tenant: &"t".into(), permit: refuse, decodes: true };
        let refused = read(&headers, body, &limits, owner).await.unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::RateLimited);
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_ever() {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let error = try_read(&json(), body, &limits()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RequestTimeout);
    }
}
