//! The reply to a relayed request, as it arrives.

use crate::response_stream::cut;
use futures_util::Stream;
use gateway_core::{CallMeter, Chunk, ReplyUnit, Result, StreamEvent};
use gateway_net::client::ResponseBody;
use gateway_wire::relay::ReplyUsageReader;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The chunks of a reply: its bytes as they come, and at its end the usage that it reports.
///
/// Dropping it before its end closes the connection.
pub(super) struct RelayedReply {
    body: ResponseBody,
    /// Reads the usage; absent once the reply has ended.
    usage: Option<ReplyUsageReader>,
    meter: CallMeter,
}

impl RelayedReply {
    pub(super) fn new(
        body: ResponseBody,
        content_type: &str,
        billed_by: ReplyUnit,
        meter: CallMeter,
    ) -> Self {
        meter.response_started();
        Self { body, usage: Some(ReplyUsageReader::new(content_type, billed_by)), meter }
    }
}

impl Stream for RelayedReply {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let this = &mut *self;
        let Some(usage) = &mut this.usage else { return Poll::Ready(None) };
        match ready!(this.body.poll_data(cx)) {
            Some(Ok(bytes)) => {
                usage.push(&bytes);
                // After it, another attempt would be visible to the caller.
                let chunk = Chunk { verbatim: Some(bytes), output: true, ..Chunk::default() };
                Poll::Ready(Some(Ok(chunk)))
            }
            Some(Err(error)) => {
                this.usage = None;
                Poll::Ready(Some(Err(cut(error))))
            }
            None => {
                let usage = this.usage.take().and_then(ReplyUsageReader::finish);
                this.meter.completed(usage);
                let events = usage.map(StreamEvent::Usage).into_iter().collect();
                Poll::Ready(Some(Ok(Chunk { events, ..Chunk::default() })))
            }
        }
    }
}
