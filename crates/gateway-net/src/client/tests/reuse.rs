//! Connections that are used again, and those that must not be.

use super::exchanges::{Server, Step, client, post, say};
use super::*;
use Step::{Close, Head, Hold, Reset, Wait};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// The results of two requests with a pause between them, and how many connections they took.
async fn two(scripts: Vec<Vec<Step>>, pause: u64) -> (String, String, usize) {
    let server = Server::start(scripts).await;
    let client = client();
    let first = post(&client, &server.url(), &[]).await;
    tokio::time::sleep(Duration::from_millis(pause)).await;
    let second = post(&client, &server.url(), &[]).await;
    drop(client);
    (first, second, server.heads().await.len())
}

#[tokio::test]
async fn connection_is_used_again() {
    let script = vec![Head, say(OK), Head, say("HTTP/1.1 204 No Content\r\n\r\n"), Hold];
    let nothing_else = vec![Close];
    let (first, second, _) = two(vec![script, nothing_else], 20).await;
    assert_eq!((first.as_str(), second.as_str()), ("200 hi", "204 "));
}

#[tokio::test]
async fn connection_that_was_closed_while_idle_is_replaced_unnoticed() {
    for end in [Close, Reset] {
        let scripts = vec![vec![Head, say(OK), end], vec![Head, say(OK), Hold]];
        assert_eq!(two(scripts, 50).await, ("200 hi".into(), "200 hi".into(), 2));
    }
}

#[tokio::test]
async fn unanswered_request_on_reused_connection_is_sent_once_more() {
    for end in [Close, Reset] {
        let once = vec![Head, say(OK), Head, end.clone()];
        let expected = ("200 hi".into(), "200 hi".into(), 3);
        let scripts = vec![once.clone(), vec![Head, say(OK), Hold]];
        assert_eq!(two(scripts, 20).await, expected, "{end:?}");
        // On the new connection it fails like any other.
        let expected = ("200 hi".into(), "upstream_reset".into(), 3);
        assert_eq!(two(vec![once, vec![Head, end.clone()]], 20).await, expected, "{end:?}");
    }
}

/// The upstream has worked on it, and a second time would cost a second time.
#[tokio::test]
async fn request_that_was_answered_in_part_is_not_sent_again() {
    for part in [&OK[..3], "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let scripts = vec![vec![Head, say(OK), Head, say(part), Wait(20), Close]];
        assert_eq!(two(scripts, 20).await, ("200 hi".into(), "upstream_reset".into(), 2));
    }
    let scripts = vec![vec![Head, say(OK), Head, say("no HTTP at all\r\n"), Hold]];
    assert_eq!(two(scripts, 20).await, ("200 hi".into(), "upstream_protocol".into(), 2));
}

/// The runtime does not hear of the end, as nothing gives it the time; the system knows.
#[tokio::test]
async fn end_that_only_the_system_knows_of_is_noticed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let mut stream = stream::UpstreamStream::Plain(stream);
    assert!(stream.is_quiet_in_system() && stream.is_quiet());
    drop(accepted);
    let began = std::time::Duration::from_secs(20);
    let deadline = tokio::time::Instant::now() + began;
    while stream.is_quiet_in_system() {
        assert!(tokio::time::Instant::now() < deadline, "the end should come");
    }
    assert!(stream.is_quiet(), "the runtime was not asked in between");
}

#[tokio::test]
async fn connection_with_bytes_after_the_end_is_not_used_again() {
    let other = || vec![Head, say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother"), Hold];
    let poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    let at_once = vec![Head, say(format!("{OK}{poison}")), Hold];
    let later = vec![Head, say(OK), Wait(10), say(poison), Hold];
    for script in [at_once, later] {
        let expected = ("200 hi".into(), "200 other".into(), 2);
        assert_eq!(two(vec![script, other()], 50).await, expected);
    }
}

#[tokio::test]
async fn connection_that_is_to_end_is_not_used_again() {
    let other = || vec![Head, say(OK), Hold];
    for end in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx",
        "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx",
    ] {
        let scripts = vec![vec![Head, say(end), Hold], other()];
        assert_eq!(two(scripts, 20).await, ("200 x".into(), "200 hi".into(), 2));
    }
}

#[tokio::test]
async fn no_more_connections_are_kept_than_allowed() {
    let server = Server::start(vec![vec![Head, Wait(100), say(OK), Hold]]).await;
    let settings = ClientSettings { idle_per_host: 2, ..ClientSettings::default() };
    let client = HttpClient::new(&settings).unwrap();
    let url = server.url();
    let all = (0..5).map(|_| post(&client, &url, &[]));
    let all = futures_util::future::join_all(all).await;
    assert_eq!(all, vec!["200 hi"; 5]);
    let uri: http::Uri = url.parse().unwrap();
    let template = client.prepare(http::Method::POST, uri, http::HeaderMap::new()).unwrap();
    let kept = std::iter::from_fn(|| template.host().check_out()).count();
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn unused_connection_is_closed_after_a_while() {
    let server = Server::start(vec![vec![Head, say(OK), Hold]]).await;
    let settings = ClientSettings {
        plain_idle_timeout: Duration::from_millis(100),
        ..ClientSettings::default()
    };
    let client = HttpClient::new(&settings).unwrap();
    assert_eq!(post(&client, &server.url(), &[]).await, "200 hi");
    // The client lives on; the server ends only when the connection is closed.
    assert_eq!(server.heads().await.len(), 1);
    drop(client);
}
