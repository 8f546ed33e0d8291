//! Whole responses of an upstream.

use crate::{
    IdGenerator,
    responses::{
        decode_response_items::OutputItemDecoder, decode_response_wire::ResponsesObjectWire, errors,
    },
    unreadable,
};
use bytes::Bytes;
use gateway_core::{Chunk, Dialect, Inspection, ProviderRequest, Result, Started, StreamEvent};

/// Reads a whole response.
pub(super) fn read(call: &ProviderRequest, body: &Bytes, ids: IdGenerator) -> Result<Chunk> {
    // Some servers keep the connection alive with blank lines before the response.
    let body = body.slice(body.len() - body.trim_ascii_start().len()..);
    let text = std::str::from_utf8(&body).map_err(unreadable)?;
    let mut response: ResponsesObjectWire<'_> = serde_json::from_str(text).map_err(unreadable)?;
    if response.object.as_deref() != Some("response") && response.output.is_none() {
        return Err(match response.error {
            Some(_) => errors::read_failure(text),
            None => unreadable("an object that is not a response"),
        });
    }
    let verbatim = call.original(Dialect::Responses).map(|_| body.clone());
    if verbatim.is_none() && response.status.as_deref() == Some("failed") {
        return Err(failure(&response));
    }
    let usage = response.counts();
    let mut events = match (&verbatim, call.inspection) {
        (Some(_), Inspection::UsageOnly) => Vec::new(),
        (Some(_), Inspection::Full) | (None, _) => steps(&mut response, ids),
    };
    events.push(StreamEvent::Finished(response.finish(response.has_calls())));
    events.extend(usage.map(StreamEvent::Usage));
    Ok(Chunk { events, verbatim, output: true, ..Chunk::default() })
}

/// The error that a failed response reports.
pub(super) fn failure(response: &ResponsesObjectWire<'_>) -> gateway_core::GatewayError {
    errors::read_failure(response.error.map_or("null", |error| error.get()))
}

/// The steps of a response, up to its end.
fn steps(response: &mut ResponsesObjectWire<'_>, ids: IdGenerator) -> Vec<StreamEvent> {
    let created = response.created();
    let mut events = vec![StreamEvent::Started(Started {
        id: response.id.take(),
        model: response.model.take(),
        created,
    })];
    let mut items = OutputItemDecoder::new(ids);
    for (at, item) in (0..).zip(response.output.iter().flatten()) {
        items.done(at, item, &mut events);
    }
    let extra = response.extra();
    events.extend(
        extra.iter().map(|(name, value)| StreamEvent::Extra(name.to_owned().into(), value.clone())),
    );
    events
}
