//! The response to a request among the events of a stream, and what a server sends before it:
//! notifications go to the client, requests too, and the client's replies are posted to the server.
//!
//! A server that knows the gateway by a handshake may end the stream before the response; it is
//! resumed after the event that came last.

use super::{
    endpoint::{ExchangeRules, McpEndpoint, failed, is_stream},
    event_reader::{EventReader, ServerMessage},
    message::{ReplyMessage, ResponseMessage, ServerRequest},
};
use crate::client::too_large;
use bytes::BytesMut;
use futures_util::{
    StreamExt as _,
    future::{self, BoxFuture},
    stream::FuturesUnordered,
};
use gateway_core::{Json, McpReply, ToolError};
use std::{convert::Infallible, time::Duration};
use tokio::time;

/// The most requests of a server that are open during one exchange; further ones are not read
/// until one has its reply.
const MAX_OPEN: usize = 16;
/// The most times that a stream is resumed.
const MAX_RESUMES: usize = 16;
/// The pause before a stream is resumed, unless the server sets it.
const PAUSE: Duration = Duration::from_secs(1);
/// The code of an unknown method.
const METHOD_NOT_FOUND: i32 = -32601;

/// An exchange whose response comes as an event of a stream.
pub(super) struct StreamExchange<'a> {
    endpoint: McpEndpoint<'a>,
    rules: ExchangeRules<'a>,
    /// Whether the stream belongs to no request, and stays open.
    is_endless: bool,
    events: EventReader,
    /// The requests of the server that have no reply yet.
    open: FuturesUnordered<BoxFuture<'a, ()>>,
}

impl<'a> StreamExchange<'a> {
    pub(super) fn new(endpoint: McpEndpoint<'a>, rules: ExchangeRules<'a>) -> Self {
        let (events, open) = (EventReader::default(), FuturesUnordered::new());
        Self { endpoint, rules, is_endless: false, events, open }
    }

    /// Reads the response; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the server breaks off, or sends too much.
    pub(super) async fn read(
        mut self,
        mut response: reqwest::Response,
    ) -> Result<Option<ResponseMessage>, ToolError> {
        for _ in 0..MAX_RESUMES {
            if let Some(message) = self.read_stream(&mut response).await? {
                return Ok(Some(message));
            }
            let last_id = self.events.restart().filter(|_| self.rules.has_handshake);
            let Some(last_id) = last_id else { break };
            // A server that waits for a reply sends nothing before it has it.
            while self.open.next().await.is_some() {}
            time::sleep(self.events.retry.unwrap_or(PAUSE)).await;
            response = self.endpoint.listen(Some(&last_id)).await?;
            if !is_stream(&response) {
                break;
            }
        }
        Ok(None)
    }

    /// Serves the messages of a stream that belongs to no request, for ever: the stream may end
    /// before.
    pub(super) async fn serve(mut self, mut response: reqwest::Response) -> Infallible {
        self.is_endless = true;
        // The call goes on without it.
        let _ = self.read_stream(&mut response).await;
        while self.open.next().await.is_some() {}
        future::pending().await
    }

    /// Serves the messages of a stream that belongs to no request, until it ends.
    ///
    /// # Errors
    ///
    /// If the server breaks off, or a message is too large.
    pub(super) async fn serve_all(
        mut self,
        mut response: reqwest::Response,
    ) -> Result<(), ToolError> {
        self.is_endless = true;
        self.read_stream(&mut response).await.map(|_| ())
    }

    /// Reads one stream, and serves the requests in it.
    async fn read_stream(
        &mut self,
        response: &mut reqwest::Response,
    ) -> Result<Option<ResponseMessage>, ToolError> {
        let mut received = BytesMut::new();
        // The bytes that count: of a stream without an end, those of the message that comes.
        let mut counted = 0;
        loop {
            tokio::select! {
                Some(()) = self.open.next(), if !self.open.is_empty() => {}
                chunk = response.chunk(), if self.open.len() < MAX_OPEN => {
                    let Some(chunk) = chunk.map_err(|error| failed(&error))? else {
                        let last = self.events.end(&received);
                        return Ok(last.and_then(|message| self.take(message)));
                    };
                    counted += chunk.len();
                    if counted > self.rules.max_bytes {
                        return Err(too_large(self.rules.max_bytes));
                    }
                    received.extend_from_slice(&chunk);
                    // A stream may stay open behind the response.
                    while let Some(message) = self.events.next(&received) {
                        if let Some(response) = self.take(message).filter(|_| !self.is_endless) {
                            return Ok(Some(response));
                        }
                    }
                    self.events.discard(&mut received);
                    if self.is_endless && !self.events.is_within_message() {
                        counted = received.len();
                    }
                }
            }
        }
    }

    /// Returns a response, and passes on every other message.
    fn take(&mut self, message: ServerMessage) -> Option<ResponseMessage> {
        match message {
            ServerMessage::Response(response) => return Some(response),
            ServerMessage::Notification(json) => {
                if let Some(sink) = self.rules.relay.and_then(|it| it.notifications.as_ref()) {
                    sink(json);
                }
            }
            ServerMessage::Request(request) if self.rules.has_handshake => {
                self.open.push(Box::pin(reply(self.endpoint, self.rules, request)));
            }
            ServerMessage::Request(_) => {}
        }
        None
    }
}

/// Posts the client's reply to a request of the server.
async fn reply(endpoint: McpEndpoint<'_>, rules: ExchangeRules<'_>, request: ServerRequest) {
    let ServerRequest { id, method, params } = request;
    let client = rules.relay.and_then(|relay| relay.client.as_ref());
    let replied = match client {
        _ if method == "ping" => McpReply::Result(Json::of(&serde_json::Map::new())),
        Some(client) => client.send(&method, params).await,
        None => McpReply::error(METHOD_NOT_FOUND, "the client takes no requests"),
    };
    let body = serde_json::to_vec(&ReplyMessage::new(&id, &replied)).unwrap_or_default();
    if let Err(error) = endpoint.send(body).await {
        // The server waits as long as its own limit, and the call as long as that of its tool.
        tracing::debug!(target: "gateway::tool", %error, "a reply did not reach its MCP server");
    }
}
