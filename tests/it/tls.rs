//! TLS of the gateway's own listener, and upstreams whose authority is configured.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway_tests::{DataDirectory, Gateway, Setup, openai, request};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::json;
use std::{fs, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{self, Instant},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

// Certificates with one key: for `localhost` by an authority, and a self-signed one.
const AUTHORITY: &[u8] = include_bytes!("../../crates/gateway-net/src/client/pki/ca.der");
const GOOD: &[u8] = include_bytes!("../../crates/gateway-net/src/client/pki/good.der");
const OTHER: &[u8] = include_bytes!("../../crates/gateway-net/src/client/pki/self.der");
const KEY: &[u8] = include_bytes!("../../crates/gateway-net/src/client/pki/leaf.der");

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

/// The files of a certificate in a directory.
fn write(data: &DataDirectory, certificate: &[u8]) -> [String; 3] {
    let path = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    let [cert, key, authority] = ["cert.pem", "key.pem", "ca.pem"].map(path);
    fs::write(&cert, pem("CERTIFICATE", certificate)).unwrap();
    fs::write(&key, pem("PRIVATE KEY", KEY)).unwrap();
    fs::write(&authority, pem("CERTIFICATE", AUTHORITY)).unwrap();
    [cert, key, authority]
}

/// A caller that trusts the authority.
async fn connect(address: std::net::SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(AUTHORITY)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

async fn ask(gateway_port: u16, model: &str) -> std::io::Result<String> {
    let mut stream = connect(([127, 0, 0, 1], gateway_port).into()).await?;
    let body = openai::ask(model, json!({}));
    let headers = [("Connection", "close")];
    let bytes = request("POST", "/v1/chat/completions", &headers, body.as_bytes());
    stream.write_all(&bytes).await?;
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

/// A gateway with TLS, which the testkit cannot ask: its health checks have a port of their own.
struct TlsGateway {
    gateway: Gateway,
    port: u16,
}

/// The testkit's gateway asks over plain HTTP; the one with TLS is an upstream of it.
async fn secured(data: &DataDirectory, certificate: &[u8]) -> TlsGateway {
    let [cert, key, _] = write(data, certificate);
    let port = gateway_tests::free_port();
    let setup = Setup::new().set("tls", "cert_file", &cert).set("tls", "key_file", &key);
    let gateway = setup.start_with_health_port(port).await;
    let port = gateway.address().port();
    TlsGateway { gateway, port }
}

#[tokio::test]
async fn listener_speaks_tls_and_reloads_its_certificate() {
    let data = DataDirectory::new();
    let TlsGateway { gateway, port } = secured(&data, GOOD).await;
    let reply = ask(port, "fake/echo").await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK"), "{reply}");
    let healthy = gateway.command("healthcheck");
    assert!(!healthy.contains("unhealthy"), "{healthy}");
    write(&data, OTHER);
    let deadline = Instant::now() + Duration::from_secs(20);
    while connect(gateway.address()).await.is_ok() {
        assert!(Instant::now() < deadline, "the new certificate is not used");
        time::sleep(Duration::from_millis(100)).await;
    }
    // A certificate that cannot be used changes nothing; a signal is as good as a change.
    fs::write(data.path().join("cert.pem"), "nonsense").unwrap();
    gateway.signal("HUP");
    time::sleep(Duration::from_millis(300)).await;
    assert!(connect(gateway.address()).await.is_err());
    write(&data, GOOD);
    gateway.signal("HUP");
    let deadline = Instant::now() + Duration::from_secs(20);
    while connect(gateway.address()).await.is_err() {
        assert!(Instant::now() < deadline, "the certificate is not used again");
        time::sleep(Duration::from_millis(100)).await;
    }
}

/// The certificate's file holds those of its authorities too, and the configuration may name more.
#[tokio::test]
async fn chat_trusts_the_authorities_of_its_configuration() {
    for (chain, upstreams, is_trusted) in
        [("", false, false), ("", true, true), ("ca", false, true)]
    {
        let data = DataDirectory::new();
        let [cert, key, authority] = write(&data, GOOD);
        if chain == "ca" {
            let both = [GOOD, AUTHORITY].map(|der| pem("CERTIFICATE", der)).concat();
            fs::write(&cert, both).unwrap();
        }
        let mut setup = Setup::new().set("tls", "cert_file", &cert).set("tls", "key_file", &key);
        if upstreams {
            setup = setup.set("tls", "upstream_ca_file", &authority);
        }
        let gateway = setup.start_with_health_port(gateway_tests::free_port()).await;
        let printed = gateway.run(&["chat", "fake/echo", "By TLS"]);
        let is_answered = printed.starts_with("By TLS\n");
        assert_eq!(is_answered, is_trusted, "{chain} {upstreams}: {printed}");
    }
}

/// A connection that says nothing, or no TLS, is closed in the time for a head.
#[tokio::test]
async fn silent_handshake_is_given_up() {
    let data = DataDirectory::new();
    let [cert, key, _] = write(&data, GOOD);
    let setup = Setup::new().set("tls", "cert_file", &cert).set("tls", "key_file", &key);
    let gateway =
        setup.timeout("header", "300ms").start_with_health_port(gateway_tests::free_port()).await;
    let mut silent = gateway.connect().await;
    let mut plain = gateway.connect().await;
    plain.send(request("GET", "/health", &[], b"")).await;
    let alert = plain.closed().await;
    assert_eq!(alert.first(), Some(&21), "an alert");
    silent.closed().await;
}

#[tokio::test]
async fn upstream_of_configured_authority_is_trusted() {
    let data = DataDirectory::new();
    let TlsGateway { gateway: _secured, port } = secured(&data, GOOD).await;
    let authority = data.path().join("ca.pem").to_str().unwrap().to_owned();
    let url = format!("https://localhost:{port}/v1");
    let stranger = Setup::new().provider("lab", &url).start().await;
    assert_eq!(
        stranger.ask("lab/fake/echo", json!({})).await.status_and_code(),
        "502 upstream_tls"
    );
    let setup = Setup::new().provider("lab", &url).set("tls", "upstream_ca_file", &authority);
    let trusting = setup.start().await;
    assert_eq!(trusting.ask("lab/fake/echo", json!({})).await.status_and_code(), "200");
}

#[tokio::test]
async fn unusable_certificates_are_refused_at_start() {
    let data = DataDirectory::new();
    let [cert, key, authority] = write(&data, GOOD);
    fs::write(&authority, "nonsense").unwrap();
    let other_key = data.path().join("other.pem");
    fs::write(&other_key, "nonsense").unwrap();
    let other_key = other_key.to_str().unwrap();
    let cases = [
        (Setup::new().set("tls", "cert_file", &cert), "tls.key_file"),
        (
            Setup::new().set("tls", "cert_file", &cert).set("tls", "key_file", other_key),
            "tls.cert_file",
        ),
        (
            Setup::new().set("tls", "cert_file", "missing.pem").set("tls", "key_file", &key),
            "tls.cert_file",
        ),
        (Setup::new().set("tls", "upstream_ca_file", &authority), "tls.upstream_ca_file"),
    ];
    for (setup, named) in cases {
        let (code, said) = setup.refused().await;
        assert!(code == Some(78) && said.contains(named), "{named}: {code:?} {said}");
    }
}
