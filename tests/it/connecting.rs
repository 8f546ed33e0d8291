//! Upstreams with whom no connection comes about.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway_tests::{DataDirectory, Gateway, Setup, Upstream};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{self, Instant},
};
use tokio_rustls::TlsAcceptor;

/// The provider `one` at `url`, and `best`, which asks it first and `two` after it.
async fn start(url: &str, two: &Upstream) -> Gateway {
    let setup = Setup::tenacious().provider("one", url).provider("two", &two.url());
    let setup = setup.set("providers.one", "api_key", "sk-canary").timeout("connect", "300ms");
    let setup = setup.set("[routes]", "model", "best");
    setup.write("[routes]", "targets", r#"["one/m", "two/m"]"#).start().await
}

/// Checks that an unreachable provider is reported as `told`, soon, and replaced by a fallback.
async fn check(url: &str, told: &str) {
    let two = Upstream::start().await;
    let gateway = start(url, &two).await;
    let began = Instant::now();
    assert_eq!(gateway.ask("one/m", Value::Null).await.status_and_code(), told);
    let reply = gateway.ask("best", Value::Null).await;
    assert_eq!(
        (reply.status_and_code().as_str(), reply.header("x-gateway-provider")),
        ("200", "two")
    );
    assert_eq!(two.exchanges().len(), 1, "asked once");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn unknown_host_is_unreachable() {
    // Longer than a label may be: every resolver knows without asking.
    let url = format!("http://{}.invalid/v1", "a".repeat(64));
    check(&url, "502 upstream_dns").await;
}

#[tokio::test]
async fn refused_connection_is_unreachable() {
    let port = gateway_tests::free_port();
    check(&format!("http://127.0.0.1:{port}/v1"), "502 upstream_unreachable").await;
}

/// A listener that takes no more connections, and refuses none.
async fn black_hole() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) =
        time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(connected.unwrap());
    }
    (listener, waiting)
}

#[tokio::test]
async fn silent_address_times_out() {
    let (listener, waiting) = black_hole().await;
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    check(&url, "502 upstream_unreachable").await;
    drop(waiting);
}

/// The behavior of an untrusted server.
#[derive(Clone, Copy, Debug)]
enum UntrustedBehavior {
    /// Accepts the connection and sends nothing.
    Silent,
    /// Speaks HTTP in the open.
    Open,
    /// Presents a self-signed certificate.
    SelfSigned,
    /// Shows one that an authority vouches for which the gateway does not know.
    Vouched,
    /// Refuses every version of TLS that it is offered.
    Refusing,
    /// Agrees on a version of TLS that is too old.
    Old,
}

/// An untrusted TLS server: counts connections and records what it received.
struct UntrustedServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heard: JoinSet<Vec<u8>>,
}

impl UntrustedServer {
    async fn start(manner: UntrustedBehavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, mut heard) = (Arc::clone(&connections), JoinSet::new());
        heard.spawn(async move {
            let (mut all, mut serving) = (Vec::new(), JoinSet::new());
            // The two requests of a test are answered within its patience.
            while let Ok(Ok((socket, _))) =
                time::timeout(Duration::from_secs(3), listener.accept()).await
            {
                counted.fetch_add(1, Relaxed);
                serving.spawn(serve(manner, socket));
            }
            serving.abort_all();
            while let Some(heard) = serving.join_next().await {
                all.extend(heard.unwrap_or_default());
            }
            all
        });
        Self { address, connections, heard }
    }
}

async fn serve(manner: UntrustedBehavior, mut socket: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    match manner {
        UntrustedBehavior::Silent => while socket.read_buf(&mut heard).await.unwrap_or(0) > 0 {},
        UntrustedBehavior::Open => {
            let _ = socket.read_buf(&mut heard).await;
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
        UntrustedBehavior::Refusing => {
            say_and_listen(&PROTOCOL_VERSION, &mut socket, &mut heard).await;
        }
        UntrustedBehavior::Old => {
            say_and_listen(&server_hello_of_1_1(), &mut socket, &mut heard).await;
        }
        UntrustedBehavior::SelfSigned => secure(socket, SELF_SIGNED, &mut heard).await,
        UntrustedBehavior::Vouched => secure(socket, VOUCHED, &mut heard).await,
    }
    heard
}

/// A fatal alert: none of the versions that were offered is spoken here.
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];

