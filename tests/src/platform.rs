//! The services of the platform, as far as the gateway sees them.
//!
//! Each answers in the shape of the real one, and remembers what it was asked. As they are today,
//! services refuse members that they do not know; [`Platform::newer`] is the platform of tomorrow,
//! which takes taxonomies too.

use crate::http::{self, Body, Head};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Every service, each on its own port. Dropping it closes them.
#[derive(Debug)]
pub struct Platform {
    /// Searches.
    pub semantic_search: Service,
    /// Runs agents.
    pub ai_agents: Service,
    /// Runs models for text and code.
    pub code_orchestrator: Service,
    /// Fits conversations into windows.
    pub context_management: Service,
    /// Runs local models.
    pub inference: Service,
}

/// One service.
#[derive(Debug)]
pub struct Service {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

/// A request that a service got.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its head.
    pub head: Head,
    /// Its body as JSON; `null` if there was none.
    pub body: Value,
}

/// Something that a service can be asked.
struct Route {
    /// Method and path; a `*` is any one segment.
    at: &'static str,
    /// Members that must be there, and those that may be.
    must: &'static [&'static str],
    may: &'static [&'static str],
    answer: fn(&str, &Value) -> Value,
}

impl Platform {
    /// The platform as it is: a member that is not known is refused.
    pub async fn start() -> Self {
        Self::of(SEARCH).await
    }

    /// The platform with a search that knows taxonomies, chunks and similar chapters.
    pub async fn newer() -> Self {
        Self::of(NEWER_SEARCH).await
    }

    async fn of(search: &'static [Route]) -> Self {
        Self {
            semantic_search: Service::start(search).await,
            ai_agents: Service::start(AGENTS).await,
            code_orchestrator: Service::start(TEXT).await,
            context_management: Service::start(CONTEXT).await,
            inference: Service::start(INFERENCE).await,
        }
    }
}

impl Service {
    async fn start(routes: &'static [Route]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, routes, Arc::clone(&asked)));
        Self { port, asked, _serving: serving }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panicked").clone()
    }

    /// Everything it was asked: method, path and body, in short.
    pub fn log(&self) -> Vec<String> {
        self.asked().iter().map(|it| format!("{} {}", it.line(), it.body)).collect()
    }
}

impl Asked {
    /// Method and target.
    pub fn line(&self) -> String {
        format!("{} {}", self.head.word(0), self.head.word(1))
    }
}

