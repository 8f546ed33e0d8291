//! A connection: frames in, frames out, until one side ends it.

use super::{
    ConnectionBudget, WebSocketHost,
    charged_io::{ChargedIo, MessageCharge},
    frames::{self, ClientFrame, CreateFrame, FrameError},
    lanes::{LaneEvent, LaneId, ResponseLanes},
    memory::ConnectionMemory,
    turn::{self, ConnectionCaller, TurnEvent},
};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use gateway_core::{Json, MemoryLease};
use http::HeaderMap;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{net::IpAddr, time::Duration};
use tokio::time::{self, MissedTickBehavior};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use uuid::Uuid;

/// The size of the buffer that a connection is read into, in bytes; a large message grows it.
const READ_BUFFER: usize = 16 << 10;
/// The interval between pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// The timeout of a frame that is sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of a closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of a connection.
pub(super) struct WebSocketConnection {
    host: WebSocketHost,
    caller: ConnectionCaller,
    lanes: ResponseLanes,
    memory: ConnectionMemory,
    /// The charge for the message that arrives.
    arriving: MessageCharge,
    /// Whether the connection accepts no more responses.
    is_closing: bool,
}

/// The client is gone.
struct ClientGone;

type FrameSocket = WebSocketStream<ChargedIo<TokioIo<Upgraded>>>;

impl WebSocketConnection {
    /// Creates the state of a connection of the caller at an address with the headers of its
    /// handshake.
    pub(super) fn new(
        host: WebSocketHost,
        (peer, headers): (IpAddr, HeaderMap),
        budget: ConnectionBudget,
    ) -> Self {
        Self {
            host,
            caller: ConnectionCaller { peer, headers },
            lanes: ResponseLanes::default(),
            arriving: MessageCharge::new(budget.clone()),
            memory: ConnectionMemory::new(budget),
            is_closing: false,
        }
    }

