use super::*;
use crate::drain::Schedule;
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full};
use hyper::service::service_fn;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// Short enough for a test, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);

/// Nothing ends, unless a test shortens it.
const PATIENT: Limits = Limits {
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
    drain: Drain,
    served: JoinHandle<()>,
    /// How many parts of the endless answer were sent; 0 when it was given up.
    sent: Arc<AtomicUsize>,
}

impl Gateway {
    #[expect(clippy::disallowed_methods, reason = "the test waits for the task, or ends with it")]
    fn start(limits: Limits) -> Self {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (drain, sent) = (Drain::default(), Arc::new(AtomicUsize::new(0)));
        let (draining, count) = (drain.clone(), Arc::clone(&sent));
        let served = tokio::spawn(async move {
            let make = move |_| {
                let count = Arc::clone(&count);
                service_fn(move |request| answer(request, Arc::clone(&count)))
            };
            serve(listener, make, limits, &draining).await;
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

/// What comes until the connection ends, and whether it ended in time.
async fn heard(socket: &mut TcpStream) -> (String, bool) {
    let mut bytes = Vec::new();
    let ended = timeout(10 * SHORT, socket.read_to_end(&mut bytes)).await.is_ok();
    (String::from_utf8_lossy(&bytes).into_owned(), ended)
}

/// One answer, of which the body is known.
async fn one_answer(socket: &mut TcpStream, body: &str) -> String {
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
async fn check(limits: Limits, parts: &[&str], expected: &str) {
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

#[tokio::test]
async fn a_caller_who_says_nothing_is_sent_away() {
    check(Limits { first_byte: SHORT, ..PATIENT }, &[], "").await;
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let limits = Limits { head: SHORT, ..PATIENT };
    check(limits, &["GET / HT"], "").await;
    check(limits, &["P"], "").await;
    check(limits, &["PRI * HTTP/2.0\r\n\r\n"], "").await;
}

#[tokio::test]
async fn a_shared_connection_without_a_request_is_not_waited_for() {
    let gateway = Gateway::start(Limits { head: SHORT, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    assert!(heard(&mut socket).await.1);
}

#[tokio::test]
async fn a_dripping_head_has_the_same_time_as_any() {
    let drip: Vec<_> = GET.split_inclusive('\n').collect();
    let more = ["GET / HTTP/1.1\r\n", "a: 1\r\n", "b: 1\r\n", "c: 1\r\n", "d: 1\r\n", "e: 1\r\n"];
    check(Limits { head: SHORT, ..PATIENT }, &more, "").await;
    // Half as slow is fast enough; then the connection ends for being idle.
    check(Limits { head: 10 * SHORT, idle: SHORT, ..PATIENT }, &drip, "200 read 0").await;
}

#[tokio::test]
async fn a_kept_connection_is_not_kept_for_ever() {
    check(Limits { idle: SHORT, ..PATIENT }, &[GET], "200 read 0").await;
}

#[tokio::test]
async fn half_a_second_head_is_not_waited_for_either() {
    let gateway = Gateway::start(Limits { head: SHORT, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(GET.as_bytes()).await.unwrap();
    one_answer(&mut socket, "read 0").await;
    // Idle for longer than a head may take.
    sleep(2 * SHORT).await;
    socket.write_all(GET.as_bytes()).await.unwrap();
    one_answer(&mut socket, "read 0").await;
    socket.write_all(b"GET / H").await.unwrap();
    assert_eq!(heard(&mut socket).await, (String::new(), true));
}

const POST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n";

#[tokio::test]
async fn a_body_must_come() {
    let limits = Limits { body: SHORT, linger: SHORT, ..PATIENT };
    check(limits, &[POST], "400 request_timeout").await;
    check(limits, &[POST, "a", "b", "c", "d", "e"], "400 request_timeout").await;
}

#[tokio::test]
async fn a_body_must_come_at_some_rate() {
    let slow = Limits { body_grace: SHORT, body_rate: 1000, linger: SHORT, ..PATIENT };
    check(slow, &[POST, "a", "b", "c", "d"], "400 request_timeout").await;
    // Slow, but on time.
    let limits = Limits { body_grace: LONG, idle: SHORT, ..PATIENT };
    check(limits, &[POST, "abc", "def"], "200 read 6").await;
}

#[tokio::test]
async fn a_broken_body_is_not_half_a_body() {
    let post = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let limits = Limits { linger: SHORT, ..PATIENT };
    for broken in ["x\r\n", "3\r\nabcdef\r\n", "-1\r\n", "fffffffffffffffff\r\n"] {
        check(limits, &[post, broken], "400 invalid_body").await;
    }
}

#[tokio::test]
async fn an_answer_takes_its_time() {
    let everything = Limits {
        first_byte: SHORT,
        head: SHORT,
        idle: SHORT,
        write: SHORT,
        body: SHORT,
        ..PATIENT
    };
    check(everything, &["GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"], "200 read 0").await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let gateway = Gateway::start(Limits { write: SHORT, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let deadline = Instant::now() + LONG;
    let mut most = 0;
    loop {
        let sent = gateway.sent.load(Ordering::Relaxed);
        if sent == 0 && most > 0 {
            break;
        }
        most = most.max(sent);
        assert!(Instant::now() < deadline, "{most} parts were sent");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(most < 1000, "the system took {most} parts of 16 KiB");
}

type H2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

/// A caller that shares its connection, and the task that drives it.
#[expect(clippy::disallowed_methods, reason = "the test waits for the task, or ends with it")]
async fn share(gateway: &Gateway) -> (H2, JoinHandle<Result<(), hyper::Error>>) {
    let io = hyper_util::rt::TokioIo::new(gateway.connect().await);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (caller, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    (caller, tokio::spawn(connection))
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://h{path}")).body(Full::default()).unwrap()
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up_on_a_shared_connection_too() {
    let gateway = Gateway::start(Limits { write: SHORT, ..PATIENT });
    let (mut caller, connection) = share(&gateway).await;
    let reply = caller.send_request(get("/endless")).await.unwrap();
    assert!(timeout(LONG, connection).await.is_ok(), "the connection should end");
    assert_eq!(gateway.sent.load(Ordering::Relaxed), 0, "the answer should be given up");
    drop(reply);
}

#[tokio::test]
async fn a_shared_connection_lives_while_answers_come_and_then_is_idle() {
    let everything =
        Limits { first_byte: SHORT, head: SHORT, idle: SHORT, write: SHORT, ..PATIENT };
    let gateway = Gateway::start(everything);
    let (mut caller, connection) = share(&gateway).await;
    let (one, other) =
        tokio::join!(caller.clone().send_request(get("/slow")), caller.send_request(get("/slow")));
    for reply in [one, other] {
        let body = reply.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "read 0");
    }
    assert!(timeout(LONG, connection).await.is_ok(), "the connection should end");
}

#[tokio::test]
async fn a_shared_connection_finishes_what_it_began() {
    let gateway = Gateway::start(PATIENT);
    let (mut caller, connection) = share(&gateway).await;
    let drain = gateway.drain.clone();
    let (reply, ()) = tokio::join!(caller.send_request(get("/slow")), async {
        sleep(SHORT / 2).await;
        drain.closing.cancel();
    });
    let body = reply.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "read 0");
    assert!(timeout(LONG, connection).await.unwrap().unwrap().is_ok());
    gateway.ends().await;
}

#[tokio::test]
async fn an_answer_that_is_taken_slowly_goes_on() {
    let gateway = Gateway::start(Limits { write: 2 * SHORT, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 4 << 20];
    for _ in 0..8 {
        socket.read_exact(&mut buffer).await.unwrap();
        sleep(SHORT).await;
    }
}

#[tokio::test]
async fn an_early_answer_is_not_lost_with_the_body() {
    let gateway = Gateway::start(PATIENT);
    let mut socket = gateway.connect().await;
    let head = "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let part = vec![b'x'; 1 << 20];
    for _ in 0..8 {
        socket.write_all(&part).await.unwrap();
    }
    socket.shutdown().await.unwrap();
    let (answer, ended) = heard(&mut socket).await;
    assert!(answer.ends_with("early") && ended, "{answer}");
}

#[tokio::test]
async fn the_rest_of_a_body_is_not_waited_for() {
    let head = "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n";
    check(Limits { linger: SHORT, ..PATIENT }, &[head, "a", "b", "c", "d", "e"], "413 early").await;
}

#[tokio::test]
async fn an_old_connection_says_that_it_ends() {
    let gateway = Gateway::start(Limits { age: Duration::ZERO, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(GET.as_bytes()).await.unwrap();
    let (answer, ended) = heard(&mut socket).await;
    assert!(answer.contains("connection: close") && ended, "{answer}");
}

#[tokio::test]
async fn who_finds_no_room_is_told() {
    let gateway = Gateway::start(Limits { connections: 1, ..PATIENT });
    let mut first = gateway.connect().await;
    first.write_all(GET.as_bytes()).await.unwrap();
    one_answer(&mut first, "read 0").await;
    let mut second = gateway.connect().await;
    second.write_all(GET.as_bytes()).await.unwrap();
    let (answer, ended) = heard(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"overloaded\"") && ended);
    // Room is made as soon as somebody leaves.
    drop(first);
    let deadline = Instant::now() + LONG;
    loop {
        let mut third = gateway.connect().await;
        third.write_all(GET.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        third.read_exact(&mut status).await.unwrap();
        if status.ends_with(b"200") {
            break;
        }
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test]
async fn connections_have_the_options_of_the_port() {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, _caller) = tokio::join!(listener.accept(), TcpStream::connect(address));
    let (socket, _) = accepted.unwrap();
    let options = SockRef::from(&socket);
    assert!(options.keepalive().unwrap());
    assert!(options.tcp_nodelay().unwrap());
    assert_eq!(options.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
    assert_eq!(options.tcp_user_timeout().unwrap(), Some(DEAD_AFTER));
}

#[tokio::test]
async fn at_the_end_idle_connections_close_and_busy_ones_finish() {
    let gateway = Gateway::start(PATIENT);
    let (mut idle, mut busy) = (gateway.connect().await, gateway.connect().await);
    idle.write_all(GET.as_bytes()).await.unwrap();
    one_answer(&mut idle, "read 0").await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    sleep(SHORT / 2).await;
    gateway.drain.closing.cancel();
    assert_eq!(heard(&mut idle).await, (String::new(), true));
    let (answer, ended) = heard(&mut busy).await;
    assert!(answer.contains("connection: close") && answer.ends_with("read 0") && ended);
    gateway.ends().await;
}

#[tokio::test]
async fn until_it_closes_a_draining_gateway_takes_connections() {
    let gateway = Gateway::start(PATIENT);
    gateway.drain.draining.cancel();
    let mut socket = gateway.connect().await;
    socket.write_all(GET.as_bytes()).await.unwrap();
    one_answer(&mut socket, "read 0").await;
    gateway.drain.closing.cancel();
    let address = gateway.address;
    gateway.ends().await;
    assert!(TcpStream::connect(address).await.is_err(), "the port should be closed");
}

#[tokio::test]
async fn when_it_is_over_everything_is_cut() {
    let gateway = Gateway::start(PATIENT);
    let mut socket = gateway.connect().await;
    socket.write_all(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut some = [0; 1024];
    socket.read_exact(&mut some).await.unwrap();
    let schedule = Schedule { delay: SHORT, total: 2 * SHORT, notice: SHORT };
    let drain = gateway.drain.clone();
    drain.conduct(schedule, std::future::pending()).await;
    let sent = Arc::clone(&gateway.sent);
    gateway.ends().await;
    assert_eq!(sent.load(Ordering::Relaxed), 0, "the answer should be given up");
}
