//! One request and its response, against a scripted server.

use super::*;
use std::{iter, time::Duration};
use tokio::time;

const LONG: Duration = Duration::from_secs(20);

/// A part of what a server does with a connection.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Reads a request up to the end of its head.
    Head,
    /// Reads so many bytes of a body.
    Body(usize),
    /// Writes these bytes.
    Say(Vec<u8>),
    /// Waits for a while.
    Wait(u64),
    /// Closes its side, and reads until the client has closed its own.
    Close,
    /// Closes with a reset: what was sent to it is not read.
    Reset,
    /// Reads until the client closes; the connection is kept open until then.
    Hold,
}
use Step::{Body, Close, Head, Hold, Reset, Say, Wait};

pub(super) fn say(text: impl AsRef<[u8]>) -> Step {
    Say(text.as_ref().to_vec())
}

/// A server whose connections do, one after the other, what the scripts say; the last script holds
/// for all that follow. Returns the heads of all requests in the end.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    heads: JoinSet<Vec<String>>,
}

impl Server {
    pub(super) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut heads = JoinSet::new();
        heads.spawn(async move {
            let mut serving = JoinSet::new();
            let mut heads = Vec::new();
            for number in 0.. {
                let script = scripts[usize::min(number, scripts.len() - 1)].clone();
                // The test has ended when nothing comes for a while.
                let accepted = time::timeout(Duration::from_millis(300), listener.accept()).await;
                let Ok(Ok((socket, _))) = accepted else { break };
                serving.spawn(serve(socket, script));
            }
            while let Some(served) = serving.join_next().await {
                heads.extend(served.unwrap());
            }
            heads
        });
        Self { address, heads }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/path", self.address)
    }

    /// The heads of all requests, when all connections have ended.
    pub(super) async fn heads(mut self) -> Vec<String> {
        time::timeout(LONG, self.heads.join_next()).await.unwrap().unwrap().unwrap()
    }
}

