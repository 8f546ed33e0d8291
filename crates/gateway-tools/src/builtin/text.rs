//! Tools of the service of models for text and code.

use super::{BuiltinTool, object, share, text, texts, whole};
use crate::{
    settings::{CODE_ORCHESTRATOR, ServicesSettings},
    tool_config_error::ToolConfigError,
    tool_row::ToolRow,
};
use serde_json::{Value, json};

pub(super) fn rows(services: &ServicesSettings) -> Result<Vec<ToolRow>, ToolConfigError> {
    let mut rows = vec![
        compute_similarity(services)?,
        extract_keywords(services)?,
        extract_terms(services)?,
        generate_embeddings(services)?,
    ];
    for row in &mut rows {
        row.timeout = services.code_orchestrator_timeout;
    }
    Ok(rows)
}

fn text_parameter(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

fn compute_similarity(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "compute_similarity",
        description: "Returns the semantic similarity of two texts, from 0 to 1.",
        service: CODE_ORCHESTRATOR,
        path: "/v1/similarity",
    };
    let properties =
        json!({ "text1": text_parameter("One text."), "text2": text_parameter("The other.") });
    Ok(ToolRow { schema: object(&properties, &["text1", "text2"]), ..line.row(services)? })
}

fn extract_keywords(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "extract_keywords",
        description: "Returns the keywords of each text.",
        service: CODE_ORCHESTRATOR,
        path: "/api/v1/keywords",
    };
    let properties = json!({
        "corpus": texts("The texts."),
        "top_k": whole(0, 100, "Maximum number of keywords per text; default 10."),
    });
    let fallback = line.elsewhere(services, "/v1/keywords")?;
    Ok(ToolRow { schema: object(&properties, &["corpus"]), fallback, ..line.row(services)? })
}

fn extract_terms(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "extract_terms",
        description: "Returns search terms for a question.",
        service: CODE_ORCHESTRATOR,
        path: "/api/v1/extract",
    };
    let places = [("min_confidence", "options.min_confidence"), ("max_terms", "options.max_terms")];
    let mut row = line.row(services)?;
    let mut fallback = line.elsewhere(services, "/v1/extract")?;
    for (argument, place) in places {
        row.endpoint = row.endpoint.put(argument, place);
        fallback = fallback.map(|it| it.put(argument, place));
    }
    row.fallback = fallback;
    row.schema = object(
        &json!({
            "query": text_parameter("The question."),
            "domain": text("The domain of the question."),
            "min_confidence": share("Minimum confidence of a term."),
            "max_terms": whole(1, 100, "Maximum number of terms."),
        }),
        &["query"],
    );
    Ok(row)
}

fn generate_embeddings(services: &ServicesSettings) -> Result<ToolRow, ToolConfigError> {
    let line = BuiltinTool {
        name: "generate_embeddings",
        description: "Returns embeddings of texts.",
        service: CODE_ORCHESTRATOR,
        path: "/v1/embeddings",
    };
    let properties = json!({ "texts": texts("The texts.") });
    Ok(ToolRow { schema: object(&properties, &["texts"]), ..line.row(services)? })
}
