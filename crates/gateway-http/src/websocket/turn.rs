//! A turn: one response, from the request to its last event.

use super::{
    DispatchFuture, WebSocketHost,
    frames::{self, FrameError},
    memory::TurnInput,
};
use crate::{names, reply};
use bytes::Bytes;
use futures_util::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use gateway_core::{Json, JsonObject, catch_panic};
use gateway_tasks::failpoint;
use gateway_wire::{MAX_ANSWER_BYTES, StreamFraming, framing::EventSplitter, sse};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyStream, Full};
use serde::Deserialize;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, task::Poll};
use tokio::time::Instant;

/// The largest error body that is read.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// A step of a turn.
#[derive(Debug)]
pub(super) enum TurnEvent {
    /// A frame to be sent.
    Frame(String),
    /// The response is complete; the data to continue it.
    Completed { id: String, input: TurnInput, output: Vec<Json> },
}

/// The caller of a connection: each of its requests comes from there, with those headers.
#[derive(Clone, Debug)]
pub(super) struct ConnectionCaller {
    pub(super) peer: IpAddr,
    pub(super) headers: HeaderMap,
}

/// Runs the response of `body`.
///
/// # Cancel safety
///
/// Dropping the stream cancels the request.
pub(super) fn respond(
    host: &WebSocketHost,
    caller: ConnectionCaller,
    body: &JsonObject,
    input: TurnInput,
) -> impl Stream<Item = TurnEvent> + Send + use<> {
    let request = request(caller.headers, Json::of(body).get().to_owned());
    let dispatch = Arc::clone(&host.dispatch);
    let begun = async move { begin(dispatch(caller.peer, request), input).await };
    caught(stream::once(begun).flatten())
}

/// `turn`, which a panic ends with an error: the other turns of the connection go on.
fn caught(turn: impl Stream<Item = TurnEvent> + Send) -> impl Stream<Item = TurnEvent> + Send {
    let mut turn = Some(Box::pin(turn));
    stream::poll_fn(move |cx| {
        let Some(running) = &mut turn else { return Poll::Ready(None) };
        let polled = catch_panic(|| {
            failpoint("websocket_turn");
            running.as_mut().poll_next(cx)
        });
        polled.unwrap_or_else(|panic| {
            drop(panic.end(|| turn = None));
            Poll::Ready(Some(broken()))
        })
    })
}

/// The last frame of a turn that the gateway could not bring to its end.
fn broken() -> TurnEvent {
    let message = "the gateway failed during the response";
    let error = FrameError { status: 500, code: "internal_error", message, stream_id: None };
    TurnEvent::Frame(error.frame())
}

/// Returns the steps of the turn of `reply`.
async fn begin(reply: DispatchFuture, input: TurnInput) -> BoxStream<'static, TurnEvent> {
    let reply = reply.await;
    let kind = reply.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_stream = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
    if reply.status() == StatusCode::OK && is_stream {
        return events(BodyStream::new(reply.into_body()), input).boxed();
    }
    let (status, headers) = (reply.status().as_u16(), error_headers(reply.headers()));
    let body = error_body(BodyStream::new(reply.into_body())).await;
    let frame = frames::of_reply(status, &body, &headers);
    stream::iter([TurnEvent::Frame(frame)]).boxed()
}

async fn error_body(mut body: BodyStream<reply::Body>) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.next().await {
        let data = frame.into_data().unwrap_or_default();
        if read.len() + data.len() > MAX_ERROR_BYTES {
            break;
        }
        read.extend_from_slice(&data);
    }
    read
}

fn request(headers: HeaderMap, body: String) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static("/v1/responses");
    *request.headers_mut() = headers;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    request
}

/// Returns the headers of a rejection about retries and their reason.
fn error_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let is_shown = |name: &HeaderName| {
        *name == RETRY_AFTER
            || *name == names::REQUEST_ID
            || name.as_str().starts_with(names::RATE_LIMIT_PREFIX)
    };
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter(|(name, _)| is_shown(name)).filter_map(text).collect()
}

/// The events of a streamed reply, a frame each. One that breaks off ends with an error.
fn events(body: BodyStream<reply::Body>, input: TurnInput) -> impl Stream<Item = TurnEvent> + Send {
    let splitter = EventSplitter::new(StreamFraming::Sse, MAX_ANSWER_BYTES);
    let reader = EventReader { body, splitter, input: Some(input) };
    let steps = stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        let (steps, is_end) = reader.next().await;
        Some((steps, (!is_end).then_some(reader)))
    });
    steps.flat_map(stream::iter)
}

/// Reads the events of a streamed reply.
struct EventReader {
    body: BodyStream<reply::Body>,
    splitter: EventSplitter,
    input: Option<TurnInput>,
}

impl EventReader {
    /// The next steps, and whether they are the last.
    async fn next(&mut self) -> (Vec<TurnEvent>, bool) {
        loop {
            let data = match self.body.next().await {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(_)) => return (vec![broken()], true),
                // The last event may lack its empty line.
                None => {
                    let last = self.splitter.finish();
                    return (last.map_or_else(Vec::new, |it| read(&it, &mut self.input)), true);
                }
            };
            match self.splitter.push(data) {
                Ok(Some(block)) => return (read(&block, &mut self.input), false),
                Ok(None) => {}
                Err(_) => return (vec![broken()], true),
            }
        }
    }
}

fn read(block: &[u8], input: &mut Option<TurnInput>) -> Vec<TurnEvent> {
    let mut steps = Vec::new();
    for event in sse::events(block).filter(|event| event.data.trim() != "[DONE]") {
        let is_end = matches!(event.name, "response.completed" | "response.incomplete");
        if is_end && let Some(input) = input.take().filter(|input| !input.is_stored) {
            steps.extend(completed(&event.data, input));
        }
        steps.push(TurnEvent::Frame(event.data.into_owned()));
    }
    steps
}

fn completed(data: &str, input: TurnInput) -> Option<TurnEvent> {
    #[derive(Deserialize)]
    struct Event {
        response: Response,
    }
    #[derive(Deserialize)]
    struct Response {
        id: String,
        #[serde(default)]
        output: Vec<Json>,
    }
    let Event { response } = serde_json::from_str(data).ok()?;
    Some(TurnEvent::Completed { id: response.id, input, output: response.output })
}

/// Records the input of a turn without a response: the next turn continues it.
pub(super) fn warm_up(id: &str, model: &Json, input: TurnInput) -> Vec<TurnEvent> {
    let response = |status: &str| {
        serde_json::json!({
            "id": id, "object": "response", "status": status, "model": model, "output": [],
            "error": null, "incomplete_details": null,
            "usage": { "input_tokens": 0, "output_tokens": 0, "total_tokens": 0 },
        })
    };
    let event = |number: u32, kind: &str, status: &str| {
        let event = serde_json::json!({
            "type": kind, "sequence_number": number, "response": response(status),
        });
        TurnEvent::Frame(event.to_string())
    };
    vec![
        event(0, "response.created", "in_progress"),
        event(1, "response.completed", "completed"),
        TurnEvent::Completed { id: id.to_owned(), input, output: Vec::new() },
    ]
}

/// The time at which a connection that begins now has been open for too long.
pub(super) fn deadline() -> Instant {
    Instant::now() + std::time::Duration::from_hours(1)
}