    /// Serves the connection to its end. A frame may have `max_bytes`.
    pub(super) async fn run(mut self, upgraded: Upgraded, max_bytes: usize) {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(max_bytes))
            .max_frame_size(Some(max_bytes));
        let io = ChargedIo::new(TokioIo::new(upgraded), self.arriving.clone());
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let code = self.serve(&mut socket).await;
        if let Ok(code) = code {
            let frame = CloseFrame { code, reason: "".into() };
            let _ = time::timeout(CLOSE_TIMEOUT, socket.close(Some(frame))).await;
            let _ = time::timeout(CLOSE_TIMEOUT, socket.next()).await;
        }
    }

    /// Serves until the connection is to be closed with a code, or the client is gone.
    async fn serve(&mut self, socket: &mut FrameSocket) -> Result<CloseCode, ClientGone> {
        let mut pings = time::interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = self.host.closing.clone();
        let limit = time::sleep_until(turn::deadline());
        tokio::pin!(limit);
        while !(self.is_closing && self.lanes.is_idle()) {
            tokio::select! {
                biased;
                () = closing.cancelled(), if !self.is_closing => {
                    self.goodbye(socket, 503, "server_shutting_down", "the gateway is shutting down: reconnect").await?;
                }
                () = &mut limit, if !self.is_closing => {
                    let message = "the connection has been open for 60 minutes: reconnect";
                    self.goodbye(socket, 400, "websocket_connection_limit_reached", message).await?;
                }
                Some((lane, event)) = self.lanes.next() => self.on_lane(socket, lane, event).await?,
                message = socket.next() => {
                    // What arrives from now on belongs to the next message.
                    let lease = self.arriving.take();
                    match message {
                    Some(Ok(Message::Text(text))) => self.on_frame(socket, (&text, lease)).await?,
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Binary(_))) => {
                        let wrong = FrameError { status: 400, code: "invalid_frame", message: "frames are text", stream_id: None };
                        send(socket, wrong.frame()).await?;
                    }
                    Some(Err(error)) if is_too_large(&error) => return Ok(CloseCode::Size),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(ClientGone),
                    }
                }
                _ = pings.tick() => deliver(socket, Message::Ping(bytes::Bytes::new())).await?,
            }
        }
        Ok(CloseCode::Away)
    }

    /// Reports why the connection ends; responses in progress are completed.
    async fn goodbye(
        &mut self,
        socket: &mut FrameSocket,
        status: u16,
        code: &'static str,
        message: &'static str,
    ) -> Result<(), ClientGone> {
        self.is_closing = true;
        self.lanes.forget_waiting();
        send(socket, FrameError { status, code, message, stream_id: None }.frame()).await
    }

    /// Handles a frame, whose memory is `lease`.
    async fn on_frame(
        &mut self,
        socket: &mut FrameSocket,
        (text, lease): (&str, MemoryLease),
    ) -> Result<(), ClientGone> {
        let refused = match frames::read(text) {
            Ok(ClientFrame::Create(mut frame)) => {
                frame.lease = Some(lease);
                self.create(frame, text.len()).err()
            }
            Ok(ClientFrame::Cancel { stream_id }) => {
                if self.lanes.cancel(&stream_id) {
                    return send(socket, frames::cancelled(stream_id.as_deref())).await;
                }
                let message = "no response is in progress";
                Some(FrameError { status: 400, code: "response_not_active", message, stream_id })
            }
            Ok(ClientFrame::Steer { stream_id }) => {
                return send(socket, frames::steering_unsupported(stream_id.as_deref())).await;
            }
            Err(error) => Some(error),
        };
        match refused {
            Some(error) => send(socket, error.frame()).await,
            None => Ok(()),
        }
    }

    /// Begins the response of a frame of `bytes`, or lets it wait for the one before it.
    fn create(&mut self, mut frame: CreateFrame, bytes: usize) -> Result<(), FrameError> {
        let refusal =
            |status, code, message, stream_id| Err(FrameError { status, code, message, stream_id });
        let id = frame.stream_id.clone();
        if self.is_closing {
            let message = "the connection is being closed: reconnect";
            return refusal(503, "server_shutting_down", message, id);
        }
        if self.lanes.is_busy(&id) {
            // A small frame costs nothing while it arrives, but many may wait.
            let lease = frame.lease.as_mut();
            let has_memory =
                lease.is_none_or(|lease| lease.bytes() >= bytes || lease.try_grow(bytes));
            if !has_memory || !self.lanes.may_wait(bytes) {
                return refusal(503, "overloaded", "too many requests wait: send it again", id);
            }
            return match self.lanes.wait(frame) {
                Ok(()) => Ok(()),
                Err(_) => refusal(429, "too_many_responses", "too many responses wait", id),
            };
        }
        if !self.lanes.has_room() {
            return refusal(429, "too_many_streams", "too many streams are in progress", id);
        }
        self.begin(frame);
        Ok(())
    }

    fn begin(&mut self, frame: CreateFrame) {
        let CreateFrame { stream_id, generate, mut body, lease } = frame;
        let input = self.memory.resolve(&mut body, lease);
        if generate {
            let turn = turn::respond(&self.host, self.caller.clone(), &body, input);
            self.lanes.begin(stream_id, turn);
        } else {
            let id = format!("resp_{}", Uuid::new_v4().simple());
            let model = body.remove("model").unwrap_or_else(Json::null);
            self.lanes.begin(stream_id, stream::iter(turn::warm_up(&id, &model, input)));
        }
    }

    async fn on_lane(
        &mut self,
        socket: &mut FrameSocket,
        lane: LaneId,
        event: LaneEvent,
    ) -> Result<(), ClientGone> {
        match event {
            LaneEvent::Turn(TurnEvent::Frame(frame)) => {
                send(socket, frames::with_stream_id(&frame, lane.as_deref())).await
            }
            LaneEvent::Turn(TurnEvent::Completed { id, input, output }) => {
                self.memory.keep(id, input, output);
                Ok(())
            }
            LaneEvent::Ended => {
                if let Some(next) = self.lanes.end(&lane) {
                    self.begin(next);
                }
                Ok(())
            }
        }
    }
}

async fn send(socket: &mut FrameSocket, frame: String) -> Result<(), ClientGone> {
    deliver(socket, Message::Text(frame.into())).await
}

async fn deliver(socket: &mut FrameSocket, message: Message) -> Result<(), ClientGone> {
    match time::timeout(SEND_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ClientGone),
    }
}

fn is_too_large(error: &tokio_tungstenite::tungstenite::Error) -> bool {
    matches!(error, tokio_tungstenite::tungstenite::Error::Capacity(_))
}
