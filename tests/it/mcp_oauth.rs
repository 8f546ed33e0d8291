//! The gateway as an OAuth client of MCP servers: tokens by its own credentials.

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use gateway_tests::{Exchange, Gateway, MessageHead, PATIENCE, Script, Setup, Upstream, request};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tokio::time::{self, Instant};

/// An MCP server that wants tokens, with its metadata, and an authorization server at the same
/// port. The last segment of the server's path is the port of the authorization server that its
/// metadata names.
fn server(head: &MessageHead, body: &[u8]) -> Script {
    let (path, host) = (head.word(1), head.header("host").unwrap_or_default());
    if let Some(named) = path.strip_prefix("/.well-known/oauth-protected-resource") {
        let port = named.rsplit('/').next().unwrap_or_default();
        return Script::json(
            200,
            json!({
                "resource": format!("http://{host}{named}"),
                "authorization_servers": [format!("http://127.0.0.1:{port}")],
                "scopes_supported": ["read"],
            })
            .to_string(),
        );
    }
    match path {
        "/.well-known/oauth-authorization-server" => Script::json(
            200,
            json!({
                "issuer": format!("http://{host}"),
                "token_endpoint": format!("http://{host}/token"),
            })
            .to_string(),
        ),
        "/token" => {
            let form = String::from_utf8_lossy(body);
            let scope = form.split('&').find_map(|pair| pair.strip_prefix("scope="));
            let token = format!("token-{}", scope.unwrap_or_default());
            Script::json(200, json!({ "access_token": token, "token_type": "Bearer" }).to_string())
        }
        _ => resource(head, body),
    }
}

