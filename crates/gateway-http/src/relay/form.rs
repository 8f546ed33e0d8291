//! Reads the beginning of a form: until its model is known, and the form is found to be small, or as
//! much of it as is held.

use crate::{RequestBody, body, service::HttpService};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use gateway_core::{BodyRest, ErrorKind, GatewayError, Result, UNCHARGED_BYTES};
use gateway_engine::InboundForm;
use gateway_limits::{Client, LimitError};
use gateway_wire::relay::{FormReader, form_boundary};
use http::{HeaderMap, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use std::net::IpAddr;
use tokio::time;

/// The bytes of a form that are held: a form that is not longer can be sent again, and the field `model`
/// of a longer one is looked for among them.
const MAX_HELD: usize = 1 << 20;

/// Reads the beginning of the form that `client` sends.
///
/// # Errors
///
/// If it is no form, or is too large, too slow, or incomplete; or if the client has reached a limit, or
/// there is no memory for it in time.
pub(super) async fn read(
    service: &HttpService,
    headers: &HeaderMap,
    body: RequestBody,
    sender: (&Client, IpAddr),
) -> Result<InboundForm, LimitError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(form_boundary);
    let (Some(content_type), Some(boundary)) = (content_type, boundary) else {
        return Err(body::unsupported(
            "the body needs `Content-Type: multipart/form-data` with a boundary",
        )
        .into());
    };
    body::check_encoding(headers)?;
    let length = body::content_length(headers);
    let limit = service.bodies.max_upload_bytes;
    if length.is_some_and(|length| length > limit) {
        return Err(body::too_large(limit).into());
    }
    let mut reader = FormReader::new(boundary);
    let (bytes, rest) = begin(service, (body, limit), sender, |piece| reader.push(piece)).await?;
    if rest.is_none() {
        reader.check_end()?;
    }
    let length = length.map(|length| length as u64);
    Ok(InboundForm { content_type: content_type.to_owned(), reader, bytes, rest, length })
}

/// Reads the beginning of a body of any type.
///
/// # Errors
///
/// As [`read`], except that it need not be a form.
pub(super) async fn read_any(
    service: &HttpService,
    headers: &HeaderMap,
    body: RequestBody,
    sender: (&Client, IpAddr),
) -> Result<(Bytes, Option<BodyRest>), LimitError> {
    body::check_encoding(headers)?;
    let limit = service.bodies.max_upload_bytes;
    if body::content_length(headers).is_some_and(|length| length > limit) {
        return Err(body::too_large(limit).into());
    }
    begin(service, (body, limit), sender, |_| Ok(())).await
}

/// Reads the beginning of a body, in time, and shows its pieces to `observe`.
async fn begin(
    service: &HttpService,
    body: (RequestBody, usize),
    sender: (&Client, IpAddr),
    observe: impl FnMut(&[u8]) -> Result<()>,
) -> Result<(Bytes, Option<BodyRest>), LimitError> {
    let reading = hold(service, body, sender, observe);
    let timed_out = || GatewayError::new(ErrorKind::RequestTimeout, "the request body timed out");
    let read = time::timeout(service.bodies.timeout, reading).await;
    read.unwrap_or_else(|_| Err(timed_out().into()))
}

async fn hold(
    service: &HttpService,
    (body, limit): (RequestBody, usize),
    (client, peer): (&Client, IpAddr),
    mut observe: impl FnMut(&[u8]) -> Result<()>,
) -> Result<(Bytes, Option<BodyRest>), LimitError> {
    let mut pieces = Box::pin(limited(body, limit));
    let mut lease = service.bodies.budget.lease(&client.tenant);
    let mut held = BytesMut::new();
    let mut permit = None;
    while let Some(piece) = pieces.try_next().await? {
        observe(&piece)?;
        if held.len() + piece.len() > UNCHARGED_BYTES {
            if permit.is_none() {
                permit = Some(service.body_permit(client, peer)?);
            }
            lease.grow((held.len() + piece.len()).saturating_sub(lease.bytes())).await;
        }
        held.extend_from_slice(&piece);
        if held.len() >= MAX_HELD {
            let rest = BodyRest::new(pieces);
            return Ok((lease.attach(held.freeze()), Some(rest)));
        }
    }
    Ok((lease.attach(held.freeze()), None))
}

/// The pieces of `body`, which fails once it is longer than `limit`.
fn limited(
    body: RequestBody,
    limit: usize,
) -> impl futures_util::Stream<Item = Result<Bytes>> + Send {
    let mut received = 0_usize;
    body.into_data_stream().map(move |piece| {
        let piece = piece.map_err(body::body_error)?;
        received = received.saturating_add(piece.len());
        if received > limit { Err(body::too_large(limit)) } else { Ok(piece) }
    })
}