/// Returns the first message of a server that supports only TLS 1.1.
fn server_hello_of_1_1() -> Vec<u8> {
    // The version, a random number, no session, AES of 128 bits with SHA-1, no compression.
    let hello = [[3, 2].as_slice(), &[7; 32], &[0], &[0, 0x2f], &[0]].concat();
    let length = u8::try_from(hello.len()).unwrap();
    [[22, 3, 2, 0, length + 4, 2, 0, 0, length].as_slice(), &hello].concat()
}

async fn say_and_listen(said: &[u8], socket: &mut TcpStream, heard: &mut Vec<u8>) {
    let _ = socket.read_buf(heard).await;
    let _ = socket.write_all(said).await;
    while socket.read_buf(heard).await.unwrap_or(0) > 0 {}
}

async fn secure(socket: TcpStream, certificate: &'static [u8], heard: &mut Vec<u8>) {
    if let Ok(mut secured) = acceptor(certificate).accept(socket).await {
        let _ = secured.read_to_end(heard).await;
    }
}

const SELF_SIGNED: &[u8] = include_bytes!("../../crates/gateway-net/src/client/pki/self.der");
/// For `localhost`, by [`AUTHORITY`].
const VOUCHED: &[u8] = include_bytes!("../../crates/gateway-net/src/client/pki/good.der");
const AUTHORITY: &[u8] = include_bytes!("../../crates/gateway-net/src/client/pki/ca.der");

fn acceptor(certificate: &'static [u8]) -> TlsAcceptor {
    let key = include_bytes!("../../crates/gateway-net/src/client/pki/leaf.der");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_slice()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate)], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Checks that the server is connected to once, and receives no request.
async fn check_stranger(manner: UntrustedBehavior) {
    let mut stranger = UntrustedServer::start(manner).await;
    check(&format!("https://{}/v1", stranger.address), "502 upstream_tls").await;
    assert_eq!(stranger.connections.load(Relaxed), 2, "{manner:?}: once for each request");
    let heard = stranger.heard.join_next().await.unwrap().unwrap();
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(!heard.contains("sk-canary") && !heard.contains("Hello"), "{manner:?}: {heard}");
}

#[tokio::test]
async fn failed_tls_handshake_is_reported() {
    for manner in
        [UntrustedBehavior::Silent, UntrustedBehavior::Open, UntrustedBehavior::SelfSigned]
    {
        check_stranger(manner).await;
    }
}

#[tokio::test]
async fn outdated_tls_version_is_rejected() {
    check_stranger(UntrustedBehavior::Refusing).await;
    check_stranger(UntrustedBehavior::Old).await;
}

/// An authority that the environment names is not believed, and no secret of a connection is written
/// where the environment says.
#[tokio::test]
async fn tls_ignores_environment_variables() {
    let data = DataDirectory::new();
    let file = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    let (authority, secrets) = (file("ca.pem"), file("secrets"));
    let text = STANDARD.encode(AUTHORITY);
    let text = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    fs::write(&authority, text).unwrap();
    let stranger = UntrustedServer::start(UntrustedBehavior::Vouched).await;
    let url = format!("https://localhost:{}/v1", stranger.address.port());
    let gateway = Setup::new()
        .provider("one", &url)
        .env("SSL_CERT_FILE", &authority)
        .env("SSL_CERT_DIR", data.path().to_str().unwrap())
        .env("SSLKEYLOGFILE", &secrets)
        .start()
        .await;
    assert_eq!(gateway.ask("one/m", Value::Null).await.status_and_code(), "502 upstream_tls");
    assert_eq!(stranger.connections.load(Relaxed), 1);
    assert!(!Path::new(&secrets).exists(), "secrets are written down");
}
