//! The reply to a request that a server answers: JSON, or a stream of events if the server sends
//! notifications or requests before its result.

use crate::reply;
use bytes::Bytes;
use futures_util::{
    future::{self, BoxFuture, Either},
    stream,
};
use gateway_core::{Json, NotificationSink};
use http::{Response, StatusCode};
use std::sync::Arc;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// The most notifications that wait for a client; further ones are dropped.
const MAX_WAITING: usize = 256;

/// A written reply: its status, and its body.
pub(super) type WrittenReply = (StatusCode, Vec<u8>);

/// Returns both ends of the messages that a client gets before its response.
pub(super) fn events() -> (Sender<Json>, Receiver<Json>) {
    mpsc::channel(MAX_WAITING)
}

/// Returns the sink of notifications among `events`.
pub(super) fn notifications(events: Sender<Json>) -> NotificationSink {
    Arc::new(move |notification| {
        // Progress is worth nothing to a client that does not read it.
        let _ = events.try_send(notification);
    })
}

/// Waits for `work`; passes on what is notified meanwhile.
pub(super) async fn respond(
    mut work: BoxFuture<'static, WrittenReply>,
    mut notified: Receiver<Json>,
) -> Response<reply::Body> {
    let first = match future::select(&mut work, Box::pin(notified.recv())).await {
        Either::Left(((status, body), _)) => return reply::written(status, body),
        Either::Right((Some(first), _)) => first,
        Either::Right((None, _)) => {
            let (status, body) = work.await;
            return reply::written(status, body);
        }
    };
    let rest = stream::unfold(Some((work, notified)), |state| async move {
        let (mut work, mut notified) = state?;
        let next = match future::select(Box::pin(notified.recv()), &mut work).await {
            Either::Left((Some(notification), _)) => Either::Left(notification),
            Either::Left((None, work)) => Either::Right(work.await),
            Either::Right((written, _)) => Either::Right(written),
        };
        match next {
            Either::Left(notification) => {
                Some((event(notification.get().as_bytes()), Some((work, notified))))
            }
            Either::Right((_, body)) => {
                let waiting = std::iter::from_fn(|| notified.try_recv().ok());
                let mut last: Vec<u8> =
                    waiting.flat_map(|it| event(it.get().as_bytes()).to_vec()).collect();
                last.extend_from_slice(&event(&body));
                Some((last.into(), None))
            }
        }
    });
    let begun = stream::iter([event(first.get().as_bytes())]);
    reply::event_stream(futures_util::StreamExt::chain(begun, rest))
}

/// An event with `json`, which may have line breaks.
pub(super) fn event(json: &[u8]) -> Bytes {
    let mut out = b"event: message\n".to_vec();
    for line in json.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.into()
}
