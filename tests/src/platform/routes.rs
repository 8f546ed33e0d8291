//! The endpoints of each service and their responses.

use serde_json::{Value, json};

/// Something that a service can be asked.
pub(super) struct Route {
    /// Method and path; a `*` is any one segment.
    pub(super) at: &'static str,
    /// Members that must be there, and those that may be.
    pub(super) must: &'static [&'static str],
    pub(super) may: &'static [&'static str],
    pub(super) answer: fn(&str, &Value) -> Value,
}

const fn get(at: &'static str, answer: fn(&str, &Value) -> Value) -> Route {
    Route { at, must: &[], may: &[], answer }
}

pub(super) const SEARCH: &[Route] = &[
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

pub(super) const NEWER_SEARCH: &[Route] = &[
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

pub(super) const AGENTS: &[Route] = &[
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

pub(super) const TEXT: &[Route] = &[
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

pub(super) const CONTEXT: &[Route] = &[
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

/// The parameters of model-like services.
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

pub(super) const INFERENCE: &[Route] = &[
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
