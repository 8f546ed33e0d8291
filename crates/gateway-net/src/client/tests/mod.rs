//! The client against servers of all manners.

mod exchanges;
mod reuse;

use super::*;
use bytes::Bytes;
use gateway_core::GatewayError;
use http::Request;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

// An authority, and certificates with one key: for `localhost`, for another name, one that has
// expired, and one that nobody vouches for.
const AUTHORITY: &[u8] = include_bytes!("../pki/ca.der");
const GOOD: &[u8] = include_bytes!("../pki/good.der");
const OTHER: &[u8] = include_bytes!("../pki/other.der");
const EXPIRED: &[u8] = include_bytes!("../pki/expired.der");
const SELF_SIGNED: &[u8] = include_bytes!("../pki/self.der");
const KEY: &[u8] = include_bytes!("../pki/leaf.der");

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// A server with `certificate`, and the bytes it received under TLS.
async fn server(certificate: &'static [u8]) -> (SocketAddr, JoinSet<Vec<u8>>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate)], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    listening(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            let mut heard = Vec::new();
            if let Ok(mut secured) = acceptor.accept(socket).await {
                while !heard.ends_with(b"hello") {
                    if secured.read_buf(&mut heard).await.unwrap_or(0) == 0 {
                        return heard;
                    }
                }
                secured.write_all(ANSWER).await.unwrap();
                secured.shutdown().await.unwrap();
            }
            heard
        }
    })
    .await
}

/// A server that does `serve` with its one connection.
async fn listening<F>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, JoinSet<Vec<u8>>)
where
    F: Future<Output = Vec<u8>> + Send,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        serve(socket).await
    });
    (address, serving)
}

/// Sends a secret to `localhost`, at the port of `address`: the answer, or the code of the failure.
async fn send(address: SocketAddr, limit: Duration) -> String {
    let settings = ClientSettings {
        connect_timeout: limit,
        extra_roots: vec![AUTHORITY.to_vec()],
        ..ClientSettings::default()
    };
    let client = HttpClient::new(&settings).unwrap();
    let request = Request::post(format!("https://localhost:{}/", address.port()))
        .header("authorization", "Bearer sk-canary")
        .body(Bytes::from_static(b"hello"))
        .unwrap();
    match client.exchange(request).await {
        Ok(answer) => String::from_utf8(answer.into_body().to_vec()).unwrap(),
        Err(error) => {
            let error = GatewayError::from(error);
            format!("{:?} {}", error.kind(), error.code())
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const REFUSED: &str = "UpstreamUnreachable upstream_tls";

#[tokio::test]
async fn trusted_certificate_gets_request() {
    let (address, mut served) = server(GOOD).await;
    assert_eq!(send(address, PATIENCE).await, "hi");
    let heard = String::from_utf8(served.join_next().await.unwrap().unwrap()).unwrap();
    assert!(heard.contains("sk-canary"), "{heard}");
}

#[tokio::test]
async fn untrusted_certificate_gets_no_request() {
    for certificate in [OTHER, EXPIRED, SELF_SIGNED] {
        let (address, mut served) = server(certificate).await;
        assert_eq!(send(address, PATIENCE).await, REFUSED);
        assert!(served.join_next().await.unwrap().unwrap().is_empty());
    }
}

#[tokio::test]
async fn plaintext_server_gets_no_request() {
    let (address, mut served) = listening(|mut socket| async move {
        let mut heard = Vec::new();
        socket.read_buf(&mut heard).await.unwrap();
        socket.write_all(ANSWER).await.unwrap();
        socket.shutdown().await.unwrap();
        heard
    })
    .await;
    assert_eq!(send(address, PATIENCE).await, REFUSED);
    let heard = served.join_next().await.unwrap().unwrap();
    assert!(!heard.is_empty() && !String::from_utf8_lossy(&heard).contains("canary"));
}

#[tokio::test]
async fn silent_tls_server_hits_connect_timeout() {
    let (address, mut served) = listening(|mut socket| async move {
        let mut heard = Vec::new();
        while socket.read_buf(&mut heard).await.unwrap_or(0) > 0 {}
        heard
    })
    .await;
    assert_eq!(send(address, Duration::from_millis(200)).await, REFUSED);
    let heard = served.join_next().await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&heard).contains("canary"), "the connection is closed");
}

/// Over how many connections two requests go whose pause is longer than `kept`.
async fn connections(kept: Duration) -> usize {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    let asking = async {
        let settings = ClientSettings { plain_idle_timeout: kept, ..ClientSettings::default() };
        let client = HttpClient::new(&settings).unwrap();
        for _ in 0..2 {
            let request = Request::get(&address).body(Bytes::new()).unwrap();
            client.exchange(request).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let accepting = async {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            serving.spawn(async move {
                let mut heard = Vec::new();
                while socket.read_buf(&mut heard).await.unwrap_or(0) > 0 {
                    if heard.ends_with(b"\r\n\r\n") {
                        heard.clear();
                        socket.write_all(ANSWER).await.unwrap();
                    }
                }
            });
        }
    };
    tokio::select! { () = asking => {}, () = accepting => {} }
    serving.len()
}

#[tokio::test]
async fn idle_connection_is_reused_until_timeout() {
    assert_eq!(connections(Duration::from_mins(1)).await, 1);
    assert_eq!(connections(Duration::from_millis(1)).await, 2);
}