async fn serve(mut socket: TcpStream, script: Vec<Step>) -> Vec<String> {
    let (mut heads, mut heard) = (Vec::new(), Vec::new());
    for step in script {
        match step {
            Head => loop {
                if let Some(end) = heard.windows(4).position(|it| it == b"\r\n\r\n") {
                    let rest = heard.split_off(end + 4);
                    heads.push(String::from_utf8(std::mem::replace(&mut heard, rest)).unwrap());
                    break;
                }
                if socket.read_buf(&mut heard).await.unwrap_or(0) == 0 {
                    return heads;
                }
            },
            Body(length) => {
                while heard.len() < length {
                    assert_ne!(socket.read_buf(&mut heard).await.unwrap(), 0, "cut off");
                }
                heard.drain(..length);
            }
            Say(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            Wait(millis) => time::sleep(Duration::from_millis(millis)).await,
            Close => {
                let _ = socket.shutdown().await;
            }
            Reset => {
                socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
                return heads;
            }
            Hold => while socket.read_buf(&mut heard).await.unwrap_or(0) > 0 {},
        }
    }
    heads
}

pub(super) fn client() -> HttpClient {
    HttpClient::new(&ClientSettings::default()).unwrap()
}

/// Posts `body` and returns the status and the body, or what went wrong.
pub(super) async fn post(client: &HttpClient, url: &str, body: &[Bytes]) -> String {
    let uri = url.parse().unwrap();
    let template = client.prepare(http::Method::POST, uri, http::HeaderMap::new()).unwrap();
    let sending = client.send(&template, iter::empty(), body);
    match time::timeout(LONG, sending).await.expect("a response should come") {
        Err(error) => error.code().to_owned(),
        Ok(UpstreamResponse { head, body }) => {
            let status = head.status.as_u16();
            match time::timeout(LONG, body.collect(1 << 20)).await.expect("it should end") {
                Ok(body) => format!("{status} {}", String::from_utf8_lossy(&body)),
                Err(error) => format!("{status} {error}"),
            }
        }
    }
}

/// Checks the result of a request whose connection follows `script`.
async fn check(script: &[Step], expected: &str) {
    let server = Server::start(vec![script.to_vec()]).await;
    let body = [Bytes::from_static(b"hel"), Bytes::from_static(b"lo")];
    assert_eq!(post(&client(), &server.url(), &body).await, expected, "{script:?}");
    assert_eq!(server.heads().await.len(), 1, "{script:?}");
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

#[tokio::test]
async fn response_is_read_to_its_end() {
    check(&[Head, Body(5), say(OK), Hold], "200 hi").await;
    check(&[Head, Body(5), say("HTTP/1.0 200 OK\r\n\r\nall"), Close, Hold], "200 all").await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
    check(&[Head, say(chunked), Wait(20), say("1\r\nc\r\n0\r\n\r\n"), Hold], "200 abc").await;
    check(&[Head, say("HTTP/1.1 100 Continue\r\n\r\n"), Wait(20), say(OK), Hold], "200 hi").await;
    check(&[Head, say(&OK[..10]), Wait(20), say(&OK[10..]), Hold], "200 hi").await;
}

#[tokio::test]
async fn connection_that_ends_early_is_reported() {
    for step in [Close, Reset] {
        check(&[Head, Body(5), step.clone(), Hold], "upstream_reset").await;
        check(&[Head, Body(5), say(&OK[..20]), step, Hold], "upstream_reset").await;
    }
    let cut = "200 the response is incomplete";
    check(&[Head, Body(5), say(&OK[..OK.len() - 1]), Close, Hold], cut).await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
    check(&[Head, Body(5), say(chunked), Close, Hold], cut).await;
}

#[tokio::test]
async fn response_that_is_not_http_is_refused() {
    for bad in
        ["SSH-2.0\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 200 OK\r\na\r\n"]
    {
        check(&[Head, Body(5), say(bad), Hold], "upstream_protocol").await;
    }
}

#[tokio::test]
async fn request_head_has_required_fields() {
    let server = Server::start(vec![vec![Head, Body(5), say(OK), Head, say(OK), Hold]]).await;
    let client = client();
    let headers = [("x-b", "fixed"), ("x-secret", "s"), ("content-length", "7")];
    let headers = headers.into_iter().map(|(name, value)| {
        (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
    });
    let prepare = |method: http::Method, headers| {
        client.prepare(method, server.url().parse().unwrap(), headers).unwrap()
    };
    let post = prepare(http::Method::POST, headers.collect());
    let extra = [("x-a", "1"), ("x-b", "2"), ("x-bad", "a\r\nb"), ("bad name", "x")];
    let body = [Bytes::from_static(b"hello")];
    let response = client.send(&post, extra.into_iter(), &body).await.unwrap();
    assert_eq!(response.body.collect(10).await.unwrap(), "hi");
    let get = prepare(http::Method::GET, http::HeaderMap::new());
    client.send(&get, iter::empty(), &[]).await.unwrap().body.collect(10).await.unwrap();
    // Unused connections live as long as what may use them.
    drop((client, post, get));
    let host = server.address;
    let heads = server.heads().await;
    assert_eq!(
        heads[0],
        format!(
            "POST /path HTTP/1.1\r\nhost: {host}\r\nx-secret: s\r\nx-a: 1\r\nx-b: 2\r\ncontent-length: 5\r\n\r\n"
        )
    );
    assert_eq!(heads[1], format!("GET /path HTTP/1.1\r\nhost: {host}\r\n\r\n"));
}

/// More than the system takes for a peer that does not read.
fn large() -> Vec<Bytes> {
    (0..40).map(|number| Bytes::from(vec![number; 1 << 20])).collect()
}

#[tokio::test]
async fn large_request_is_written_whole() {
    let length = 40 << 20;
    check_large(&[Head, Body(length), say(OK), Hold], "200 hi").await;
    // A response that begins early does not end the request.
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
    check_large(&[Head, say(chunked), Body(length), say("0\r\n\r\n"), Hold], "200 ab").await;
}

#[tokio::test]
async fn early_response_is_read_though_the_request_is_not_written() {
    let refused = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
    check_large(&[Head, say(refused), Wait(50)], "413 no").await;
    check_large(&[Head, say(refused), Close, Wait(50)], "413 no").await;
}

async fn check_large(script: &[Step], expected: &str) {
    let server = Server::start(vec![script.to_vec()]).await;
    assert_eq!(post(&client(), &server.url(), &large()).await, expected, "{script:?}");
    server.heads().await;
}

#[tokio::test]
async fn chunks_of_one_read_are_returned_together() {
    let chunks = "3\r\nabc\r\n".repeat(100);
    let text = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    let server = Server::start(vec![vec![Head, say(text), Hold]]).await;
    let client = client();
    let uri = server.url().parse().unwrap();
    let template = client.prepare(http::Method::GET, uri, http::HeaderMap::new()).unwrap();
    let mut body = client.send(&template, iter::empty(), &[]).await.unwrap().body;
    let data = std::future::poll_fn(|cx| body.poll_data(cx)).await.unwrap().unwrap();
    assert_eq!(data, "abc".repeat(100));
    assert!(std::future::poll_fn(|cx| body.poll_data(cx)).await.is_none());
}

#[tokio::test]
async fn dropped_response_closes_the_connection() {
    for text in ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart", ""] {
        // The server holds the connection until the client closes it.
        let server = Server::start(vec![vec![Head, say(text), Hold]]).await;
        let client = client();
        let uri = server.url().parse().unwrap();
        let template = client.prepare(http::Method::GET, uri, http::HeaderMap::new()).unwrap();
        let sending = client.send(&template, iter::empty(), &[]);
        let response = time::timeout(Duration::from_millis(100), sending).await;
        assert_eq!(response.is_ok(), !text.is_empty());
        drop(response);
        assert_eq!(server.heads().await.len(), 1, "and its connection has ended");
    }
}
