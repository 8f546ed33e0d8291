//! Slow, broken and unread request bodies.

use super::*;
use crate::server::connection::ConnectionContext;
use tokio_util::task::TaskTracker;

const POST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n";

#[tokio::test]
async fn missing_body_times_out() {
    let limits = ConnectionLimits { body: SHORT, linger: SHORT, ..PATIENT };
    check(limits, &[POST], "400 request_timeout").await;
    check(limits, &[POST, "a", "b", "c", "d", "e"], "400 request_timeout").await;
}

#[tokio::test]
async fn slow_body_times_out() {
    let slow = ConnectionLimits { body_grace: SHORT, body_rate: 1000, linger: SHORT, ..PATIENT };
    check(slow, &[POST, "a", "b", "c", "d"], "400 request_timeout").await;
    // Slow, but on time.
    let limits = ConnectionLimits { body_grace: LONG, idle: SHORT, ..PATIENT };
    check(limits, &[POST, "abc", "def"], "200 read 6").await;
}

#[tokio::test]
async fn broken_body_is_an_error() {
    let post = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let limits = ConnectionLimits { linger: SHORT, ..PATIENT };
    for broken in ["x\r\n", "3\r\nabcdef\r\n", "-1\r\n", "fffffffffffffffff\r\n"] {
        check(limits, &[post, broken], "400 invalid_body").await;
    }
}

#[tokio::test]
async fn early_response_survives_unread_body() {
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
async fn unread_body_is_not_waited_for() {
    let head = "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n";
    check(
        ConnectionLimits { linger: SHORT, ..PATIENT },
        &[head, "a", "b", "c", "d", "e"],
        "413 early",
    )
    .await;
}

/// Counts how often the task of a connection is woken.
#[derive(Default)]
struct CountedWakes(AtomicUsize);

impl Wake for CountedWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn read_body_does_not_wake_its_own_connection() {
    let shutdown = ListenerShutdown::default();
    let context = ConnectionContext {
        limits: PATIENT,
        tasks: TaskTracker::new(),
        closing: shutdown.closing,
        over: shutdown.over,
    };
    let (mut caller, socket) = tokio::io::duplex(64 << 10);
    let http = Arc::new(context.http());
    let service = service_fn(|request| answer(request, Arc::default()));
    let mut connection = std::pin::pin!(context.serve(http, socket, service, 0));
    let wakes = Arc::<CountedWakes>::default();
    let task = Waker::from(Arc::clone(&wakes));
    // Each part comes at once, and wakes the connection once, if it waits.
    let parts = [(&*format!("{POST}abcdef"), 0), (&*format!("{POST}ab"), 1), ("cdef", 2)];
    for (part, woken) in parts {
        caller.write_all(part.as_bytes()).await.unwrap();
        let mut cx = Context::from_waker(&task);
        assert!(connection.as_mut().poll(&mut cx).is_pending());
        assert_eq!(wakes.0.load(Ordering::Relaxed), woken, "after {part}");
        if part.ends_with("def") {
            one_answer(&mut caller, "read 6").await;
        }
    }
}
