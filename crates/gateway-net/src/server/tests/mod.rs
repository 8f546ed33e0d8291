//! The listener, as callers of all manners meet it.

mod answers;
mod bodies;
mod ends;
mod heads;
mod shared;

use super::*;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Either, Full};
use hyper::service::service_fn;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// Short enough for a test, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);

/// Nothing ends, unless a test shortens it.
const PATIENT: ConnectionLimits = ConnectionLimits {
    connections: 100,
    first_byte: LONG,
    head: LONG,
    idle: LONG,
    write: LONG,
    body: LONG,
    body_grace: LONG,
    body_rate: 1,
    linger: LONG,
    age: LONG,
};

/// An answer without end, as fast as the caller takes it.
struct Endless(Arc<AtomicUsize>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 << 10])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

type Reply = Response<Either<Full<Bytes>, Endless>>;

fn reply(status: u16, body: &str) -> Reply {
    let body = Either::Left(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    Response::builder().status(status).body(body).unwrap()
}

/// `/early` answers without reading, `/slow` after a while, `/endless` for ever; everything else
/// with the length of the body or the code of its error.
async fn answer(
    request: Request<RequestBody>,
    sent: Arc<AtomicUsize>,
) -> Result<Reply, Infallible> {
    match request.uri().path() {
        "/early" => return Ok(reply(413, "early")),
        "/endless" => return Ok(Response::new(Either::Right(Endless(sent)))),
        "/slow" => sleep(2 * SHORT).await,
        _ => {}
    }
    Ok(match request.into_body().collect().await {
        Ok(body) => reply(200, &format!("read {}", body.to_bytes().len())),
        Err(error) => reply(400, error.code()),
    })
}

struct Gateway {
    address: SocketAddr,
    drain: ListenerShutdown,
    served: JoinHandle<()>,
    /// The number of parts of the endless response that were sent; 0 when it was cancelled.
    sent: Arc<AtomicUsize>,
}

impl Gateway {
    #[expect(clippy::disallowed_methods, reason = "the test waits for the task, or ends with it")]
    fn start(limits: ConnectionLimits) -> Self {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (drain, sent) = (ListenerShutdown::default(), Arc::new(AtomicUsize::new(0)));
        let (draining, count) = (drain.clone(), Arc::clone(&sent));
        let served = tokio::spawn(async move {
            let make = move |_| {
                let count = Arc::clone(&count);
                service_fn(move |request| answer(request, Arc::clone(&count)))
            };
            serve(
                Listener { name: "listener", socket: listener, tls: None, limits },
                make,
                &draining,
            )
            .await;
        });
        Self { address, drain, served, sent }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ends(self) {
        timeout(LONG, self.served).await.expect("the listener should end").unwrap();
    }
}

/// Returns the bytes received until the connection ends, and whether it ended in time.
async fn heard(socket: &mut TcpStream) -> (String, bool) {
    let mut bytes = Vec::new();
    let ended = timeout(10 * SHORT, socket.read_to_end(&mut bytes)).await.is_ok();
    (String::from_utf8_lossy(&bytes).into_owned(), ended)
}

/// Reads one response with a known body.
async fn one_answer(socket: &mut (impl AsyncRead + Unpin), body: &str) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while !bytes.ends_with(body.as_bytes()) {
            assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "cut off");
        }
    };
    timeout(LONG, read).await.expect("an answer should come");
    String::from_utf8(bytes).unwrap()
}

/// Sends the parts, `SHORT / 2` after one another, and says what comes back until the connection
/// ends by itself.
async fn check(limits: ConnectionLimits, parts: &[&str], expected: &str) {
    let gateway = Gateway::start(limits);
    let mut socket = gateway.connect().await;
    let (mut reader, mut writer) = socket.split();
    let send = async {
        for part in parts {
            // The gateway may have closed already.
            if writer.write_all(part.as_bytes()).await.is_err() {
                break;
            }
            sleep(SHORT / 2).await;
        }
        std::future::pending::<()>().await;
    };
    let mut bytes = Vec::new();
    tokio::select! {
        () = send => {}
        ended = timeout(10 * SHORT, reader.read_to_end(&mut bytes)) => {
            assert!(ended.is_ok(), "the connection should end after {parts:?}");
            // Who goes on talking to a closed connection is reset; who is answered must not be.
            assert!(expected.is_empty() || ended.unwrap().is_ok(), "reset after {parts:?}");
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).unwrap_or_default();
    let body = text.rsplit("\r\n\r\n").next().unwrap_or_default();
    assert_eq!(format!("{status} {body}").trim(), expected, "{parts:?}");
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
