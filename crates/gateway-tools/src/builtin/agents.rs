//! Tools of the service of agents.

use super::{BuiltinTool, flag, object, share, text, texts, whole};
use crate::{
    settings::{AI_AGENTS, ServicesSettings},
    tool_config_error::ToolConfigError,
    tool_row::ToolRow,
};
use serde_json::{Value, json};

pub(super) fn rows(services: &ServicesSettings) -> Result<Vec<ToolRow>, ToolConfigError> {
    Ok(vec![
        cross_reference(services)?,
        enrich_metadata(services)?,
        review_code(services)?,
        analyze_architecture(services)?,
        generate_documentation(services)?,
    ])
}

/// Arguments that describe the chapter, and those of the search.
const SOURCE: [&str; 7] = ["book", "chapter", "title", "tier", "content", "keywords", "concepts"];
const CONFIG: [&str; 5] =
    ["max_hops", "min_similarity", "include_tier1", "include_tier2", "include_tier3"];

fn cross_reference(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "cross_reference",
        description: "Finds passages of other books about the subject of a chapter, with citations.",
        service: AI_AGENTS,
        path: "/v1/agents/cross-reference",
    };
    let mut row = line.row(services)?;
    for (outer, inner) in [("source", SOURCE.as_slice()), ("config", &CONFIG)] {
        for name in inner {
            row.endpoint = row.endpoint.put(name, &format!("{outer}.{name}"));
        }
    }
    row.timeout = services.ai_agents_timeout;
    row.taxonomy = Some("taxonomy_id".to_owned());
    row.schema = object(&cross_reference_properties(), &["book", "chapter", "title", "tier"]);
    Ok(row)
}

fn cross_reference_properties() -> Value {
    json!({
        "book": text("The title of the book."),
        "chapter": { "type": "integer", "minimum": 1, "description": "The number of the chapter." },
        "title": text("The chapter's title."),
        "tier": { "type": "integer", "enum": [1, 2, 3], "description": "The book's tier." },
        "content": text("The chapter's text."),
        "keywords": texts("Keywords of the chapter."),
        "concepts": texts("Concepts of the chapter."),
        "max_hops": whole(1, 10, "Maximum number of relations to follow in a row."),
        "min_similarity": share("Minimum similarity."),
        "include_tier1": flag("Include books of the first tier."),
        "include_tier2": flag("Include books of the second tier."),
        "include_tier3": flag("Include books of the third tier."),
        "taxonomy_id": text("The taxonomy that filters the results."),
    })
}

fn enrich_metadata(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "enrich_metadata",
        description: "Adds keywords, topics and cross references to the chapters of a corpus.",
        service: AI_AGENTS,
        path: "/v1/agents/enrich-metadata",
    };
    let chapter = object(
        &json!({
            "book": text("The title of the book."),
            "chapter": { "type": "integer" },
            "title": text("The chapter's title."),
            "id": text("The id of the chapter."),
        }),
        &["book", "chapter", "title"],
    );
    let properties = json!({
        "corpus": texts("The text of each chapter."),
        "chapter_index": {
            "type": "array",
            "items": chapter,
            "description": "The index of each text's chapter.",
        },
        "config": {
            "type": "object",
            "description": "Options.",
            "properties": {
                "threshold": share("Minimum similarity."),
                "top_k": whole(1, 100, "Maximum number of references per chapter."),
                "timeout": { "type": "number" },
                "same_topic_boost": share("The weight of an equal topic."),
                "use_dynamic_threshold": flag("Derive the threshold from the corpus."),
                "enable_hybrid_search": flag("Use relations between chapters."),
            },
        },
    });
    let schema = object(&properties, &["corpus", "chapter_index"]);
    Ok(ToolRow { schema, timeout: services.ai_agents_timeout, ..line.row(services)? })
}

/// An agent that works on code.
fn on_code(
    services: &ServicesSettings,
    line: &BuiltinTool<'_>,
    elsewhere: &str,
    properties: &Value,
) -> Result<ToolRow, ToolConfigError> {
    Ok(ToolRow {
        schema: object(properties, &["code"]),
        timeout: services.code_agents_timeout,
        fallback: line.elsewhere(services, elsewhere)?,
        ..line.row(services)?
    })
}

fn review_code(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "review_code",
        description: "Reviews code and lists its problems.",
        service: AI_AGENTS,
        path: "/v1/agents/code-review/run",
    };
    let properties = json!({
        "code": text("The code."),
        "language": text("The programming language; default 'python'."),
    });
    on_code(services, &line, "/v1/agents/code-review", &properties)
}

fn analyze_architecture(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "analyze_architecture",
        description: "Analyzes the design of code: patterns and weaknesses.",
        service: AI_AGENTS,
        path: "/v1/agents/architecture/run",
    };
    let properties = json!({
        "code": text("The code."),
        "context": text("The purpose of the code."),
    });
    on_code(services, &line, "/v1/agents/architecture", &properties)
}

fn generate_documentation(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "generate_documentation",
        description: "Generates documentation for code.",
        service: AI_AGENTS,
        path: "/v1/agents/doc-generate/run",
    };
    let properties = json!({
        "code": text("The code."),
        "format": text("The output format; default 'markdown'."),
    });
    on_code(services, &line, "/v1/agents/doc-generate", &properties)
}