/// The answer to a message: every one needs a token, and calls of the tool `write` one with that
/// scope.
fn resource(head: &MessageHead, body: &[u8]) -> Script {
    let token = head.header("authorization").unwrap_or_default();
    if !token.starts_with("Bearer token-") {
        return challenge(401, r#"Bearer error="invalid_token""#);
    }
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
    let name = message["params"]["name"].as_str().unwrap_or_default();
    if name == "write" && !token.contains("write") {
        return challenge(403, r#"Bearer error="insufficient_scope", scope="write""#);
    }
    if name == "never" {
        return challenge(403, r#"Bearer error="insufficient_scope", scope="never""#);
    }
    let result = match message["method"].as_str().unwrap_or_default() {
        "tools/list" => {
            let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
            json!({ "tools": [tool("look"), tool("write"), tool("never")] })
        }
        "tools/call" => json!({ "content": [{ "type": "text", "text": name }] }),
        _ => json!({}),
    };
    let reply = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
    Script::json(200, reply.to_string())
}

fn challenge(status: u16, text: &str) -> Script {
    Script::whole(status, &[("www-authenticate", text)], "")
}

async fn upstream() -> Upstream {
    let upstream = Upstream::start().await;
    upstream.by_head(server);
    upstream
}

/// A gateway with a server whose metadata names the authorization server at `port`.
fn setup(upstream: &Upstream, port: u16) -> Setup {
    Setup::new().set("mcp.lab", "url", &format!("{}/{port}", upstream.url())).set(
        "mcp.lab",
        "oauth_client_id",
        "gate:way",
    )
}

fn with_secret(setup: Setup) -> Setup {
    setup.set("mcp.lab", "oauth_client_secret", "canary secret")
}

/// Calls a tool, and returns the result.
async fn call(gateway: &Gateway, tool: &str) -> Value {
    let body = json!({ "name": format!("lab_{tool}"), "arguments": {} }).to_string();
    let headers = [("Content-Type", "application/json")];
    gateway.send(request("POST", "/v1/tools/execute", &headers, body.as_bytes())).await.json()
}

/// Waits until the tools are listed.
async fn listed(gateway: &Gateway) {
    let deadline = Instant::now() + PATIENCE;
    while !gateway.get("/v1/tools").await.text().contains("lab_look") {
        assert!(Instant::now() < deadline, "{}", gateway.stdout());
        time::sleep(Duration::from_millis(20)).await;
    }
}

/// The requests for tokens.
fn asked(upstream: &Upstream) -> Vec<Exchange> {
    let is_asked = |it: &Exchange| it.head.word(1) == "/token";
    upstream.exchanges().into_iter().filter(is_asked).collect()
}

#[tokio::test]
async fn token_is_found_by_metadata_and_used_by_all_requests() {
    let upstream = upstream().await;
    let gateway = with_secret(setup(&upstream, upstream.port())).start().await;
    listed(&gateway).await;
    for _ in 0..2 {
        assert_eq!(call(&gateway, "look").await["result"], "look");
    }
    let asked = asked(&upstream);
    assert_eq!(asked.len(), 1, "{asked:#?}");
    let credentials = BASE64_STANDARD.encode("gate%3Away:canary+secret");
    assert_eq!(asked[0].head.header("authorization"), Some(&*format!("Basic {credentials}")));
    let resource = format!("http%3A%2F%2F127.0.0.1%3A{0}%2Fv1%2F{0}", upstream.port());
    let form = asked[0].text();
    assert_eq!(form, format!("grant_type=client_credentials&resource={resource}&scope=read"));
    assert!(!gateway.stdout().contains("canary") && !gateway.stdout().contains("token-read"));
}

#[tokio::test]
async fn refused_token_is_replaced() {
    let upstream = upstream().await;
    let gateway = with_secret(setup(&upstream, upstream.port())).start().await;
    listed(&gateway).await;
    upstream.until(|all| all.iter().any(|it| it.text().contains("templates/list"))).await;
    time::sleep(Duration::from_millis(100)).await;
    upstream.next(challenge(401, r#"Bearer error="invalid_token""#));
    assert_eq!(call(&gateway, "look").await["result"], "look");
    assert_eq!(asked(&upstream).len(), 2);
}

#[tokio::test]
async fn missing_scope_is_asked_for_within_bounds() {
    let upstream = upstream().await;
    let setup = with_secret(setup(&upstream, upstream.port()));
    let gateway = setup.write("mcp.lab", "oauth_scopes", "[\"base\"]").start().await;
    listed(&gateway).await;
    assert_eq!(call(&gateway, "write").await["result"], "write");
    let scopes = |at: usize| asked(&upstream)[at].text().rsplit("scope=").next().map(str::to_owned);
    assert_eq!(
        (scopes(0).as_deref(), scopes(1).as_deref()),
        (Some("base+read"), Some("base+read+write"))
    );
    assert_eq!(call(&gateway, "look").await["result"], "look");
    assert_eq!(asked(&upstream).len(), 2, "the token is that of all requests");
    let failed = call(&gateway, "never").await;
    assert_eq!(failed["error_code"], "unavailable", "{failed}");
    assert!(asked(&upstream).len() <= 4, "{:#?}", asked(&upstream));
}

#[tokio::test]
async fn foreign_authorization_server_gets_credentials_only_if_named() {
    let (upstream, other) = (upstream().await, upstream().await);
    let gateway = with_secret(setup(&upstream, other.port())).start().await;
    upstream.until(|all| all.iter().any(|it| it.head.word(1).contains("well-known"))).await;
    let deadline = Instant::now() + PATIENCE;
    while !gateway.stdout().contains("oauth_issuer") {
        assert!(Instant::now() < deadline, "{}", gateway.stdout());
        time::sleep(Duration::from_millis(20)).await;
    }
    assert!(other.exchanges().is_empty(), "{:#?}", other.exchanges());
    let issuer = format!("http://127.0.0.1:{}", other.port());
    let setup = with_secret(setup(&upstream, other.port()));
    let gateway = setup.set("mcp.lab", "oauth_issuer", &issuer).start().await;
    listed(&gateway).await;
    assert_eq!((asked(&other).len(), asked(&upstream).len()), (1, 0));
}

/// A new key, and the same in PEM.
fn key() -> (EcdsaKeyPair, String) {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap();
    let text = BASE64_STANDARD.encode(der.as_ref());
    (pair, format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"))
}

#[tokio::test]
async fn client_with_a_key_signs_an_assertion() {
    let upstream = upstream().await;
    let directory = gateway_tests::DataDirectory::new();
    let file = directory.path().join("key.pem");
    let (key, pem) = key();
    fs::write(&file, pem).unwrap();
    let setup = setup(&upstream, upstream.port());
    let setup = setup.set("mcp.lab", "oauth_private_key_file", file.to_str().unwrap());
    let token_url = format!("http://127.0.0.1:{}/token", upstream.port());
    let gateway = setup.set("mcp.lab", "oauth_token_url", &token_url).start().await;
    listed(&gateway).await;
    let asked = asked(&upstream);
    assert_eq!(asked[0].head.header("authorization"), None);
    let form = asked[0].text();
    assert!(form.contains("client_id=gate%3Away"), "{form}");
    let assertion = form.split("client_assertion=").nth(1).expect("an assertion");
    let parts: Vec<_> = assertion.split('.').collect();
    let read = |at: usize| BASE64_URL_SAFE_NO_PAD.decode(parts[at]).expect("base64");
    let part = |at: usize| serde_json::from_slice::<Value>(&read(at)).expect("JSON");
    assert_eq!(part(0)["alg"], "ES256");
    let claims = part(1);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("gate:way"), &json!("gate:way")));
    assert_eq!(claims["aud"], token_url);
    let signed = assertion.rsplit_once('.').expect("a signature").0;
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref());
    public.verify(signed.as_bytes(), &read(2)).expect("a signature of the key");
    let well_known = |it: &Exchange| it.head.word(1).contains("well-known");
    assert!(!upstream.exchanges().iter().any(well_known), "the endpoint is configured");
}
