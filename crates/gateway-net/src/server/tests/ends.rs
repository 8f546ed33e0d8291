//! The connection limit, and the ends of connections.

use super::*;

#[tokio::test]
async fn old_connection_announces_close() {
    let gateway = Gateway::start(ConnectionLimits { age: Duration::ZERO, ..PATIENT });
    let mut socket = gateway.connect().await;
    socket.write_all(GET.as_bytes()).await.unwrap();
    let (answer, ended) = heard(&mut socket).await;
    assert!(answer.contains("connection: close") && ended, "{answer}");
}

#[tokio::test]
async fn connection_above_limit_is_answered_503() {
    let gateway = Gateway::start(ConnectionLimits { connections: 1, ..PATIENT });
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
async fn until_it_closes_a_gateway_takes_connections() {
    let gateway = Gateway::start(PATIENT);
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
    gateway.drain.closing.cancel();
    sleep(SHORT).await;
    assert_ne!(gateway.sent.load(Ordering::Relaxed), 0, "the answer should go on until then");
    gateway.drain.over.cancel();
    let sent = Arc::clone(&gateway.sent);
    gateway.ends().await;
    assert_eq!(sent.load(Ordering::Relaxed), 0, "the answer should be given up");
}
