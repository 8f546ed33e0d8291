//! The administration API, on a listener of its own: virtual keys, and usage of all clients.

use crate::{HttpService, RequestBody, body, hygiene, reply, usage};
use bytes::Bytes;
use gateway_core::{
    BoxError, ErrorKind, GatewayError, Result,
    state::{ClientKey, ClientKeys, KeyHash, StoreError},
    time::millis,
};
use gateway_limits::{KeyGrant, now};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{net::IpAddr, sync::Arc, time::Duration};
use uuid::Uuid;

/// Answers operators, who show a token.
#[derive(Debug)]
pub struct Admin {
    service: Arc<HttpService>,
    token: Option<KeyHash>,
}

/// An operation on virtual keys.
enum Task<'a> {
    List,
    Create,
    Show(&'a str),
    Rotate(&'a str),
    Revoke(&'a str),
    Usage,
}

/// The parameters of a new key.
#[derive(Debug, Default, Deserialize)]
struct KeyRequest {
    /// The lifetime of the key, in seconds.
    #[serde(default)]
    expires_in_seconds: Option<u64>,
    #[serde(flatten)]
    grant: KeyGrant,
}

/// The parameters of a rotation.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rotation {
    /// For how long the one before it still counts.
    overlap_seconds: u64,
    /// The lifetime of the new key, in seconds.
    expires_in_seconds: Option<u64>,
}

/// The longest life and the longest overlap that can be asked for: ten years.
const MOST_SECONDS: u64 = 315_360_000;

impl Admin {
    /// Creates the API; it accepts the token with the hash `token`, and rejects every request
    /// without one.
    pub const fn new(service: Arc<HttpService>, token: Option<KeyHash>) -> Self {
        Self { service, token }
    }

    /// Answers `request`, which came from `peer`. Never fails.
    pub async fn handle<B>(&self, peer: IpAddr, request: Request<B>) -> Response<reply::Body>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let mut reply = self.answer(peer, request).await.unwrap_or_else(|error| {
            if let Some(cause) = std::error::Error::source(&error) {
                tracing::warn!(%cause, "administration request failed");
            }
            reply::failure(&error, reply::platform_error(&error))
        });
        let no_store = HeaderValue::from_static("no-store");
        reply.headers_mut().insert(header::CACHE_CONTROL, no_store);
        reply
    }

    async fn answer(
        &self,
        peer: IpAddr,
        request: Request<RequestBody>,
    ) -> Result<Response<reply::Body>> {
        hygiene::check(&request)?;
        let (head, body) = request.into_parts();
        self.identify(peer, &head.headers)?;
        let task = Task::read(&head.method, head.uri.path())?;
        let (body, _lease) = body::read(&head.headers, body, &self.service.bodies).await?;
        match task {
            Task::Usage => usage::usage(&self.service, None, head.uri.query()).await,
            Task::List => self.list().await,
            Task::Create => self.create(&body).await,
            Task::Show(id) => Ok(reply::json(StatusCode::OK, &shown(&self.key(id).await?))),
            Task::Rotate(id) => self.rotate(id, &body).await,
            Task::Revoke(id) => self.revoke(id).await,
        }
    }

    fn identify(&self, peer: IpAddr, headers: &HeaderMap) -> Result<()> {
        let shown =
            crate::auth::key(headers)?.map(|token| KeyHash::new(Sha256::digest(token).into()));
        if shown.is_some() && shown == self.token {
            return Ok(());
        }
        let error = GatewayError::new(ErrorKind::Unauthenticated, "invalid admin token");
        Err(self.service.engine.limits.failed_attempts.record(peer, error))
    }

    async fn list(&self) -> Result<Response<reply::Body>> {
        let keys = self.store()?.all().await.map_err(unavailable)?;
        let keys: Vec<_> = keys.iter().map(shown).collect();
        Ok(reply::json(StatusCode::OK, &json!({ "object": "list", "data": keys })))
    }

    async fn create(&self, body: &[u8]) -> Result<Response<reply::Body>> {
        check_names(body)?;
        let wish: KeyRequest = read(body)?;
        wish.grant.check()?;
        let (key, secret) = new(&wish.grant, expiry(wish.expires_in_seconds)?);
        self.put(&key).await?;
        Ok(reply::json(StatusCode::CREATED, &told(&key, &secret)))
    }

    /// A new key in place of another, which counts for a while yet.
    async fn rotate(&self, id: &str, body: &[u8]) -> Result<Response<reply::Body>> {
        let rotation: Rotation = if body.is_empty() { Rotation::default() } else { read(body)? };
        let mut old = self.key(id).await?;
        let grant: KeyGrant = serde_json::from_str(&old.grant).map_err(|error| {
            GatewayError::new(ErrorKind::Internal, "the stored key is unreadable")
                .with_source(error)
        })?;
        let (new, secret) = new(&grant, expiry(rotation.expires_in_seconds)?);
        self.put(&new).await?;
        let end = expiry(Some(rotation.overlap_seconds))?;
        old.expires = old.expires.min(end).or(end);
        self.put(&old).await?;
        Ok(reply::json(StatusCode::CREATED, &told(&new, &secret)))
    }

    async fn revoke(&self, id: &str) -> Result<Response<reply::Body>> {
        if !self.store()?.remove(id).await.map_err(unavailable)? {
            return Err(missing());
        }
        self.service.engine.limits.virtual_keys.refresh().await;
        Ok(reply::json(StatusCode::OK, &json!({ "id": id, "object": "key", "deleted": true })))
    }

    async fn key(&self, id: &str) -> Result<ClientKey> {
        let keys = self.store()?.all().await.map_err(unavailable)?;
        keys.into_iter().find(|key| key.id == id).ok_or_else(missing)
    }

    async fn put(&self, key: &ClientKey) -> Result<()> {
        self.store()?.put(key).await.map_err(unavailable)?;
        // Here it counts at once.
        self.service.engine.limits.virtual_keys.refresh().await;
        Ok(())
    }

    fn store(&self) -> Result<&Arc<dyn ClientKeys>> {
        self.service.engine.limits.virtual_keys.store().ok_or_else(|| {
            GatewayError::new(ErrorKind::Unavailable, "there is no store for virtual keys")
        })
    }
}

