//! A gateway with an admin listener.

use crate::{Gateway, RawConnection, Reply, Setup, openai, port, request};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A gateway with an admin listener, which requires API keys of its callers.
#[derive(Debug)]
pub struct OperatedGateway {
    /// The gateway itself.
    pub gateway: Gateway,
    /// The address of the admin listener.
    pub operators: SocketAddr,
}

impl OperatedGateway {
    /// The token of its operators.
    pub const TOKEN: &str = "operators-canary-token-0123456789abcdef";

    /// Starts the gateway of `setup` with an admin listener.
    pub async fn start(setup: Setup) -> Self {
        let operators: SocketAddr = ([127, 0, 0, 1], port::free()).into();
        let setup = setup
            .set("server", "auth", "on")
            .set("admin", "listen", &operators.to_string())
            .set("admin", "token", Self::TOKEN);
        Self { gateway: setup.start().await, operators }
    }

    /// Sends a request to the admin listener with any token and body.
    pub async fn send_as(&self, token: &str, method: &str, path: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
        let mut raw = RawConnection::connect(self.operators).await;
        raw.send(request(method, path, &headers, body.as_bytes())).await;
        raw.reply().await
    }

    /// Sends a request of an operator; `null` for no body.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send_as(Self::TOKEN, method, path, &body).await
    }

    /// Creates a virtual key; returns it and its id.
    pub async fn key(&self, body: Value) -> (String, String) {
        let reply = self.send("POST", "/admin/keys", &body).await;
        assert_eq!(reply.status(), 201, "{}", reply.text());
        Self::secret(&reply)
    }

    /// Returns the key and its id from the reply that created or rotated it.
    pub fn secret(reply: &Reply) -> (String, String) {
        let made = reply.json();
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        (text("key"), text("id"))
    }

    /// Sends a chat request with `key`; returns the status and the error code.
    pub async fn chat(&self, key: &str, model: &str) -> String {
        self.gateway.chat_with_key(key, model).await
    }

    /// Sends a request of an operator; returns the status and the body of the reply.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let reply = self.send(method, path, &body).await;
        (reply.status(), reply.json())
    }

    /// Returns the audit records so far.
    pub fn audit(&self) -> Vec<Value> {
        let mut log = self.gateway.log();
        log.retain(|line| line["target"] == "gateway::audit");
        log
    }
}

impl Gateway {
    /// Sends a chat request with `key`; returns the status and the error code.
    pub async fn chat_with_key(&self, key: &str, model: &str) -> String {
        let bearer = format!("Bearer {key}");
        let body = openai::ask(model, json!({}));
        let headers = [("Authorization", &*bearer)];
        self.send(request("POST", "/v1/chat/completions", &headers, body.as_bytes()))
            .await
            .status_and_code()
    }
}
