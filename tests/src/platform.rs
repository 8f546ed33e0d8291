//! The services of the platform, as far as the gateway sees them.
//!
//! Each answers in the shape of the real one, and remembers what it was asked. As they are today,
//! services refuse members that they do not know; [`PlatformStub::newer`] is the platform of tomorrow,
//! which takes taxonomies too.

mod routes;

use self::routes::{AGENTS, CONTEXT, INFERENCE, NEWER_SEARCH, Route, SEARCH, TEXT};
use crate::http::{self, Body, MessageHead};
use serde_json::{Value, json};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Maximum number of recorded requests.
const MOST: usize = 1000;

/// Every service, each on its own port. Dropping it closes them.
#[derive(Debug)]
pub struct PlatformStub {
    /// The search service.
    pub semantic_search: ServiceStub,
    /// The agent service.
    pub ai_agents: ServiceStub,
    /// Runs models for text and code.
    pub code_orchestrator: ServiceStub,
    /// Fits conversations into windows.
    pub context_management: ServiceStub,
    /// The service of local models.
    pub inference: ServiceStub,
}

/// One service of the platform.
#[derive(Debug)]
pub struct ServiceStub {
    port: u16,
    asked: Arc<Mutex<Vec<ServiceCall>>>,
    _serving: JoinSet<()>,
}

/// A request that a service got.
#[derive(Clone, Debug)]
pub struct ServiceCall {
    /// The head of the request.
    pub head: MessageHead,
    /// Its body as JSON; `null` if there was none.
    pub body: Value,
}

impl PlatformStub {
    /// The platform as it is: a member that is not known is refused.
    pub async fn start() -> Self {
        Self::of(SEARCH).await
    }

    /// The platform with a search that knows taxonomies, chunks and similar chapters.
    pub async fn newer() -> Self {
        Self::of(NEWER_SEARCH).await
    }

    async fn of(search: &'static [Route]) -> Self {
        Self::at(search, |_| (Ipv4Addr::LOCALHOST.into(), 0)).await
    }

    /// The platform on the ports that its services usually have, for programs that are not tests:
    /// as it is, or a newer one.
    pub async fn on_usual_ports(host: IpAddr, newer: bool) -> Self {
        let search = if newer { NEWER_SEARCH } else { SEARCH };
        Self::at(search, |port| (host, port)).await
    }

    async fn at(search: &'static [Route], place: impl Fn(u16) -> (IpAddr, u16)) -> Self {
        Self {
            semantic_search: ServiceStub::start(place(8081), search).await,
            ai_agents: ServiceStub::start(place(8082), AGENTS).await,
            code_orchestrator: ServiceStub::start(place(8083), TEXT).await,
            inference: ServiceStub::start(place(8085), INFERENCE).await,
            context_management: ServiceStub::start(place(8086), CONTEXT).await,
        }
    }
}

impl ServiceStub {
    async fn start(place: (IpAddr, u16), routes: &'static [Route]) -> Self {
        let listener = TcpListener::bind(place).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, routes, Arc::clone(&asked)));
        Self { port, asked, _serving: serving }
    }

    /// Returns the base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything it was asked.
    pub fn asked(&self) -> Vec<ServiceCall> {
        self.asked.lock().expect("nobody panicked").clone()
    }

    /// Everything it was asked: method, path and body, in short.
    pub fn log(&self) -> Vec<String> {
        self.asked().iter().map(|it| format!("{} {}", it.line(), it.body)).collect()
    }
}

impl ServiceCall {
    /// Returns method and target.
    pub fn line(&self) -> String {
        format!("{} {}", self.head.word(0), self.head.word(1))
    }
}

async fn accept(
    listener: TcpListener,
    routes: &'static [Route],
    asked: Arc<Mutex<Vec<ServiceCall>>>,
) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        serving.spawn(serve(stream, routes, Arc::clone(&asked)));
        while serving.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, routes: &[Route], asked: Arc<Mutex<Vec<ServiceCall>>>) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut buffer).await {
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = answer(routes, &head, &body);
        note(&asked, ServiceCall { head, body });
        let answer = answer.to_string();
        let length = answer.len().to_string();
        let headers =
            http::lines(&[("content-type", "application/json"), ("content-length", &length)]);
        let reply = format!("HTTP/1.1 {status} Stub\r\n{headers}\r\n{answer}");
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Remembers the last requests: a stub may serve for days.
fn note(asked: &Mutex<Vec<ServiceCall>>, new: ServiceCall) {
    let mut asked = asked.lock().expect("nobody panicked");
    if asked.len() >= MOST {
        asked.drain(..MOST / 2);
    }
    asked.push(new);
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(MessageHead, Vec<u8>)> {
    let head = loop {
        if let Some(head) = MessageHead::take(buffer) {
            break head;
        }
        more(stream, buffer).await?;
    };
    let (mut framing, mut body) = (head.body(Body::Ended), Vec::new());
    loop {
        framing.take(buffer, &mut body);
        if framing == Body::Ended {
            return Some((head, body));
        }
        more(stream, buffer).await?;
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(buffer).await;
    read.is_ok_and(|read| read > 0).then_some(())
}

fn answer(routes: &[Route], head: &MessageHead, body: &Value) -> (u16, Value) {
    let target = head.word(1);
    let path = target.split('?').next().unwrap_or_default();
    let asked = format!("{} {path}", head.word(0));
    let Some(route) = routes.iter().find(|route| is_at(route.at, &asked)) else {
        return (404, json!({ "detail": "Not Found" }));
    };
    let wrong = wrong_members(route, body);
    if !wrong.is_empty() {
        return (422, json!({ "detail": wrong }));
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if name == "missing" {
        return (404, json!({ "detail": "there is no such thing" }));
    }
    (200, (route.answer)(name, body))
}

fn is_at(route: &str, asked: &str) -> bool {
    let (route, asked) = (route.split('/'), asked.split('/'));
    route.clone().count() == asked.clone().count()
        && route.zip(asked).all(|(route, asked)| route == "*" || route == asked)
}

fn wrong_members(route: &Route, body: &Value) -> Vec<Value> {
    let members: Vec<&str> =
        body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let wrong =
        |kind: &str, name: &str| json!({ "type": kind, "loc": ["body", name], "msg": kind });
    let missing = route.must.iter().filter(|name| !members.contains(name));
    let extra =
        members.iter().filter(|name| !route.must.contains(name) && !route.may.contains(name));
    missing
        .map(|name| wrong("missing", name))
        .chain(extra.map(|name| wrong("extra_forbidden", name)))
        .collect()
}
