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
    let reading = begin(service, (body, limit), FormReader::new(boundary), sender);
    let timed_out = || GatewayError::new(ErrorKind::RequestTimeout, "the request body timed out");
    let read = time::timeout(service.bodies.timeout, reading).await;
    let (reader, bytes, rest) = read.unwrap_or_else(|_| Err(timed_out().into()))?;
    if rest.is_none() {
        reader.check_end()?;
    }
    let length = length.map(|length| length as u64);
    Ok(InboundForm { content_type: content_type.to_owned(), reader, bytes, rest, length })
}

async fn begin(
    service: &HttpService,
    (body, limit): (RequestBody, usize),
    mut reader: FormReader,
    (client, peer): (&Client, IpAddr),
) -> Result<(FormReader, Bytes, Option<BodyRest>), LimitError> {
    let mut pieces = Box::pin(limited(body, limit));
    let mut lease = service.bodies.budget.lease(&client.tenant);
    let mut held = BytesMut::new();
    let mut permit = None;
    while let Some(piece) = pieces.try_next().await? {
        reader.push(&piece)?;
        if held.len() + piece.len() > UNCHARGED_BYTES {
            if permit.is_none() {
                permit = Some(service.body_permit(client, peer)?);
            }
            lease.grow((held.len() + piece.len()).saturating_sub(lease.bytes())).await;
        }
        held.extend_from_slice(&piece);
        if held.len() >= MAX_HELD {
            let rest = BodyRest::new(pieces);
            return Ok((reader, lease.attach(held.freeze()), Some(rest)));
        }
    }
    Ok((reader, lease.attach(held.freeze()), None))
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
