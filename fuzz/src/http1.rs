//! Responses of HTTP/1.1, by our own parser and by hyper's.

use gateway_net::client::h1::{HeadParser, InvalidResponse, ParsedHead};
use http_body_util::BodyExt as _;
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    runtime::{Builder, Runtime},
    time::Instant,
};

/// The result of reading a response from a connection that ends after it.
#[derive(Debug, Eq, PartialEq)]
enum Outcome {
    /// No HTTP, or not in our grammar.
    Invalid,
    /// The connection ended first.
    Closed,
    Response(Response),
}

#[derive(Debug, Eq, PartialEq)]
struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    /// Whether the body came to its end.
    is_whole: bool,
}

/// The interpretation of the input: the request's method, and the size of the reads.
struct Reading<'a> {
    is_head: bool,
    size: usize,
    bytes: &'a [u8],
}

impl<'a> Reading<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        let (first, bytes) = data.split_first()?;
        Some(Self { is_head: first & 0x80 != 0, size: usize::from(first & 0x7f).max(1), bytes })
    }
}

/// The network may cut anywhere, and what is consumed bounds what is produced.
pub(crate) fn response(data: &[u8]) {
    let Some(reading) = Reading::new(data) else { return };
    let whole = ours(reading.bytes, reading.bytes.len(), reading.is_head);
    assert_eq!(whole, ours(reading.bytes, reading.size, reading.is_head));
    assert_eq!(whole, ours(reading.bytes, 1, reading.is_head));
}

/// Where our grammar is not stricter on purpose, hyper reads the same.
pub(crate) fn differential(data: &[u8]) {
    let Some(reading) = Reading::new(data) else { return };
    let ours = ours(reading.bytes, reading.size, reading.is_head);
    let ours = match ours {
        Ok(outcome) => outcome,
        Err(error) if is_stricter(error) => return,
        Err(_) => Outcome::Invalid,
    };
    let theirs = theirs(&reading);
    assert_eq!(ours, theirs, "ours, and hyper's");
}

/// Whether hyper lets pass what fails with `error`.
const fn is_stricter(error: InvalidResponse) -> bool {
    match error {
        InvalidResponse::SwitchedProtocols
        | InvalidResponse::TooManyInterim
        | InvalidResponse::ConflictingLength
        | InvalidResponse::TransferEncoding
        // Where there is no body, hyper does not look at its length.
        | InvalidResponse::ContentLength
        | InvalidResponse::HeadTooLong => true,
        InvalidResponse::Head
        | InvalidResponse::HeadTooSlow
        | InvalidResponse::ChunkSize
        | InvalidResponse::ChunkEnd
        | InvalidResponse::ExtensionsTooLong
        | InvalidResponse::Trailers
        | InvalidResponse::Incomplete => false,
    }
}

fn ours(bytes: &[u8], size: usize, is_head: bool) -> Result<Outcome, InvalidResponse> {
    let mut parser = HeadParser::new(is_head, Duration::from_secs(1));
    let now = Instant::now();
    let mut parsed: Option<ParsedHead> = None;
    let mut body = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        let mut rest = piece;
        if parsed.is_none() {
            let Some((head, used)) = parser.push(piece, now)? else { continue };
            rest = piece.get(used..).expect("no more is used than came");
            parsed = Some(head);
        }
        if let Some(head) = &mut parsed {
            let (data, used) = head.body.decode(rest);
            assert!(data.len() <= used && used <= rest.len(), "data comes from what is consumed");
            body.extend_from_slice(&data);
        }
    }
    let Some(ParsedHead { head, body: mut decoder, .. }) = parsed else {
        return Ok(Outcome::Closed);
    };
    decoder.finish();
    let fields = head.to_map();
    let headers =
        fields.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let status = head.status.as_u16();
    Ok(Outcome::Response(Response { status, headers, body, is_whole: decoder.is_end() }))
}

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().build().expect("a runtime without drivers");
}

fn theirs(reading: &Reading<'_>) -> Outcome {
    RUNTIME.with(|runtime| runtime.block_on(exchange(reading)))
}

async fn exchange(reading: &Reading<'_>) -> Outcome {
    let (client, server) = tokio::io::duplex(1 << 20);
    let mut builder = http1::Builder::new();
    builder.max_headers(100).max_buf_size(64 << 10);
    let handshake = builder.handshake(TokioIo::new(client)).await;
    let (mut sender, connection) = handshake.expect("there is nothing to agree on");
    let method = if reading.is_head { "HEAD" } else { "GET" };
    let request = Request::builder().method(method).uri("/").header("host", "h");
    let request = request.body(http_body_util::Empty::<Bytes>::new()).expect("a request");
    let asking = async {
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            Err(error) if error.is_parse() => return Outcome::Invalid,
            Err(_) => return Outcome::Closed,
        };
        let (head, mut incoming) = response.into_parts();
        let (mut body, mut is_whole) = (Vec::new(), true);
        while let Some(frame) = incoming.frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => body.extend_from_slice(&data),
                Ok(Err(_)) => {}
                Err(_) => {
                    is_whole = false;
                    break;
                }
            }
        }
        let headers = head.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        Outcome::Response(Response { status: head.status.as_u16(), headers, body, is_whole })
    };
    // A connection that breaks says so to the request as well.
    let driving = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        outcome = asking => outcome,
        () = driving => Outcome::Closed,
        () = serve(server, reading.bytes) => Outcome::Closed,
    }
}

/// Answers the one request with `bytes`, and ends the connection.
async fn serve(mut server: DuplexStream, bytes: &[u8]) {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        if server.read_buf(&mut heard).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let _ = server.write_all(bytes).await;
    drop(server);
    std::future::pending::<()>().await;
}
