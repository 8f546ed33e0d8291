//! Writes a response in the dialect of the caller: as events, or as a whole body.

use crate::{
    RequestContext, cost_events,
    event_stream::EventStream,
    first_output,
    response::{ResponseBody, ResponseCost},
    tools,
    wake_gated_stream::WakeGatedStream,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use gateway_core::{ChunkStream, Collector, ResponseMeta, Result, UNCHARGED_BYTES};
use gateway_sessions::{CommitResult, ThreadRecorder, responses::ResponseRecorder};
use gateway_wire::{InboundDialect, ResponseContext};

/// The events of a streamed response, whose first output is there. `meta` is corrected if another
/// target answered after all.
pub(crate) async fn streamed(
    context: &RequestContext,
    dialect: &dyn InboundDialect,
    reply: ResponseContext,
    chunks: ChunkStream,
    meta: &mut ResponseMeta,
) -> Result<BoxStream<'static, Bytes>> {
    let (settings, options) = (&context.engine.settings, &context.head.options);
    let chunks =
        if options.show_tool_events { tools::count_calls_as_output(chunks) } else { chunks };
    let mut primed = first_output::buffer_until_first_output(chunks, settings.first_output).await?;
    for found in primed.chunks.iter_mut().filter_map(|chunk| chunk.meta.take()) {
        *meta = *found;
    }
    let writer = if options.report_stream_cost {
        cost_events::writer(dialect, reply, context.answering_price(meta).cloned())
    } else {
        dialect.writer(reply)
    };
    let events = EventStream::new(primed, writer, settings.keep_alive);
    let events = events.showing_tools(options.show_tool_events);
    Ok(match (&context.facts.session.not_stored, &context.thread) {
        (Some(report), _) => WakeGatedStream::new(report.announce(events).boxed()).boxed(),
        (None, Some(thread)) => {
            WakeGatedStream::new(ThreadRecorder::clone(thread).stream(events).boxed()).boxed()
        }
        (None, None) => WakeGatedStream::new(events).boxed(),
    })
}

/// The bytes of a response that was written here. While they are held, they count among the
/// tenant's.
fn charged(context: &RequestContext, written: Vec<u8>) -> Bytes {
    if written.len() <= UNCHARGED_BYTES {
        return written.into();
    }
    let mut lease = context.engine.memory.lease(&context.head.client.tenant);
    lease.charge(written.capacity());
    lease.attach(written)
}

/// The body of a whole response.
pub(crate) async fn whole(
    context: &mut RequestContext,
    dialect: &dyn InboundDialect,
    reply: ResponseContext,
    (mut chunks, recorder): (ChunkStream, Option<ResponseRecorder>),
    meta: &mut ResponseMeta,
) -> Result<ResponseBody> {
    if let Some(recorder) = &recorder {
        chunks = recorder.named(chunks);
    }
    let mut collector = Collector::default();
    let mut verbatim = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if let Some(found) = chunk.meta {
            *meta = *found;
        }
        verbatim = verbatim.or(chunk.verbatim);
        collector.extend(chunk.events);
    }
    let response = collector.finish();
    let usage = response.usage;
    let body: Bytes = match verbatim {
        Some(bytes) => bytes,
        None => charged(context, dialect.write_whole(response, reply)),
    };
    let CommitResult { body, not_stored } = match recorder {
        // Boxed, so that it takes no room in the future of a response that is not recorded.
        Some(recorder) => Box::pin(recorder.whole(body)).await,
        None => body.into(),
    };
    context.facts.not_stored = not_stored;
    if let Some(thread) = &context.thread {
        // Boxed, so that it takes no room in the future of a request without a thread.
        context.facts.not_stored.extend(Box::pin(thread.whole(&body)).await);
    }
    context.facts.cost = usage.map(|usage| ResponseCost::at(context.answering_price(meta), &usage));
    Ok(ResponseBody::Whole(body))
}
