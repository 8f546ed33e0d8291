//! What a browser sends on behalf of a page is served only if the page may call.

use gateway_tests::{Gateway, RawConnection, Setup, request};
use serde_json::json;

/// A page of this origin asks under this host, with this type of body.
#[derive(Clone, Copy, Debug)]
struct PageRequest {
    origin: Option<&'static str>,
    host: &'static str,
    method: &'static str,
    kind: Option<&'static str>,
}

const ORIGINS: [Option<&str>; 5] = [
    None,
    Some("https://app.example"),
    Some("http://evil.example"),
    Some("http://localhost:3000"),
    Some("null"),
];
const HOSTS: [&str; 4] = ["localhost", "127.0.0.1:8080", "evil.example", "gw.internal:8080"];
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "DELETE", "OPTIONS"];
const KINDS: [Option<&str>; 4] =
    [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/json")];

impl PageRequest {
    /// The path at which the method has an effect, and its body.
    fn work(self, session: &str) -> (String, String) {
        match self.method {
            "POST" => ("/v1/sessions".to_owned(), json!({}).to_string()),
            "PATCH" => (format!("/v1/sessions/{session}"), json!({ "metadata": {} }).to_string()),
            "DELETE" => (format!("/v1/sessions/{session}"), String::new()),
            "OPTIONS" => ("/v1/tools/execute".to_owned(), String::new()),
            _ => ("/v1/sessions".to_owned(), String::new()),
        }
    }

    async fn send(self, gateway: &Gateway, session: &str) -> (String, bool) {
        let (path, body) = self.work(session);
        let length = body.len().to_string();
        let mut head = format!("{} {path} HTTP/1.1\r\nHost: {}\r\n", self.method, self.host);
        let mut add = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                head.push_str(&[name, ": ", value, "\r\n"].concat());
            }
        };
        add("Origin", self.origin);
        add("Content-Type", self.kind);
        add("Content-Length", (!body.is_empty()).then_some(&length));
        add("Access-Control-Request-Method", (self.method == "OPTIONS").then_some("POST"));
        let mut raw: RawConnection = gateway.connect().await;
        raw.send(format!("{head}\r\n{body}")).await;
        let reply = raw.reply().await;
        let admits = reply.head.header("access-control-allow-origin").is_some();
        (reply.status_and_code(), admits)
    }

    /// What is to be told.
    fn expected(self) -> Option<&'static str> {
        let is_ours = matches!(self.origin, None | Some("https://app.example"));
        if self.host == "evil.example" {
            Some("403 host_not_allowed")
        } else if !is_ours {
            Some("403 origin_not_allowed")
        } else if matches!(self.method, "POST" | "PATCH") && self.kind != Some("application/json") {
            Some("415 unsupported_media_type")
        } else {
            None
        }
    }
}

fn setup() -> Setup {
    Setup::new().write("server", "cors_origins", "[\"https://app.example\"]").write(
        "server",
        "allowed_hosts",
        "[\"gw.internal\"]",
    )
}

async fn check_all(setup: Setup) {
    let gateway = setup.start().await;
    let made = gateway.send(request("POST", "/v1/sessions", &[], b"{}")).await;
    let id = made.json()["session_id"].as_str().expect("a session").to_owned();
    let mut asked = 0;
    for origin in ORIGINS {
        for (host, method) in HOSTS.iter().flat_map(|it| METHODS.map(|method| (it, method))) {
            for kind in KINDS {
                let it = PageRequest { origin, host, method, kind };
                let (told, admits) = it.send(&gateway, &id).await;
                match it.expected() {
                    Some(expected) => assert_eq!(told, expected, "{it:?}"),
                    None => assert!(
                        !told.starts_with("403") && !told.starts_with("415"),
                        "{it:?}: {told}"
                    ),
                }
                assert_eq!(admits, origin == Some("https://app.example"), "{it:?}");
                asked += 1;
            }
        }
    }
    assert_eq!(asked, 400);
}

#[tokio::test]
async fn pages_of_other_origins_have_no_effect() {
    check_all(setup()).await;
}

#[tokio::test]
async fn pages_of_other_origins_have_no_effect_in_production() {
    check_all(setup().set("server", "environment", "production")).await;
}

#[tokio::test]
async fn first_run_answers_only_its_own_pages() {
    let gateway = Setup::new().start().await;
    let own = format!("http://localhost:{}", gateway.address().port());
    let host = format!("localhost:{}", gateway.address().port());
    for (path, origin, expected) in [
        ("/v1/sessions", &*own, "200"),
        ("/v1/sessions", "http://evil.example", "403 origin_not_allowed"),
        ("/health", "http://evil.example", "403 origin_not_allowed"),
        ("/metrics", "http://localhost:1", "403 origin_not_allowed"),
        ("/console", "http://evil.example", "403 origin_not_allowed"),
    ] {
        let ask = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n");
        let mut raw = gateway.connect().await;
        raw.send(ask).await;
        assert_eq!(raw.reply().await.status_and_code(), expected, "{path} {origin}");
    }
}

#[tokio::test]
async fn host_is_checked_without_keys_and_free_behind_keys() {
    let told = async |setup: Setup, host: &str| {
        let gateway = setup.set("server", "host", "0.0.0.0").start().await;
        let mut raw = gateway.connect().await;
        raw.send(format!("GET /v1/models HTTP/1.1\r\nHost: {host}\r\nx-api-key: {KEY}\r\n\r\n"))
            .await;
        raw.reply().await.status_and_code()
    };
    let open = || Setup::new().set("server", "auth", "off");
    assert_eq!(told(open(), "evil.example").await, "403 host_not_allowed");
    assert_eq!(told(open(), "10.0.0.7:8080").await, "200");
    assert_eq!(
        told(open().write("server", "allowed_hosts", "[\"*\"]"), "evil.example").await,
        "200"
    );
    let keyed = || Setup::new().client("app", KEY).write("server", "allowed_hosts", "[]");
    assert_eq!(told(keyed(), "gateway.svc:8080").await, "200");
    let named = || keyed().write("server", "allowed_hosts", "[\"gateway.svc\"]");
    assert_eq!(told(named(), "gateway.svc:8080").await, "200");
    assert_eq!(told(named(), "evil.example").await, "403 host_not_allowed");
}

const KEY: &str = "sk-0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn private_network_preflight_is_answered_only_for_allowed_origins() {
    let gateway = setup().start().await;
    for (origin, allowed) in [("https://app.example", true), ("http://evil.example", false)] {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Private-Network", "true"),
        ];
        let reply = gateway.send(request("OPTIONS", "/v1/responses", &headers, b"")).await;
        let header = reply.head.header("access-control-allow-private-network");
        assert_eq!(header.is_some(), allowed, "{origin}");
    }
}