impl<'a> Task<'a> {
    fn read(method: &Method, path: &'a str) -> Result<Self> {
        let key = path.strip_prefix("/admin/keys/").filter(|id| !id.is_empty());
        let (id, below) = match key {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", ""),
        };
        let is = |expected: &Method| method == expected;
        match (path, id, below) {
            ("/admin/usage" | "/v1/usage", ..) if is(&Method::GET) => Ok(Self::Usage),
            ("/admin/keys", ..) if is(&Method::GET) => Ok(Self::List),
            ("/admin/keys", ..) if is(&Method::POST) => Ok(Self::Create),
            (_, id, "") if !id.is_empty() && is(&Method::GET) => Ok(Self::Show(id)),
            (_, id, "") if !id.is_empty() && is(&Method::DELETE) => Ok(Self::Revoke(id)),
            (_, id, "rotate") if !id.is_empty() && is(&Method::POST) => Ok(Self::Rotate(id)),
            ("/admin/usage" | "/v1/usage" | "/admin/keys", ..) => Err(not_so()),
            (_, id, "" | "rotate") if !id.is_empty() => Err(not_so()),
            _ => Err(missing()),
        }
    }
}

/// Returns a new key for `grant`, as its stored record and its secret.
fn new(grant: &KeyGrant, expires: Option<u64>) -> (ClientKey, String) {
    let random = || Uuid::new_v4().simple();
    let secret = format!("sk-gw-{}{}", random(), random());
    let key = ClientKey {
        id: format!("key_{}", random()),
        hash: KeyHash::new(Sha256::digest(&secret).into()),
        hint: secret.chars().take(10).collect(),
        created: millis(now()),
        expires,
        grant: serde_json::to_string(grant).unwrap_or_default(),
    };
    (key, secret)
}

/// A key as operators see it: never the key, and not its hash.
fn shown(key: &ClientKey) -> Value {
    let mut told = json!({
        "object": "key",
        "id": key.id,
        "hint": format!("{}...", key.hint),
        "created_at": key.created / 1_000,
        "expires_at": key.expires.map(|at| at / 1_000),
        "expired": key.expires.is_some_and(|at| at <= millis(now())),
    });
    if let (Value::Object(told), Ok(Value::Object(grant))) =
        (&mut told, serde_json::from_str(&key.grant))
    {
        told.extend(grant);
    }
    told
}

/// Returns a new key with its secret; the only response that contains it.
fn told(key: &ClientKey, secret: &str) -> Value {
    let mut told = shown(key);
    if let Value::Object(told) = &mut told {
        told.insert("key".to_owned(), secret.into());
    }
    told
}

fn expiry(seconds: Option<u64>) -> Result<Option<u64>> {
    match seconds {
        Some(seconds) if seconds > MOST_SECONDS => {
            let message = "expires_in_seconds is too large: at most 315360000";
            Err(GatewayError::new(ErrorKind::Unprocessable, message)
                .with_param("expires_in_seconds"))
        }
        Some(seconds) => Ok(Some(millis(now() + Duration::from_secs(seconds)))),
        None => Ok(None),
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("invalid request body: {error}");
        GatewayError::new(ErrorKind::Unprocessable, message)
    })
}

/// Refuses a member that means nothing: a limit that is misspelt would be none.
fn check_names(body: &[u8]) -> Result<()> {
    let members: serde_json::Map<String, Value> = read(body)?;
    let of_models = members.get("model_limits").and_then(Value::as_array).into_iter().flatten();
    let mut inner = of_models.filter_map(Value::as_object).flat_map(|it| it.keys());
    let unknown = members.keys().find(|name| !MEMBERS.contains(&name.as_str()));
    let unknown =
        unknown.or_else(|| inner.find(|name| *name != "model" && !LIMITS.contains(&name.as_str())));
    match unknown {
        Some(name) => {
            let message = format!("unknown field: {}", name.escape_debug());
            Err(GatewayError::new(ErrorKind::Unprocessable, message))
        }
        None => Ok(()),
    }
}

const LIMITS: [&str; 6] = [
    "requests_per_minute",
    "burst",
    "tokens_per_minute",
    "max_concurrent",
    "daily_budget_usd",
    "monthly_budget_usd",
];

const MEMBERS: [&str; 13] = [
    "requests_per_minute",
    "burst",
    "tokens_per_minute",
    "max_concurrent",
    "daily_budget_usd",
    "monthly_budget_usd",
    "client",
    "tenant",
    "models",
    "tools",
    "priority",
    "model_limits",
    "expires_in_seconds",
];

fn missing() -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, "not found")
}

fn not_so() -> GatewayError {
    GatewayError::new(ErrorKind::MethodNotAllowed, "method not allowed")
}

fn unavailable(error: StoreError) -> GatewayError {
    GatewayError::new(ErrorKind::Unavailable, "the key store is unavailable")
        .with_code(error.code())
        .with_source(error)
}
