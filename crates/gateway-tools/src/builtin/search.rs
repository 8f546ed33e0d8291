//! Tools of the service that searches.

use super::{BuiltinTool, flag, object, share, text, texts, whole, wholes};
use crate::{
    settings::{SEMANTIC_SEARCH, ServicesSettings},
    tool_config_error::ToolConfigError,
    tool_row::ToolRow,
};
use http::Method;
use serde_json::{Value, json};

const TAXONOMY: &str = "taxonomy";
const TIERS: &str = "tier_filter";

pub(super) fn rows(services: &ServicesSettings) -> Result<Vec<ToolRow>, ToolConfigError> {
    Ok(vec![
        search_corpus(services)?,
        semantic_search(services)?,
        get_chunk(services)?,
        hybrid_search(services)?,
        similar_chapters(services)?,
        embed(services)?,
    ])
}

/// A search that takes the taxonomy and the tiers of the user or the session. Services of an older
/// version know neither, and are then asked without.
fn with_taxonomy(row: ToolRow, services: &ServicesSettings) -> ToolRow {
    let droppable = vec![TAXONOMY.to_owned(), TIERS.to_owned()];
    let timeout = services.semantic_search_timeout;
    ToolRow { taxonomy: Some(TAXONOMY.to_owned()), droppable, timeout, ..row }
}

fn with_tiers(row: ToolRow) -> ToolRow {
    ToolRow { tier_filter: Some(TIERS.to_owned()), ..row }
}

fn taxonomy() -> Value {
    text("The taxonomy that filters the results, such as 'AI-ML_taxonomy'.")
}

fn tiers() -> Value {
    wholes("Only these tiers of the taxonomy.")
}

fn query() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 10_000,
        "description": "The search query, in natural language.",
    })
}

fn collection() -> Value {
    text("The collection to search, such as 'documents', 'chapters' or 'all'.")
}

fn search_corpus(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "search_corpus",
        description: "Searches the document corpus by meaning (semantic search).",
        service: SEMANTIC_SEARCH,
        path: "/v1/search",
    };
    let mut row = line.row(services)?;
    row.endpoint = row.endpoint.put("top_k", "limit");
    row.schema = object(
        &json!({
            "query": query(),
            "top_k": whole(1, 100, "Maximum number of results; default 10."),
            "collection": collection(),
            TAXONOMY: taxonomy(),
        }),
        &["query"],
    );
    Ok(with_taxonomy(row, services))
}

fn semantic_search(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "semantic_search",
        description: "Searches books and documents by meaning (semantic search), optionally filtered by a taxonomy.",
        service: SEMANTIC_SEARCH,
        path: "/v1/search",
    };
    let mut row = line.row(services)?;
    row.schema = object(
        &json!({
            "query": query(),
            "limit": whole(1, 100, "Maximum number of results; default 10."),
            "collection": collection(),
            "min_score": share("Minimum score of a result."),
            TAXONOMY: taxonomy(),
            TIERS: tiers(),
        }),
        &["query"],
    );
    Ok(with_tiers(with_taxonomy(row, services)))
}

fn get_chunk(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "get_chunk",
        description: "Returns the text of one chunk of the corpus.",
        service: SEMANTIC_SEARCH,
        path: "/v1/chunks/{chunk_id}",
    };
    let mut row = line.row(services)?;
    row.method = Method::GET;
    row.timeout = services.semantic_search_timeout;
    row.schema = object(
        &json!({
            "chunk_id": text("The chunk id from a search result."),
            "include_context": flag("Include the neighboring chunks."),
            "context_window": whole(0, 100, "Number of neighboring chunks on each side."),
        }),
        &["chunk_id"],
    );
    Ok(row)
}

fn hybrid_search(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "hybrid_search",
        description: "Searches by meaning and by relations between chapters (hybrid search).",
        service: SEMANTIC_SEARCH,
        path: "/v1/search/hybrid",
    };
    let levels = |most: u32, least: u32, description: &str| json!({ "type": "array", "items": whole(least, most, "A level."), "description": description });
    let mut row = line.row(services)?;
    row.endpoint = row.endpoint.put("bloom_tier_boost", "tier_boost");
    row.schema = object(
        &json!({
            "query": query(),
            "limit": whole(1, 100, "Maximum number of results; default 10."),
            "alpha": share("The weight of meaning against relations; default 0.7."),
            "collection": collection(),
            "include_graph": flag("Follow relations between chapters."),
            TIERS: tiers(),
            "bloom_tier_filter": levels(6, 0, "Only these Bloom levels, 0 to 6."),
            "quality_tier_filter": levels(3, 1, "Only these quality levels, 1 to 3."),
            "bloom_tier_boost": flag("Prefer results of adjacent levels."),
            "expand_taxonomy": flag("Include related terms of the taxonomy."),
            "focus_areas": texts("Prefer results of these areas."),
            TAXONOMY: taxonomy(),
        }),
        &["query"],
    );
    Ok(with_tiers(with_taxonomy(row, services)))
}

fn similar_chapters(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "similar_chapters",
        description: "Finds chapters of other books that resemble a chapter.",
        service: SEMANTIC_SEARCH,
        path: "/v1/search/similar-chapters",
    };
    let mut row = line.row(services)?;
    row.schema = object(
        &json!({
            "chapter_id": text("The chapter id from a search result."),
            "limit": whole(1, 100, "Maximum number of results; default 10."),
            TAXONOMY: taxonomy(),
            TIERS: tiers(),
        }),
        &["chapter_id"],
    );
    Ok(with_tiers(with_taxonomy(row, services)))
}

fn embed(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "embed",
        description: "Returns embeddings of texts, as used by the search.",
        service: SEMANTIC_SEARCH,
        path: "/v1/embed",
    };
    let mut row = line.row(services)?;
    row.endpoint = row.endpoint.put("texts", "text");
    row.fallback = line.elsewhere(services, "/v1/embeddings")?;
    row.timeout = services.semantic_search_timeout;
    row.schema = object(
        &json!({
            "texts": texts("The texts."),
            "model": text("The model; default 'all-MiniLM-L6-v2'."),
        }),
        &["texts"],
    );
    Ok(row)
}