async fn accept(listener: TcpListener, routes: &'static [Route], asked: Arc<Mutex<Vec<Asked>>>) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        serving.spawn(serve(stream, routes, Arc::clone(&asked)));
        while serving.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, routes: &[Route], asked: Arc<Mutex<Vec<Asked>>>) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut buffer).await {
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = answer(routes, &head, &body);
        asked.lock().expect("nobody panicked").push(Asked { head, body });
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

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(Head, Vec<u8>)> {
    let head = loop {
        if let Some(head) = Head::take(buffer) {
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

fn answer(routes: &[Route], head: &Head, body: &Value) -> (u16, Value) {
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

const fn get(at: &'static str, answer: fn(&str, &Value) -> Value) -> Route {
    Route { at, must: &[], may: &[], answer }
}

const SEARCH: &[Route] = &[
    get("GET /health", healthy),
    Route {
        at: "POST /v1/search",
        must: &["query"],
        may: &["collection", "limit", "min_score", "expand_abbreviations"],
        answer: found,
    },
    Route {
        at: "POST /v1/search/hybrid",
        must: &["query"],
        may: &[
            "embedding",
            "start_node_id",
            "collection",
            "limit",
            "alpha",
            "include_graph",
            "graph_context",
            "tier_filter",
            "tier_boost",
            "min_term_matches",
            "focus_areas",
            "focus_keywords",
        ],
        answer: found,
    },
    Route { at: "POST /v1/embed", must: &["text"], may: &["model"], answer: embedded },
];

const NEWER_SEARCH: &[Route] = &[
    get("GET /health", healthy),
    Route {
        at: "POST /v1/search",
        must: &["query"],
        may: &["collection", "limit", "min_score", "taxonomy", "tier_filter"],
        answer: found,
    },
    Route {
        at: "POST /v1/search/hybrid",
        must: &["query"],
        may: &[
            "collection",
            "limit",
            "alpha",
            "include_graph",
            "tier_filter",
            "tier_boost",
            "bloom_tier_filter",
            "quality_tier_filter",
            "expand_taxonomy",
            "focus_areas",
            "taxonomy",
        ],
        answer: found,
    },
    Route {
        at: "POST /v1/search/similar-chapters",
        must: &["chapter_id"],
        may: &["taxonomy", "tier_filter", "limit"],
        answer: |_, body| {
            let chapter =
                json!({ "chapter_id": "tides_ch2", "book": "Tides", "score": 0.7, "tier": 1 });
            let by = body["taxonomy"].clone();
            json!({ "similar_chapters": [chapter], "total_unfiltered": 3, "filtered_by": by })
        },
    },
    get(
        "GET /v1/chunks/*",
        |name, _| json!({ "chunk_id": name, "content": "The sea rises twice a day.", "metadata": {} }),
    ),
    Route { at: "POST /v1/embeddings", must: &["texts"], may: &["model"], answer: embedded },
];

const AGENTS: &[Route] = &[
    get("GET /health", healthy),
    Route {
        at: "POST /v1/agents/cross-reference",
        must: &["source"],
        may: &["config", "taxonomy_id"],
        answer: |_, _| {
            json!({
                "annotation": "Other books agree.", "citations": [], "tier_coverage": [],
                "processing_time_ms": 1.0, "model_used": "stub",
            })
        },
    },
    Route {
        at: "POST /v1/agents/enrich-metadata",
        must: &["corpus", "chapter_index"],
        may: &["config"],
        answer: |_, _| json!({ "chapters": [], "processing_time_ms": 1.0, "total_cross_references": 0 }),
    },
    Route {
        at: "POST /v1/agents/code-review/run",
        must: &["code"],
        may: &["language"],
        answer: |_, _| json!({ "findings": [], "summary": "Fine.", "score": 9 }),
    },
    Route {
        at: "POST /v1/agents/architecture",
        must: &["code"],
        may: &["context"],
        answer: |_, _| json!({ "analysis": { "patterns": [], "concerns": [] }, "summary": "Fine." }),
    },
    Route {
        at: "POST /v1/agents/doc-generate",
        must: &["code"],
        may: &["format"],
        answer: |_, body| json!({ "documentation": "# It", "format": body["format"], "sections": [] }),
    },
];

const TEXT: &[Route] = &[
    get("GET /health", healthy),
    Route {
        at: "POST /v1/extract",
        must: &["query"],
        may: &["domain", "options"],
        answer: |_, _| {
            let term = json!({ "term": "tide", "score": 0.9, "models_agreed": 2 });
            json!({ "search_terms": [term], "metadata": { "processing_time_ms": 1.0 } })
        },
    },
    Route {
        at: "POST /api/v1/keywords",
        must: &["corpus"],
        may: &["top_k"],
        answer: |_, _| json!({ "keywords": [["tide", "moon"]], "processing_time_ms": 1.0 }),
    },
    Route {
        at: "POST /v1/similarity",
        must: &["text1", "text2"],
        may: &[],
        answer: |_, _| json!({ "score": 0.62, "model": "stub", "processing_time_ms": 1.0 }),
    },
    Route { at: "POST /v1/embeddings", must: &["texts"], may: &[], answer: embedded },
];

const CONTEXT: &[Route] = &[
    get("GET /health", healthy),
    Route {
        at: "POST /v1/context/validate",
        must: &["text", "model"],
        may: &[],
        answer: |_, body| {
            let tokens = body["text"].as_str().unwrap_or_default().len() / 4;
            json!({ "token_count": tokens, "context_limit": 8192, "utilization": 0.5 })
        },
    },
    Route {
        at: "POST /v1/context/process",
        must: &["text", "model"],
        may: &["conversation_id", "optimization_config", "validate_fidelity", "fidelity_anchors"],
        answer: |_, body| {
            let text = body["text"].as_str().unwrap_or_default();
            let short: String = text.chars().take(8).collect();
            json!({
                "optimized_text": format!("in short: {short}"), "original_tokens": 8, "final_tokens": 8,
                "compression_ratio": 1.0, "was_chunked": false, "strategies_applied": [],
                "processing_time_ms": 1.0, "glossary_version": 1, "fidelity_validated": false,
                "rolled_back": false,
            })
        },
    },
    Route {
        at: "POST /v1/proxy/chat/completions",
        must: CHAT,
        may: &["user"],
        answer: |_, _| completion("Through the context service."),
    },
];

/// What the services that answer like a model take.
const CHAT: &[&str] = &["model", "messages"];

fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "phi-4",
        "choices": [{
            "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10 },
    })
}

const INFERENCE: &[Route] = &[
    Route {
        at: "POST /v1/chat/completions",
        must: CHAT,
        may: &["user"],
        answer: |_, _| completion("Directly."),
    },
    get(
        "GET /health",
        |_, _| json!({ "status": "ok", "service": "inference", "version": "0.1.0" }),
    ),
    get("GET /v1/models", |_, _| {
        let model = json!({ "id": "phi-4", "status": "loaded", "context_length": 4096 });
        json!({ "data": [model], "orchestration_mode": "single" })
    }),
];

fn healthy(_: &str, _: &Value) -> Value {
    json!({ "status": "healthy", "services": {}, "dependencies": {}, "version": "1.0.0" })
}

fn found(_: &str, body: &Value) -> Value {
    let payload = json!({ "book": "Tides", "chapter": 4, "title": "The Moon" });
    let result = json!({ "id": "tides_ch4", "score": 0.83, "payload": payload });
    json!({ "results": [result], "total": 1, "query": body["query"], "latency_ms": 1.0 })
}

fn embedded(_: &str, _: &Value) -> Value {
    json!({ "embeddings": [[0.25, 0.5]], "model": "all-MiniLM-L6-v2", "dimensions": 2 })
}
